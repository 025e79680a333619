"""Interactions on their way from a source to a data set folder: numbered, reduced to a k-core, counted."""

from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import Ints
from recmodels.data.numbering import factorize, first_rows
from recmodels.data.splits import SPLITS, Labels
from recmodels.errors import DataError
from recmodels.prepare.amazon_files import Row


@dataclass(frozen=True)
class Table:
    """Interactions in the order of their source: `users` and `items` are int64 (n,), numbered from 0.

    `user_ids[u]` is the original id of user u, `item_ids[i]` that of item i. `extra`: further columns, (n,) each."""

    users: Ints
    items: Ints
    user_ids: Sequence[str]
    item_ids: Sequence[str]
    extra: dict[str, NDArray[Any]]

    def __len__(self) -> int:
        return len(self.users)

    def select(self, rows: NDArray[np.bool_]) -> "Table":
        """Return the rows that a mask (n,) selects, their users and items numbered by first appearance."""
        users, user_order = factorize(self.users[rows])
        items, item_order = factorize(self.items[rows])
        user_ids = [self.user_ids[old] for old in user_order.tolist()]
        item_ids = [self.item_ids[old] for old in item_order.tolist()]
        return Table(users, items, user_ids, item_ids, {name: column[rows] for name, column in self.extra.items()})

    def sizes(self, labels: Labels) -> dict[str, int]:
        """Count users, items, interactions, and those that `labels` (n,) put into each split."""
        sizes = {"users": len(self.user_ids), "items": len(self.item_ids), "interactions": len(self)}
        return sizes | dict(zip(SPLITS, np.bincount(labels, minlength=3).tolist(), strict=True))


def collect(rows: Iterable[Row], k: int, source: object) -> tuple[Table, dict[str, int]]:
    """Collect the k-core of the rows that have a user, an item and a time; the first row counts for each user and item.

    Return also the number of rows in the file, and of those left out, by reason. Raises DataError, which names the
    `source`, if nothing remains.
    """
    user_numbers: dict[str, int] = {}
    item_numbers: dict[str, int] = {}
    users, items, times, ratings = array("q"), array("q"), array("q"), array("f")
    missing = 0
    for row in rows:
        if row.user is None or row.item is None or row.time is None:
            missing += 1
            continue
        users.append(user_numbers.setdefault(row.user, len(user_numbers)))
        items.append(item_numbers.setdefault(row.item, len(item_numbers)))
        times.append(row.time)
        ratings.append(row.rating)
    extra = {"rating": np.array(ratings), "timestamp": np.array(times)}
    table = Table(np.array(users), np.array(items), list(user_numbers), list(item_numbers), extra)
    first = first_rows(table.users, table.items, extra["timestamp"])
    once = first_rows(table.users, table.items)
    in_core = once.copy()
    in_core[once] = k_core(table.users[once], table.items[once], k)
    counts = {"rows": len(table) + missing, "incomplete": missing}
    if not in_core.any():
        raise DataError(f"{source}: of {counts['rows']} rows none is in the {k}-core, expected some (see `k_core`)")
    dropped = {"repeated": ~first, "repeated_at_other_times": first & ~once, "outside_core": once & ~in_core}
    return table.select(in_core), counts | {reason: int(rows.sum()) for reason, rows in dropped.items()}


def k_core(users: Ints, items: Ints, k: int) -> NDArray[np.bool_]:
    """Return a mask of the (n,) rows that stay if users and items with fewer than `k` rows are dropped again and again.

    Ids are integers from 0; repeated rows count each time.
    """
    rows = np.arange(len(users))
    while len(rows):
        enough = (np.bincount(users[rows]) >= k)[users[rows]] & (np.bincount(items[rows]) >= k)[items[rows]]
        if enough.all():
            break
        rows = rows[enough]
    stays = np.zeros(len(users), dtype=bool)
    stays[rows] = True
    return stays
