"""Number values of any kind from 0."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray


def factorize(values: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """Number (n,) values by first appearance. Return the number of each, (n,), and the distinct values in that order.

    A missing value (None, NaN) has the number -1 and is not among the distinct ones.
    """
    import pandas as pd  # slow to load, and only some formats need it

    codes, distinct = pd.factorize(np.asarray(values))
    return codes.astype(np.int64), np.asarray(distinct)


def first_rows(*columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return a mask, (n,), of the rows that are the first with their values in the `columns`, (n,) each."""
    order = np.lexsort(columns)  # stable: equal rows stay in order
    new = np.zeros(len(order), dtype=bool)
    new[:1] = True
    for column in columns:
        new[1:] |= np.diff(column[order]) != 0
    first = np.empty(len(order), dtype=bool)
    first[order] = new
    return first
