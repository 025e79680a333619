"""Item graphs without weights: lists of other items, from features that agree and from users in common."""

from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.data.derived import derived, stored
from recmodels.graphs.items import BLOCK, ItemGraph, largest_of_rows
from recmodels.ops import ConstantMatrix, Sparse, shared_tensor, unit_rows

PAIRS = 2**24
"""Pairs of items of one user that are counted at a time, roughly."""
TINY = 1e-7
"""What the reference adds to the number of entries of a row."""


def consistent_graph(data: RecDataset, modality: str, k: int) -> ItemGraph:
    """Return the graph (I, I): row i has the k items nearest to i in `modality` among those consistent with it.

    Two items are consistent if their cosine is at or above the mean over all pairs in every modality of the data set;
    an item is with itself. An entry is 1 over the root of the product of the numbers of entries of both items' rows. Xv
    et al., DA-MRS, KDD 2024, as in the benchmark.
    """
    return ItemGraph(data, partial(_consistent, modality=modality, k=k))


def behaviour_graph(data: RecDataset, k: int, least: int) -> ConstantMatrix:
    """Return the graph (I, I): row i has i itself and the k items that share most users with it, `least` or more.

    Between equal numbers the smaller id comes first. Entries as in `consistent_graph`. Xv et al., DA-MRS, KDD 2024, by
    the authors' recipe.
    """
    own = np.arange(data.n_items, dtype=np.int32)[:, None]
    return ConstantMatrix(Sparse.from_scipy(_rooted(np.hstack([own, partners(data, k, least)]))))


def _consistent(data: RecDataset, modality: str, k: int) -> sparse.csr_array:
    return _rooted(consistent_items(data, k)[sorted(data.features).index(modality)])


def _rooted(lists: NDArray[np.int32]) -> sparse.csr_array:
    """Return the (I, I) matrix with entries at the columns of each row's list; -1 is no entry."""
    listed = lists >= 0
    sizes = listed.sum(axis=1)
    columns, indptr = lists[listed], np.concatenate([[0], np.cumsum(sizes)])
    roots = 1 / np.sqrt(sizes + TINY)
    return sparse.csr_array((np.repeat(roots, sizes) * roots[columns], columns, indptr), (len(lists), len(lists)))


@derived(entries=2)
def consistent_items(data: RecDataset, k: int) -> NDArray[np.int32]:
    """Return for each modality, in alphabetical order, the k items nearest to each item among those consistent with it,
    (M, I, k), the rest of a shorter list -1. Kept in the data set's cache."""
    units = [unit_rows(shared_tensor(data.features[name])) for name in sorted(data.features)]
    return stored(lambda: _nearest_consistent(units, min(k, data.n_items)), data, "consistent-v1", k, len(units))


def _nearest_consistent(units: list[Tensor], k: int) -> NDArray[np.int32]:
    n = len(units[0])
    means = [float(unit.double().sum(0).square().sum()) / n**2 for unit in units]  # of the inner products of all pairs
    found = np.empty((len(units), n, k), dtype=np.int32)
    for items in torch.arange(n).split(max(1, BLOCK // n)):
        cosines = [unit[items] @ unit.t() for unit in units]
        consistent = torch.stack([each >= mean for each, mean in zip(cosines, means, strict=True)]).all(0)
        for lists, each in zip(found, cosines, strict=True):
            each.masked_fill_(~consistent, -torch.inf)
            each[torch.arange(len(items)), items] = torch.inf
            chosen = largest_of_rows(each, k)
            lists[items.numpy()] = chosen.masked_fill(each.gather(1, chosen) == -torch.inf, -1).numpy()
    return found


@derived(entries=2)
def partners(data: RecDataset, k: int, least: int) -> NDArray[np.int32]:
    """Return the k items that share most users with each item in training, `least` or more, (I, k), the rest of a
    shorter list -1; of equal ones the smaller ids. Kept in the data set's cache."""
    return stored(lambda: _partners(data, k, least), data, "item-partners-v1", k, least)


def _partners(data: RecDataset, k: int, least: int) -> NDArray[np.int32]:
    train, n = data.train, data.n_items
    of_users = sparse.csr_array((np.ones(len(train), dtype=np.int32), train.items, train.indptr), (data.n_users, n))
    of_items = of_users.T.tocsr()
    cost = np.cumsum(np.concatenate([[0], of_items @ np.diff(train.indptr)]))
    lists = np.full((n, k), -1, dtype=np.int32)
    start = 0
    while start < n:
        end = max(start + 1, int(np.searchsorted(cost, cost[start] + PAIRS, side="right")) - 1)
        shared = (of_items[start:end] @ of_users).tocoo()
        (rows, columns), counts = shared.coords, shared.data
        kept = (counts >= least) & (columns != rows + start)
        rows, columns, counts = rows[kept], columns[kept], counts[kept]
        order = np.lexsort((columns, -counts, rows))
        rows, columns = rows[order], columns[order]
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        near = place < k
        lists[start + rows[near], place[near]] = columns[near]
        start = end
    return lists
