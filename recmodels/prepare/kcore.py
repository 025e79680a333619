"""The k-core of a bipartite graph that is given as a list of edges."""

import numpy as np
from numpy.typing import NDArray


def k_core(users: NDArray[np.int64], items: NDArray[np.int64], k: int) -> NDArray[np.bool_]:
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
