"""The user graph: an edge from each user to the partners who share most training items."""

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.data.derived import derived, stored
from recmodels.ops import Pattern

PAIRS = 2**24
"""Pairs of users with a common item that are counted at a time, roughly."""
TIE_SEED = 999
"""Seed of the order that decides between partners who share equally many items."""


class UserGraph(nn.Module):
    """The matrix (U, U) whose rows are a softmax over the counts of the user's k nearest partners.

    A list of fewer than k partners is filled up as in a Polya urn, again before each epoch: a uniform draw from the
    list so far is appended until there are k. A user without partners has an empty row. Wang et al., DualGNN, IEEE TMM
    2023, as in the benchmark.
    """

    values: Tensor

    def __init__(self, data: RecDataset, k: int):
        super().__init__()
        partners, self.counts = nearest_users(data, k)
        listed = partners >= 0
        indptr = np.concatenate([[0], np.cumsum(listed.sum(1))])
        self.pattern = Pattern(indptr, partners[listed], data.n_users)
        # Saved with the model, whose ranking depends on the draw.
        self.register_buffer("values", torch.empty(indptr[-1]))
        self.redraw()

    def redraw(self) -> None:
        """Fill up the short lists again, by torch's generator."""
        copies = _fill_up(self.counts)
        shares = copies * np.exp(self.counts - self.counts.max(axis=1, initial=0, keepdims=True))
        total = shares.sum(axis=1, keepdims=True)
        weights = shares / np.where(total > 0, total, 1)
        self.values.copy_(torch.from_numpy(weights[self.counts > 0]))

    @property
    def indptr(self) -> Tensor:
        """The starts of the matrix's compressed rows, (U + 1,)."""
        return self.pattern.indptr

    def forward(self, users: Tensor, nodes: Tensor | None = None) -> Tensor:
        """Return the weighted sum of each user's partners, (U, D); `nodes` (n,): of these users alone, (n, D)."""
        return self.pattern.matrix(self.values).at(nodes) @ users


def _fill_up(counts: NDArray[np.int32]) -> NDArray[np.int64]:
    """Return how often each partner is in its user's list once the list has k entries, (U, k)."""
    k, lengths = counts.shape[1], (counts > 0).sum(axis=1)
    copies = (counts > 0).astype(np.int64)
    short = np.flatnonzero((lengths > 0) & (lengths < k))
    length = lengths[short]
    urn = np.tile(np.arange(k), (len(short), 1))  # place in the list -> place of the partner it is a copy of
    draws = torch.rand(len(short), k, dtype=torch.float64).numpy()
    for place in range(length.min(initial=k), k):
        growing = np.flatnonzero(length <= place)
        urn[growing, place] = urn[growing, (draws[growing, place] * place).astype(np.int64)]
    drawn = (np.arange(len(short))[:, None] * k + urn).ravel()
    copies[short] = np.bincount(drawn, minlength=len(short) * k).reshape(-1, k)
    return copies


@derived(entries=2)
def nearest_users(data: RecDataset, k: int) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Return the k users who share most training items with each user, and how many they share: (U, k) both.

    The largest count comes first. Places beyond a user's last partner hold -1 and 0. Between equal counts a fixed
    random order of the users decides, since ids are often ordered by something. Kept in the data set's cache.
    """
    partners, counts = stored(lambda: _nearest(data, k), data, "partners-v1", k)
    return partners, counts


def _nearest(data: RecDataset, k: int) -> NDArray[np.int32]:
    """Return partners and counts, (2, U, k)."""
    train = data.train
    has = sparse.csr_array(
        (np.ones(len(train), dtype=np.int32), train.items, train.indptr), (data.n_users, data.n_items)
    )
    order = np.random.default_rng(TIE_SEED).permutation(data.n_users)
    others = has[order].T.tocsr()  # its columns are users in the order that decides between equals
    cost = np.cumsum(np.concatenate([[0], has @ np.bincount(train.items, minlength=data.n_items)]))
    lists = np.stack([np.full((data.n_users, k), -1, dtype=np.int32), np.zeros((data.n_users, k), dtype=np.int32)])
    start = 0
    while start < data.n_users:
        end = max(start + 1, int(np.searchsorted(cost, cost[start] + PAIRS, side="right")) - 1)
        end = min(end, start + 2**16)  # rows of a block fit the sort's 16 bits
        shared = (has[start:end] @ others).tocsc().tocsr()  # there and back: columns ascend
        rows = np.repeat(np.arange(end - start, dtype=np.uint16), np.diff(shared.indptr))
        partners, counts = order[shared.indices], shared.data
        real = partners != rows + np.int64(start)
        rows, partners, counts = rows[real], partners[real], counts[real]
        # Two stable sorts, by count and then by row, keep the order of the columns among equals.
        most = np.argsort(-np.minimum(counts, 2**15 - 1).astype(np.int16), kind="stable")
        most = most[np.argsort(rows[most], kind="stable")]
        rows, partners, counts = rows[most], partners[most], counts[most]
        first = np.searchsorted(rows, np.arange(end - start))
        place = np.arange(len(rows)) - first[rows]
        near = place < k
        lists[:, start + rows[near].astype(np.int64), place[near]] = partners[near], counts[near]
        start = end
    return lists
