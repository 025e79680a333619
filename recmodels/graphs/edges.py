"""The training pairs as edges in both orders, and graphs made from them or from a part of them."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.data.derived import derived
from recmodels.ops import Csr, Sparse


@dataclass(frozen=True, eq=False)
class Edges:
    """Edge e joins `users[e]` and `items[e]`, (E,) int64, by user and then by item.

    `item_major` (E,): the edges by item and then by user. Degrees count distinct training pairs.
    """

    users: NDArray[np.int64]
    items: NDArray[np.int64]
    item_major: NDArray[np.int64]
    n_users: int
    n_items: int

    def __len__(self) -> int:
        return len(self.users)

    @property
    def user_degrees(self) -> NDArray[np.int64]:
        return np.bincount(self.users, minlength=self.n_users)

    @property
    def item_degrees(self) -> NDArray[np.int64]:
        return np.bincount(self.items, minlength=self.n_items)

    def subset(self, mask: NDArray[np.bool_]) -> "Edges":
        """Return the edges where `mask` (E,) is true."""
        item_major = (np.cumsum(mask) - 1)[self.item_major[mask[self.item_major]]]
        return replace(self, users=self.users[mask], items=self.items[mask], item_major=item_major)

    def symmetric_weights(self) -> NDArray[np.float64]:
        """Return (deg(user) deg(item))^-1/2 of every edge, (E,); He et al., LightGCN, SIGIR 2020, eq. 3."""
        weights: NDArray[np.float64] = 1 / np.sqrt(self.user_degrees[self.users] * self.item_degrees[self.items])
        return weights

    def matrix(self, values: NDArray[np.floating]) -> Sparse:
        """Return the (U, I) matrix that holds `values` (E,), in torch's default floating type."""
        by_user = _csr(self.user_degrees, self.items, values)
        return Sparse(by_user, _csr(self.item_degrees, self.users[self.item_major], values[self.item_major]))


def _csr(counts: NDArray[np.int64], indices: NDArray[np.int64], values: NDArray[np.floating]) -> Csr:
    indptr = np.zeros(len(counts) + 1, dtype=np.int32)
    np.cumsum(counts, out=indptr[1:])
    kind = torch.get_default_dtype()
    return Csr(torch.from_numpy(indptr), torch.from_numpy(indices.astype(np.int32)), torch.from_numpy(values).to(kind))


@derived()
def edges_of(data: RecDataset) -> Edges:
    """Return the training pairs as edges; made once for each data set."""
    users, items = data.train.users, data.train.items
    return Edges(users, items, np.argsort(items, kind="stable"), data.n_users, data.n_items)


def sample_edges(n_edges: int, share: float, weights: Tensor | None = None) -> NDArray[np.bool_]:
    """Draw trunc(n_edges * share) edges without replacement by torch's generator; return them as a mask (E,).

    Each draw takes an edge with a chance proportional to its entry of `weights` (E,) among the edges left; without
    weights all have the same chance.
    """
    n_kept = int(n_edges * share)
    clock = torch.empty(n_edges, dtype=torch.float64).exponential_()  # the earliest arrivals are that very sample
    if weights is not None:
        clock /= weights
    mask = np.zeros(n_edges, dtype=bool)
    mask[clock.topk(n_kept, largest=False).indices.numpy()] = True
    return mask
