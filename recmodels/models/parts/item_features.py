"""The features of the items as models read them, and how an adversary shifts some of them for a while."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from recmodels.models.parts.tables import ItemTable
from recmodels.ops import shared_tensor, unit_rows

BLOCK = 2048
"""Rows of joined features that are put side by side at a time."""


class ItemFeatures(nn.Module):
    """One matrix of item features (I, F): in the data set's own memory and unsaved, or `trained`, a parameter.

    Inside `shifted` models read shifted features; the table itself never changes.
    """

    table: Tensor

    def __init__(self, matrix: NDArray[np.float32], *, trained: bool = False):
        super().__init__()
        table = shared_tensor(matrix).to(torch.get_default_dtype())
        if trained:
            self.table = ItemTable(table.clone())
        else:
            self.register_buffer("table", table, persistent=False)
        self.shift: tuple[Tensor, Tensor] | None = None

    def rows(self, items: Tensor) -> Tensor:
        """Return the features of `items` (n,), (n, F). Inside `shifted`, `items` must be those that are shifted."""
        rows = self.table.index_select(0, items)
        return rows if self.shift is None else rows + self.shift[1]

    def linear(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Map all rows linearly, (I, out). A shift is added after the map, so that no table is copied."""
        mapped = F.linear(self.table, weight, bias)
        if self.shift is None:
            return mapped
        moved, delta = self.shift
        return mapped.index_add(0, moved, F.linear(delta, weight))

    def unit_change(self) -> tuple[Tensor, Tensor] | None:
        """Return the shifted items (n,) and the change of their unit rows, (n, F); None if no item is shifted."""
        if self.shift is None:
            return None
        moved, delta = self.shift
        rows = self.table.index_select(0, moved)
        return moved, unit_rows(rows + delta) - unit_rows(rows)


class JoinedFeatures(nn.Module):
    """Several matrices of item features side by side, in the data set's own memory: the joint matrix is never made."""

    def __init__(self, matrices: Sequence[NDArray[np.float32]]):
        super().__init__()
        self.tables = [ItemFeatures(matrix) for matrix in matrices]
        self.parts = nn.ModuleList(self.tables)
        self.widths = [matrix.shape[1] for matrix in matrices]

    def rows(self, items: Tensor) -> Tensor:
        """Return the features of `items` (n,), (n, F); see `ItemFeatures.rows`."""
        if any(table.shift for table in self.tables):
            return torch.cat([table.rows(items) for table in self.tables], dim=1)
        return self._joint(items)

    def linear(self, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        """Map all rows linearly, (I, out), block by block; shifts as in `ItemFeatures.linear`."""
        items = torch.arange(len(self.tables[0].table), device=weight.device)
        mapped = torch.cat([F.linear(self._joint(block), weight, bias) for block in items.split(BLOCK)])
        for table, columns in zip(self.tables, weight.split(self.widths, dim=1), strict=True):
            if table.shift is not None:
                moved, delta = table.shift
                mapped = mapped.index_add(0, moved, F.linear(delta, columns))
        return mapped

    def _joint(self, items: Tensor) -> Tensor:
        like = self.tables[0].table
        joint = like.new_empty(len(items), sum(self.widths))
        for table, columns in zip(self.tables, joint.split(self.widths, dim=1), strict=True):
            torch.index_select(table.table, 0, items, out=columns)  # 0.6 of the time of joining rows afterwards
        return joint


def feature_tables(model: nn.Module) -> list[ItemFeatures]:
    """Return the feature matrices that a model reads; empty if it reads none."""
    return [module for module in model.modules() if isinstance(module, ItemFeatures)]


@contextmanager
def shifted(tables: Sequence[ItemFeatures], items: Tensor, deltas: Sequence[Tensor]) -> Iterator[None]:
    """Shift the features of `items` (n,), the `values` of `ops.distinct_ids`, by `deltas`, one (n, F) for each table.

    If an item is there several times, all but its first delta must be zero.
    """
    for table, delta in zip(tables, deltas, strict=True):
        table.shift = items, delta
    try:
        yield
    finally:
        for table in tables:
            table.shift = None
