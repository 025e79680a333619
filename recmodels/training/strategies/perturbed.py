"""What gradients at perturbed weights share: which weights, how far, and the way back."""

import math
from abc import abstractmethod
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

from recmodels.models.base import Recommender
from recmodels.training.batch_loss import BatchLoss
from recmodels.training.strategies.base import Oracle, kept

Scope = Literal["all", "embeddings", "dense"]
TINY = 1e-12
"""Added to norms that divide."""


class Perturbed(Oracle):
    """A gradient at theta + eps in one batch of every `every`, the plain gradient in the others.

    The perturbation `eps` follows from the first gradient; the second answers the loss that it was computed from: the
    same batch, the same random draws. Weights are put back bit for bit before the optimiser's step.
    `every` counts as Mirror Gradient does: from each epoch's first batch. `scope`: which parameters are perturbed,
    those with a row per user or item ("embeddings"), the others ("dense") or "all", but none whose name begins with
    one of `exclude` (names with commas between them). A zero gradient leads to no perturbation.
    ValueError unless every >= 1 and rho >= 0.
    """

    def __init__(self, *, rho: float, every: int = 1, scope: Scope = "all", exclude: str = ""):
        if every < 1:
            raise ValueError(f"every >= 1 must hold, but got every={every}")
        if not rho >= 0:
            raise ValueError(f"rho >= 0 must hold, but got rho={rho}")
        self.rho, self.every, self.scope = rho, every, scope
        self.exclude = tuple(name.strip() for name in exclude.split(",") if name.strip())

    def attach(self, model: Recommender, rng: np.random.Generator) -> None:
        """ValueError for an `exclude` that excludes nothing."""
        names = {name: each for name, each in model.named_parameters() if each.requires_grad}
        for start in self.exclude:
            if not any(name.startswith(start) for name in names):
                raise ValueError(f"exclude: no parameter begins with {start!r}; there are {', '.join(names)}")
        tables = model.id_tables()
        self.parameters = {
            name: each
            for name, each in names.items()
            if (self.scope == "all" or (name in tables) == (self.scope == "embeddings"))
            and not name.startswith(self.exclude)
        }
        self.shares: dict[str, float] = {}

    @property
    def neutral(self) -> bool:
        """Whether no weight would move: then there is no second pass."""
        return self.rho == 0

    def gradient(self, loss: BatchLoss, *, replay: bool = False) -> float:
        value = loss(replay=replay)
        moved = [each for each in self.parameters.values() if each.grad is not None]
        if self.neutral or loss.number % self.every or not moved:
            return value
        first = self.first(loss)
        eps = self.epsilon(moved, [each.grad for each in moved if each.grad is not None], loss)
        if eps is None:
            return value
        directions, scale = eps
        if loss.number == 0:
            self._note_shares(moved, directions)
        with kept(moved):
            with torch.no_grad():
                torch._foreach_add_(tuple(moved), directions, alpha=scale)
            del directions, eps
            loss(replay=True)
        self.second(loss, first)
        return value

    def report(self) -> dict[str, float]:
        """The number of weights that may be perturbed, and each parameter's share of ||eps||^2 in the epoch's first
        batch."""
        return {"perturbed_weights": float(sum(each.numel() for each in self.parameters.values())), **self.shares}

    @abstractmethod
    def epsilon(
        self, parameters: list[nn.Parameter], gradients: list[Tensor], loss: BatchLoss
    ) -> tuple[list[Tensor], float] | None:
        """The perturbation of each parameter, as directions and one scale; None if there is none."""

    def first(self, loss: BatchLoss) -> Any:
        """What `second` will need of the first gradient."""

    def second(self, loss: BatchLoss, first: Any) -> None:
        """Make the direction of the two gradients; by itself it is the second one."""

    def _note_shares(self, moved: list[nn.Parameter], directions: list[Tensor]) -> None:
        squares = torch.stack([direction.square().sum() for direction in directions])
        whole = squares.sum().clamp(min=torch.finfo(squares.dtype).tiny)  # a mask may leave nothing that moves
        shares = dict(zip(moved, (squares / whole).tolist(), strict=True))
        self.shares = {f"eps_share/{name}": shares[each] for name, each in self.parameters.items() if each in shares}


def norm(tensors: list[Tensor]) -> float:
    """The length of the tensors as one vector."""
    return float(get_total_norm(tensors))


def share(rho: float, length: float) -> float | None:
    """What brings a vector of this length to `rho`; None if it has none."""
    return None if length <= 1e-30 or not math.isfinite(length) else rho / (length + TINY)
