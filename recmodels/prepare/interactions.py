"""Collect a stream of interactions as arrays: incomplete and repeated ones dropped, the k-core, numbered from 0."""

from array import array
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recmodels.data.numbering import factorize, first_rows
from recmodels.errors import DataError
from recmodels.prepare.amazon_files import Row
from recmodels.prepare.kcore import k_core

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Table:
    """Interactions in the order of the file: `users`, `items`, `times` int64 and `ratings` float32, (n,).

    Users and items are numbered from 0 by first appearance; `user_ids[u]` is the original id of user u. `counts`: the
    number of rows in the file, and of those left out, by reason."""

    users: Ints
    items: Ints
    times: Ints
    ratings: NDArray[np.float32]
    user_ids: list[str]
    item_ids: list[str]
    counts: dict[str, int]


def collect(rows: Iterable[Row], k: int, source: object) -> Table:
    """Collect the k-core of the rows that have a user, an item and a time; the first row counts for each user and item.

    Raises DataError, which names the `source`, if nothing remains.
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
    selected, dropped = _select(columns[0], columns[1], columns[2], k)
    if not selected.any():
        raise DataError(f"{source}: of {rows_read} rows none is in the {k}-core, expected some (see `k_core`)")
    users_left, items_left, times_left, ratings_left = (column[selected] for column in columns)
    user_codes, user_order = factorize(users_left)
    item_codes, item_order = factorize(items_left)
    user_names, item_names = list(user_numbers), list(item_numbers)
    return Table(
        user_codes,
        item_codes,
        times_left,
        ratings_left,
        [user_names[old] for old in user_order.tolist()],
        [item_names[old] for old in item_order.tolist()],
        {"rows": rows_read, "incomplete": missing, **dropped},
    )


def _select(users: Ints, items: Ints, times: Ints, k: int) -> tuple[NDArray[np.bool_], dict[str, int]]:
    first = first_rows(users, items, times)
    once = first_rows(users, items)
    in_core = once.copy()
    in_core[once] = k_core(users[once], items[once], k)
    counts = {"repeated": ~first, "repeated_at_other_times": first & ~once, "outside_core": once & ~in_core}
    return in_core, {reason: int(rows.sum()) for reason, rows in counts.items()}
