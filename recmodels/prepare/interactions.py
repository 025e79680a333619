"""A stream of interactions -> arrays: what is missing or repeated dropped, the k-core, numbered anew."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recmodels.data.numbering import number
from recmodels.errors import DataError
from recmodels.prepare.amazon_files import Row
from recmodels.prepare.kcore import k_core

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """`users`, `items`, `times` int64 and `ratings` float32 (n,) in the order of the file; ids count from 0 by first
    appearance, and `user_ids[u]` is the original id. `counts`: the rows of the file, and those left
    out, by reason."""

    users: Ints
    items: Ints
    times: Ints
    ratings: NDArray[np.float32]
    user_ids: list[str]
    item_ids: list[str]
    counts: dict[str, int]


def collect(rows: Iterable[Row], k: int, source: object) -> Table:
    """Rows with a user, an item and a time; the first of each (user, item, time), of each (user, item); the k-core.

    `source` serves the message of the DataError that is raised if nothing remains.
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
    rows_read = len(users) + missing
    columns = [np.array(column) for column in (users, items, times, ratings)]
    kept, dropped = _kept(columns[0], columns[1], columns[2], k)
    if not kept.any():
        raise DataError(f"{source}: of {rows_read} rows none is in the {k}-core, expected some (see --k-core)")
    users_kept, items_kept, times_kept, ratings_kept = (column[kept] for column in columns)
    user_codes, user_order = number(users_kept)
    item_codes, item_order = number(items_kept)
    user_names, item_names = list(user_numbers), list(item_numbers)
    return Table(
        user_codes,
        item_codes,
        times_kept,
        ratings_kept,
        [user_names[old] for old in user_order.tolist()],
        [item_names[old] for old in item_order.tolist()],
        {"rows": rows_read, "incomplete": missing, **dropped},
    )


def _kept(users: Ints, items: Ints, times: Ints, k: int) -> tuple[NDArray[np.bool_], dict[str, int]]:
    first = _first(users, items, times)
    once = _first(users, items)
    kept = once.copy()
    kept[once] = k_core(users[once], items[once], k)
    counts = {"repeated": ~first, "repeated_at_other_times": first & ~once, "outside_core": once & ~kept}
    return kept, {reason: int(rows.sum()) for reason, rows in counts.items()}


def _first(*columns: Ints) -> NDArray[np.bool_]:
    """Which rows are the first with their values."""
    order = np.lexsort(columns)  # stable: among equal rows the order of the file
    new = np.zeros(len(order), dtype=bool)
    new[:1] = True
    for column in columns:
        new[1:] |= np.diff(column[order]) != 0
    first = np.empty(len(order), dtype=bool)
    first[order] = new
    return first
