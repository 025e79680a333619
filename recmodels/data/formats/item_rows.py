"""Order rows of features by a data set's items, given the item id of each row."""

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recmodels.data.formats.feature_file import fill_with_mean, read_features
from recmodels.errors import DataError
from recmodels.files import read_text


class ItemRows(NamedTuple):
    """The row of a file for each item: `rows` (items,), -1 for an item without one.

    Each row of the file is used, or has a missing value, as the mask `missing` (rows of the file,) says, or is one of
    `n_unused`, which are complete and belong to no item or to an item that has a row above."""

    rows: NDArray[np.int64]
    missing: NDArray[np.bool_]
    n_unused: int

    @property
    def n_without(self) -> int:
        """Number of items without a row."""
        return int((self.rows < 0).sum())

    @property
    def n_missing(self) -> int:
        """Number of rows with a missing value."""
        return int(self.missing.sum())


def read_id_list(path: Path) -> list[str]:
    """Read the ids in a text file, one a line. Raises DataError for an unreadable file and for an empty line."""
    ids = [line.rstrip("\r") for line in read_text(path).rstrip("\r\n").split("\n")]
    for line_number, name in enumerate(ids, start=1):
        if not name.strip():
            raise DataError(f"{path}:{line_number}: the line is empty, expected an id in each")
    return ids


def load_rows(path: Path, id_list: Path, item_ids: Sequence[str]) -> tuple[NDArray[np.float32], ItemRows]:
    """Load the .npy at `path`, whose row i belongs to the item on line i of `id_list`, and find the row of each item.

    The matrix is (rows of the file, dim); rows that hold NaN are of no item. Raises DataError for a fault in a file and
    for numbers of rows and ids that differ.
    """
    (matrix, missing), ids = read_features(path), read_id_list(id_list)
    if len(ids) != len(matrix):
        raise DataError(f"{id_list}: {len(ids)} ids, expected {len(matrix)}, one for each row of {path.name}")
    return matrix, rows_of(id_list, ids, item_ids, missing)


def rows_of(
    path: Path, feature_ids: Sequence[str], item_ids: Sequence[str], missing: NDArray[np.bool_] | None = None
) -> ItemRows:
    """Find the row of each of `item_ids` among the rows with `feature_ids`, less those in the mask `missing` (rows,).

    Of rows with the same id the first one without a missing value counts. Raises DataError, which names `path`, if no
    item has a row.
    """
    row_of: dict[str, int] = {}
    left_out = np.zeros(len(feature_ids), dtype=bool) if missing is None else missing
    for row, name in enumerate(feature_ids):
        if not left_out[row]:
            row_of.setdefault(name, row)
    rows = np.array([row_of.get(name, -1) for name in item_ids], dtype=np.int64)
    n_found, n_missing = int((rows >= 0).sum()), int(left_out.sum())
    if not n_found:
        raise DataError(f"{path}: {_none_found(feature_ids, item_ids, n_missing)}")
    return ItemRows(rows, left_out, len(feature_ids) - n_missing - n_found)


def with_means(features: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return row `rows[i]` of `features` for item i, (items, dim); the mean of the other items' rows if that is -1."""
    found = rows >= 0
    matrix = features[np.where(found, rows, 0)]
    if not found.all():
        fill_with_mean(matrix, ~found)
    return matrix


def _none_found(feature_ids: Sequence[str], item_ids: Sequence[str], n_missing: int) -> str:
    ids = dict.fromkeys(feature_ids)
    n_items = sum(name in ids for name in item_ids)
    if n_items:
        return f"the rows of all {n_items} items have a missing value ({n_missing} rows), expected some without"
    examples = f"such as {feature_ids[0]!r}, expected such as {item_ids[0]!r}"
    return f"none of its {len(ids)} ids is an item of the interactions ({examples})"
