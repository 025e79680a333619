"""The training pairs as edges, and graphs made from them or from a part of them."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.data.derived import derived
from recmodels.ops import Sparse


@dataclass(frozen=True, eq=False)
class Edges:
    """Edge e joins `users[e]` and `items[e]`, (E,) int64, by user and then by item; no edge occurs twice."""

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    shape: tuple[int, int]

    def __len__(self) -> int:
        return len(self.users)

    def subset(self, mask: NDArray[np.bool_]) -> "Edges":
        """Return the edges where `mask` (E,) is true."""
        return Edges(self.users[mask], self.items[mask], self.shape)

    def degrees(self) -> list[NDArray[np.int64]]:
        """Return the number of edges of each edge's user and of its item, (E,) each."""
        return [np.bincount(ends)[ends] for ends in (self.users, self.items)]

    def symmetric_weights(self) -> NDArray[np.float64]:
        """Return (deg(user) deg(item))^-1/2 of every edge, (E,); He et al., LightGCN, SIGIR 2020, eq. 3."""
        weights: NDArray[np.float64] = 1 / np.sqrt(np.prod(self.degrees(), axis=0))
        return weights

    def matrix(self, values: NDArray[np.floating]) -> Sparse:
        """Return the (U, I) matrix that holds `values` (E,), in torch's default floating type."""
        return Sparse.from_scipy(sparse.csr_array((values, (self.users, self.items)), self.shape))


@derived()
def edges_of(data: RecDataset) -> Edges:
    """Return the training pairs as edges; made once for each data set."""
    return Edges(data.train.users, data.train.items, (data.n_users, data.n_items))


def sample_edges(n_edges: int, share: float, weights: Tensor | None = None) -> NDArray[np.bool_]:
    """Draw trunc(n_edges * share) edges without replacement by torch's generator; return them as a mask (E,).

    Each draw takes an edge with a chance proportional to its entry of `weights` (E,) among the edges left; without
    weights all have the same chance.
    """
    clock = torch.empty(n_edges, dtype=torch.float64).exponential_()  # the earliest arrivals are that very sample
    if weights is not None:
        clock /= weights
    mask = np.zeros(n_edges, dtype=bool)
    mask[clock.topk(int(n_edges * share), largest=False).indices.numpy()] = True
    return mask
