"""The training loss as a function of the weights alone: always the same batches, negatives and random draws."""

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import chain, islice, repeat
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor, nn
from torch.linalg import vector_norm

from recmodels import ops
from recmodels.analysis.draws import seed_of
from recmodels.data import BatchSampler, RecDataset
from recmodels.models import Recommender
from recmodels.models.parts.item_features import ItemFeatures
from recmodels.training.batch_loss import Counts, total, without_side_effects
from recmodels.training.loop import batches_on

Scope = Literal["all", "ids", "without-features"]
"""Weights that are moved: all trained ones; the tables with a row per user, item or node; all but the item features
that some models train as tables. Tables of features are no id tables."""
SCOPES: tuple[Scope, ...] = get_args(Scope)


def fixed_batches(model: Recommender, data: RecDataset, *, batch_size: int, n: int = 10, seed: int = 0) -> list[Tensor]:
    """Return the first `n` training batches of an order that follows from the seed, (3, B), or (2, B) for a model
    without negatives; where an epoch has fewer, those of further epochs."""
    sampler = BatchSampler(data, batch_size, negatives=model.needs_negatives)
    rng = np.random.default_rng(seed_of(seed, "batches"))
    return list(islice(chain.from_iterable(batches_on(model.device, sampler, rng) for _ in repeat(None)), n))


def scoped(model: Recommender, scope: Scope) -> dict[str, nn.Parameter]:
    """Return the trained parameters of a scope by name; {} if the model has none."""
    features = {id(part.table) for part in model.modules() if isinstance(part, ItemFeatures)}
    tables = model.id_tables()
    return {
        name: each
        for name, each in model.named_parameters()
        if each.requires_grad and (scope == "all" or id(each) not in features) and (scope != "ids" or name in tables)
    }


@contextmanager
def fixed_loss(
    model: Recommender, batches: Sequence[Tensor], *, scope: Scope = "all", seed: int = 0
) -> Iterator["FixedLoss"]:
    """Yield the loss of these batches at the model's weights and around them. ValueError for a scope without weights.

    The model is in training mode, and what it draws for an epoch, such as pruned edges, is drawn once from the seed. In
    the end its weights, buffers and mode are as they were, bit for bit, and torch's generators too.
    """
    parameters = scoped(model, scope)
    if not parameters:
        raise ValueError(f"{type(model).__name__} has no weights in the scope {scope!r}")
    before, was_training = {name: each.clone() for name, each in model.state_dict().items()}, model.training
    with without_side_effects(model):
        torch.manual_seed(seed_of(seed, "epoch"))
        try:
            model.train()
            model.new_epoch()
            yield FixedLoss(model, batches, parameters, seed)
        finally:
            with torch.no_grad():
                for name, each in model.state_dict().items():
                    each.copy_(before[name])
            model.train(was_training)


class FixedLoss:
    """The mean over the batches of the model's loss, in float64, at `point` + a shift; both are vectors (N,).

    `parameters`: those that are moved, by name. `point`: their trained values, side by side. `counts`: the passes so
    far. Made by `fixed_loss`.
    """

    def __init__(
        self, model: Recommender, batches: Sequence[Tensor], parameters: dict[str, nn.Parameter], seed: int
    ) -> None:
        self.model, self.batches, self.parameters, self.seed = model, batches, parameters, seed
        self.point = torch.cat([each.detach().flatten() for each in parameters.values()])
        self.counts = Counts()

    @property
    def norm(self) -> float:
        """The Euclidean norm of `point`."""
        return float(vector_norm(self.point, dtype=torch.float64))

    def split(self, vector: Tensor) -> list[Tensor]:
        """Return the parts of a vector (N,) in the shapes of the parameters."""
        parts = vector.split([each.numel() for each in self.parameters.values()])
        return [part.view_as(each) for part, each in zip(parts, self.parameters.values(), strict=True)]

    def __call__(self, shift: Tensor | None = None) -> float:
        """Return the loss at `point` + `shift`."""
        return self.at(self.point if shift is None else self.point + shift)

    def at(self, position: Tensor) -> float:
        """Return the loss at a position (N,)."""
        self._move_to(position)
        with torch.no_grad():
            return self._mean([float(self._forward(index)) for index in range(len(self.batches))])

    def of_batch(self, index: int, shift: Tensor) -> float:
        """Return the loss of one batch at `point` + `shift`."""
        self._move_to(self.point + shift)
        with torch.no_grad():
            return float(self._forward(index))

    def gradient(self, shift: Tensor | None = None) -> tuple[float, Tensor]:
        """Return the loss at `point` + `shift` and its gradient (N,)."""
        values: list[float] = []

        def gradients() -> Iterator[Tensor]:
            for index in range(len(self.batches)):
                value, gradient = self.gradient_of_batch(index, shift)
                values.append(value)
                yield gradient

        mean = mean_of(gradients())
        return self._mean(values), mean

    def gradient_of_batch(self, index: int, shift: Tensor | None = None) -> tuple[float, Tensor]:
        """Return the loss of one batch at `point` + `shift` and its gradient (N,)."""
        self._move_to(self.point if shift is None else self.point + shift)
        value = self._forward(index)
        self.counts.backward += 1
        return float(value.detach()), self._flat(torch.autograd.grad(value, self._leaves(), materialize_grads=True))

    def hessian_times(self, vector: Tensor) -> Tensor:
        """Return the Hessian at `point` times a vector (N,), by double backward through plain operations.

        What the model takes for a constant, such as a target without a gradient, is one here. RuntimeError where an
        operation has no second derivative.
        """
        self._move_to(self.point)
        return mean_of(self._hessian_of_batch(index, vector) for index in range(len(self.batches)))

    def _hessian_of_batch(self, index: int, vector: Tensor) -> Tensor:
        with ops.plain():
            value = self._forward(index)
        gradients = torch.autograd.grad(value, self._leaves(), create_graph=True, materialize_grads=True)
        slope = self._flat(gradients) @ vector
        self.counts.backward += 2
        if not slope.requires_grad:  # a linear loss
            return torch.zeros_like(vector)
        return self._flat(torch.autograd.grad(slope, self._leaves(), materialize_grads=True))

    def _forward(self, index: int) -> Tensor:
        torch.manual_seed(seed_of(self.seed, "draws", index))
        self.counts.forward += 1
        return total(self.model.loss(self.batches[index]))

    def _move_to(self, position: Tensor) -> None:
        with torch.no_grad():
            torch._foreach_copy_(self._leaves(), self.split(position))

    def _leaves(self) -> list[Tensor]:
        return list(self.parameters.values())

    @staticmethod
    def _flat(parts: Sequence[Tensor]) -> Tensor:
        return torch.cat([(each.to_dense() if each.is_sparse else each).flatten() for each in parts])

    @staticmethod
    def _mean(values: list[float]) -> float:
        finite = all(map(math.isfinite, values))
        return math.fsum(values) / len(values) if finite else float(np.mean(values))


def mean_of(vectors: Iterator[Tensor]) -> Tensor:
    """Return the mean of vectors, added up in float64, in their own type."""
    first = next(vectors)
    summed, count = first.double(), 1
    for vector in vectors:
        summed += vector
        count += 1
    return (summed / count).to(first.dtype)
