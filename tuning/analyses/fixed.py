"""The loss that an analysis of flatness measures: of the same batches, with the same draws, for all exports."""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from recmodels.analysis.fixed_loss import FixedLoss, Scope, fixed_batches, fixed_loss, scoped
from recmodels.data import RecDataset
from recmodels.errors import UserError
from recmodels.models import Recommender

Advance = Callable[[], None]
"""Called after each part of an analysis, whether it was computed or found."""


@dataclass(frozen=True)
class Fixed:
    """The loss that is analysed. `batches`: how many, of `batch_size` pairs each; `seed`: of these and of all draws."""

    batches: int
    batch_size: int
    seed: int

    @contextmanager
    def loss(self, model: Recommender, data: RecDataset, scope: Scope) -> Iterator[FixedLoss]:
        """Yield the loss of a model; see `fixed_loss`. UserError for a scope without weights."""
        if not scoped(model, scope):
            raise UserError(f"{type(model).__name__} has no trained weights of the scope {scope}")
        rows = fixed_batches(model, data, batch_size=self.batch_size, n=self.batches, seed=self.seed)
        with fixed_loss(model, rows, scope=scope, seed=self.seed) as loss:
            yield loss


def flattest(shares: Mapping[Any, Mapping[str, float | None]]) -> str | None:
    """Return the export with the smallest value at every level; None if there is none, or a value is missing.

    `shares`: level -> export -> value.
    """
    lowest = set()
    for values in shares.values():
        known = {name: value for name, value in values.items() if value is not None}
        if len(known) < len(values):
            return None
        lowest.add(min(known, key=known.__getitem__))
    return lowest.pop() if len(lowest) == 1 else None
