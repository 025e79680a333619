"""Gradients at perturbed weights: which weights are perturbed and how far, and how they are restored."""

import operator
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from recmodels.models.base import Recommender
from recmodels.signatures import CountFromOne, NotNegative
from recmodels.training.batch_loss import BatchLoss, Scalar
from recmodels.training.strategies.base import Oracle, restoring

Scope = Literal["all", "embeddings", "dense"]
Perturbation = tuple[list[Tensor], Scalar] | None
"""A direction for each parameter and one scale for all; None for no perturbation."""
FirstGradient = dict[nn.Parameter, Tensor]
TINY = 1e-12
"""Added to norms that divide."""


@dataclass(kw_only=True, eq=False)
class Perturbed(Oracle):
    """A gradient at theta + eps in one batch of every `every`, the plain gradient in the others.

    The perturbation `eps` follows from the first gradient, here eps = rho g / ||g||; the second gradient is of the
    same batch with the same random draws. Weights are put back bit for bit before the optimiser's step. `every` counts
    as Mirror Gradient does: from each epoch's first batch. A zero gradient leads to no perturbation.
    Raises ValueError unless rho >= 0 and every >= 1.
    """

    off: ClassVar = {"rho": 0.0}
    rho: NotNegative = 0.05
    every: CountFromOne = 1

    def attach(self, model: Recommender, rng: np.random.Generator) -> None:
        self.parameters = self.perturbable(model)
        self.shares: tuple[list[str], Tensor] = [], torch.zeros(0)  # of the parameters with these names, (n,)

    def perturbable(self, model: Recommender) -> dict[str, nn.Parameter]:
        """Return the parameters that are perturbed, by name."""
        return {name: each for name, each in model.named_parameters() if each.requires_grad}

    @property
    def neutral(self) -> bool:
        """True if no weight would move: then there is no second pass."""
        return self.rho == 0

    @property
    def mixes(self) -> bool:
        """True if `combine` needs the first gradient: only then is it stored."""
        return False

    def gradient(self, loss: BatchLoss, *, replay: bool = False) -> Scalar:
        value = loss(replay=replay)
        moved = [each for each in self.parameters.values() if each.grad is not None]
        if self.neutral or loss.batch_index % self.every or not moved:
            return value
        first = dict(loss.gradients()) if self.mixes else {}
        eps = self.epsilon(moved, [each.grad for each in moved if each.grad is not None], loss)
        if eps is None:
            return value
        directions, scale = eps
        if loss.batch_index == 0:
            self._note_shares(moved, directions)
        with restoring(moved):
            add(moved, directions, scale)
            del directions, eps
            loss(replay=True)
        if first:
            self.combine(loss, first)
        return value

    def report(self) -> dict[str, float]:
        """Return the number of weights that may be perturbed, and each parameter's share of ||eps||^2 in the first
        batch of the epoch."""
        names, shares = self.shares
        n_weights = sum(each.numel() for each in self.parameters.values())
        return {"perturbed_weights": float(n_weights), **dict(zip(names, shares.tolist(), strict=True))}

    def idle(self) -> str:
        return "" if self.parameters or self.rho == 0 else "nothing was perturbed (no weight is in the scope)"

    def epsilon(self, parameters: list[nn.Parameter], gradients: list[Tensor], loss: BatchLoss) -> Perturbation:
        """Return the perturbation of the parameters whose first gradients are given."""
        return along(gradients, self.rho, loss, gradient_length(gradients, loss))

    def combine(self, loss: BatchLoss, first: FirstGradient) -> None:
        """Turn the second gradient, in place, into the direction of the two."""

    def _note_shares(self, moved: list[nn.Parameter], directions: list[Tensor]) -> None:
        squares = torch.stack([direction.square().sum() for direction in directions])
        whole = squares.sum().clamp(min=torch.finfo(squares.dtype).tiny)  # a mask may leave nothing that moves
        names = {each: f"eps_share/{name}" for name, each in self.parameters.items()}
        self.shares = [names[each] for each in moved], squares / whole


@dataclass(kw_only=True, eq=False)
class Scoped(Perturbed):
    """Perturbs a chosen part of the model.

    `scope`: the parameters with a row per user or item ("embeddings"), the others ("dense") or "all", but none whose
    name begins with one of `exclude` (names with commas between them).
    """

    scope: Scope = "all"
    exclude: str = ""

    def perturbable(self, model: Recommender) -> dict[str, nn.Parameter]:
        """Return the chosen parameters by name. Raises ValueError for an `exclude` that excludes nothing."""
        parameters, tables = super().perturbable(model), model.id_tables()
        starts = tuple(name.strip() for name in self.exclude.split(",") if name.strip())
        for start in starts:
            if not any(name.startswith(start) for name in parameters):
                raise ValueError(f"exclude: no parameter begins with {start!r}; there are {', '.join(parameters)}")
        return {
            name: each
            for name, each in parameters.items()
            if (self.scope == "all" or (name in tables) == (self.scope == "embeddings")) and not name.startswith(starts)
        }


def along(directions: list[Tensor], rho: Scalar, loss: BatchLoss, length: Scalar | None = None) -> Perturbation:
    """Return the directions, scaled from `length` (by default their own) to `rho`; None if the length is zero or not
    finite."""
    length = norm(directions, loss) if length is None else length
    return (directions, rho / (length + TINY)) if loss.usable(length, above=1e-30) else None


@torch.no_grad()
def add(parameters: list[nn.Parameter], directions: list[Tensor], scale: Scalar) -> None:
    """Move the parameters in place, each by its direction times `scale`."""
    if isinstance(scale, Tensor):  # as `alpha` it would be read
        directions, scale = list(torch._foreach_mul(directions, scale)), 1.0
    torch._foreach_add_(tuple(parameters), directions, alpha=scale)


def gradient_length(gradients: list[Tensor], loss: BatchLoss) -> Scalar:
    """Return `norm`, which the loss has read already if the gradients are all of its own: to read is to wait for a
    GPU."""
    own = [gradient for _, gradient in loss.gradients()]
    is_whole = len(own) == len(gradients) and all(map(operator.is_, own, gradients))
    return loss.gradient_norm if is_whole else norm(gradients, loss)


def norm(tensors: list[Tensor], loss: BatchLoss) -> Scalar:
    """Return the length of the tensors as one vector, read as the loss reads."""
    (length,) = loss.read(get_total_norm(tensors))
    return length


def blend(loss: BatchLoss, first: FirstGradient, weight_of_second: float) -> None:
    """Turn the second gradient, in place, into (1 - w) first + w second."""
    for parameter, second in loss.gradients():
        second.mul_(weight_of_second).add_(first[parameter], alpha=1 - weight_of_second)
