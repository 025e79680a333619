"""The k-core of a bipartite graph given as a list of rows."""

import numpy as np
from numpy.typing import NDArray


def k_core(users: NDArray[np.int64], items: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
    """Which of the (n,) rows stay once users and items with fewer than `k` rows are dropped until nothing changes.

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
