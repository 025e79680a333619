"""Order rows of features by a data set's items, given the item id of each row."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recmodels.data.formats.feature_file import load_features
from recmodels.errors import DataError
from recmodels.files import read_text


def read_id_list(path: Path) -> list[str]:
    """Read the ids in a text file, one a line. Raises DataError for an unreadable file and for an empty line."""
    ids = [line.rstrip("\r") for line in read_text(path).rstrip("\r\n").split("\n")]
    for line_number, name in enumerate(ids, start=1):
        if not name.strip():
            raise DataError(f"{path}:{line_number}: the line is empty, expected an id in each")
    return ids


def load_rows(path: Path, id_list: Path, item_ids: Sequence[str]) -> tuple[NDArray[np.float32], NDArray[np.int64], int]:
    """Load the .npy at `path`, whose row i belongs to the item on line i of `id_list`: matrix and result of `rows_of`.

    Raises DataError for a fault in a file and for numbers of rows and ids that differ.
    """
    matrix, ids = load_features(path), read_id_list(id_list)
    if len(ids) != len(matrix):
        raise DataError(f"{id_list}: {len(ids)} ids, expected {len(matrix)}, one for each row of {path.name}")
    return matrix, *rows_of(id_list, ids, item_ids)


def rows_of(path: Path, feature_ids: Sequence[str], item_ids: Sequence[str]) -> tuple[NDArray[np.int64], int]:
    """Return the index of each item in `feature_ids`, (items,), -1 if it is not there; and the number of unused rows.

    Of rows with the same id the first counts. Raises DataError, which names `path`, if no item has a row.
    """
    row_of: dict[str, int] = {}
    for row, name in enumerate(feature_ids):
        row_of.setdefault(name, row)
    rows = np.array([row_of.get(name, -1) for name in item_ids], dtype=np.int64)
    n_found = int((rows >= 0).sum())
    if not n_found:
        examples = f"such as {next(iter(row_of))!r}, expected such as {item_ids[0]!r}"
        raise DataError(f"{path}: none of its {len(row_of)} ids is an item of the interactions ({examples})")
    return rows, len(feature_ids) - n_found


def with_means(features: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return row `rows[i]` of `features` for item i, (items, dim); the mean of the other items' rows if that is -1."""
    found = rows >= 0
    matrix = features[np.where(found, rows, 0)]
    if not found.all():
        matrix[~found] = matrix[found].mean(axis=0, dtype=np.float64)
    return matrix
