"""Leave out the rows of a user's table that are no interactions, in a fixed order, and count them."""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import Ints
from recmodels.data.numbering import first_rows
from recmodels.errors import DataError
from recmodels.prepare.interactions import Table, k_core

log = logging.getLogger("mirrortune.prepare")


def cleaned(path: Path, table: Table, min_rating: float | None, core: int | None) -> tuple[Table, dict[str, int]]:
    """Return the rows that become interactions, and the numbers of rows read and left out, in the order of the steps.

    Rows rated below `min_rating` go first, so that no low rating takes the place of a higher one; then rows that repeat
    a user and an item: the latest stays if `table.extra` has times, of equal times the lower one in the file, and
    without times the first; then rows outside of the `core`. Raises DataError, which names `path`, if none stays.
    """
    counts = {"rows": len(table)}
    if min_rating is not None:
        high = table.extra["rating"] >= min_rating
        table, counts["rated_lower"] = _select(path, table, high, f"are rated below {min_rating:g}")
    if (times := table.extra.get("timestamp")) is not None:
        once, kept = latest_rows(table.users, table.items, times), "latest"
    else:
        once, kept = first_rows(table.users, table.items), "first"
    table, counts["repeated"] = _select(path, table, once, f"repeat a user and an item (the {kept} row of each stays)")
    if core is not None:
        inside = k_core(table.users, table.items, core)
        table, counts["outside_core"] = _select(path, table, inside, f"are not in the {core}-core")
    return table, counts


def latest_rows(users: Ints, items: Ints, times: Ints) -> NDArray[np.bool_]:
    """Return a mask, (n,), of the latest row of each user and item; of equal times the last one counts."""
    order = np.lexsort((times, items, users))  # stable: rows of equal times stay in order
    latest = np.ones(len(order), dtype=bool)
    latest[:-1] = (np.diff(users[order]) != 0) | (np.diff(items[order]) != 0)
    mask = np.empty(len(order), dtype=bool)
    mask[order] = latest
    return mask


def _select(path: Path, table: Table, rows: NDArray[np.bool_], why: str) -> tuple[Table, int]:
    """Return the selected rows and the number of the others, which `why` describes. Raises DataError if none stays."""
    n_left_out = int((~rows).sum())
    if n_left_out:
        log.info("%s: left out %d of %d rows, which %s", path, n_left_out, len(table), why)
    if n_left_out == len(table):
        raise DataError(f"{path}: all {len(table)} rows that are left {why}, expected some to stay")
    return table.select(rows), n_left_out
