"""Rows of features that belong to named items -> one row for each item of a data set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recmodels.errors import DataError


def read_id_list(path: Path) -> list[str]:
    """The ids in a text file of one a line. Raises DataError for one that cannot be read, and for an empty line."""
    try:
        lines = path.read_bytes().decode("utf-8-sig").rstrip("\r\n").split("\n")
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None
    ids = [line.rstrip("\r") for line in lines]
    for number, name in enumerate(ids, start=1):
        if not name.strip():
            raise DataError(f"{path}:{number}: the line is empty, expected an id in each")
    return ids


def rows_of(path: Path, feature_ids: Sequence[str], item_ids: Sequence[str]) -> tuple[NDArray[np.int64], int]:
    """The row in `feature_ids` of each of `item_ids`, (items,), -1 where there is none, and how many rows belong to no
    item. Of rows with the same id the first counts.

    Raises DataError, which names `path`, if no item has a row.
    """
    place: dict[str, int] = {}
    for row, name in enumerate(feature_ids):
        place.setdefault(name, row)
    rows = np.array([place.get(name, -1) for name in item_ids], dtype=np.int64)
    n_found = int((rows >= 0).sum())
    if not n_found:
        raise DataError(
            f"{path}: none of its {len(place)} ids is an item of the interactions (such as {next(iter(place))!r}, "
            f"expected such as {item_ids[0]!r})"
        )
    return rows, len(feature_ids) - n_found


def with_means(features: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Row `rows[i]` of `features` for item i, (items, dim); where that is -1, the mean of the other items' rows."""
    known = rows >= 0
    matrix = features[np.where(known, rows, 0)]
    if not known.all():
        matrix[~known] = matrix[known].mean(axis=0, dtype=np.float64)
    return matrix
