"""The principal part of the user-item graph: what its leading singular vectors say of it."""

import numpy as np
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse.linalg import svds

from recmodels.data.dataset import RecDataset
from recmodels.data.derived import derived
from recmodels.graphs.edges import Edges, edges_of

SMALLEST = 1e-3
"""Entries of a smaller magnitude are left out."""
BLOCK = 2**24
"""Entries of the dense product computed at a time."""


@derived(entries=2)
def principal_edges(data: RecDataset, size: int) -> tuple[Edges, NDArray[np.float64]]:
    """Return the principal graph of a model with `size` columns as edges, and their weights (E,).

    With D = size // 2, p = size // 8 (at least 1 each) and the singular triplets s_j a_j b_j^T of the (U, I) block
    of LightGCN's graph, s_1 >= s_2 >= ..., it has the entries of the sum over j = 1..p of s_j s_{D-p+j} a_j b_j^T.
    Yu et al., PGL, AAAI 2025, global mode, as in the benchmark: there the triplets are those of the (U + I, U + I)
    graph, which has each of these values twice.
    """
    edges = edges_of(data)
    block = sparse.csr_array((edges.symmetric_weights(), (edges.users, edges.items)), edges.shape)
    left, values, right = _leading(block, max(1, size // 2))
    p = max(1, size // 8)
    left, right = left[:, :p] * (values[:p] * values[-p:]), right[:p]
    users, items, weights = [], [], []
    rows = max(1, BLOCK // data.n_items)
    for start in range(0, data.n_users, rows):
        product = left[start : start + rows] @ right
        user, item = np.nonzero(np.abs(product) >= SMALLEST)
        users.append(user + start)
        items.append(item)
        weights.append(product[user, item])
    return Edges(np.concatenate(users), np.concatenate(items), edges.shape), np.concatenate(weights)


def _leading(block: sparse.csr_array, n: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return the n leading singular triplets, or all if there are fewer, the largest first: (U, n), (n,), (n, I)."""
    least = min(block.shape)
    if least <= 4 * n:  # for few more than are wanted the dense method is the better one
        left, values, right = np.linalg.svd(block.toarray(), full_matrices=False)
        return left[:, :n], values[:n], right[:n]
    left, values, right = svds(block, n, v0=np.ones(least))  # a fixed start: the same numbers every time
    order = np.argsort(-values, kind="stable")
    return left[:, order], values[order], right[order]
