"""Ids of any kind -> integers from 0."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def number(values: Sequence[Any] | NDArray[Any]) -> tuple[NDArray[np.int64], NDArray[Any]]:
    """The number of each value, (n,), by first appearance, and the distinct values in that order.

    A missing value (None, NaN) has the number -1 and is not among the distinct ones.
    """
    codes, distinct = pd.factorize(np.asarray(values))
    return codes.astype(np.int64), np.asarray(distinct)
