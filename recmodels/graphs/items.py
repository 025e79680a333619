"""The item graph: an edge from each item to those nearest to it by the cosine of their features."""

from collections.abc import Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.data.derived import derived, stored
from recmodels.ops import ConstantMatrix, Sparse, select_rows, shared_tensor, unit_rows

BLOCK = 2**24
"""Cosines computed at a time."""


class ItemGraph(ConstantMatrix):
    """An item graph that knows what it was made with, so that it can be made again from other features."""

    def __init__(self, matrix: Sparse, weights: Mapping[str, float], k: int):
        super().__init__(matrix)
        self.weights, self.k = dict(weights), k


def item_graph(data: RecDataset, weights: Mapping[str, float], k: int) -> ItemGraph:
    """Return the graph (I, I): row i holds `weights[modality]` / k at each of the k items nearest to i, itself one.

    Zhou and Shen, FREEDOM, ACM MM 2023, eq. 1 to 4, as in the benchmark: directed, and all neighbours weigh the same.
    """
    k = min(k, data.n_items)
    indptr = np.arange(0, data.n_items * k + 1, k)
    shape = (data.n_items, data.n_items)
    graphs = [
        sparse.csr_array((np.full(indptr[-1], weight / k), nearest_items(data, modality, k).ravel(), indptr), shape)
        for modality, weight in weights.items()
    ]
    return ItemGraph(Sparse.from_scipy(sum(graphs[1:], start=graphs[0])), weights, k)


def smoothed(graph: ConstantMatrix, items: Tensor, n_hops: int, nodes: Tensor | None = None) -> Tensor:
    """Return items (I, D) after `n_hops` hops on an item graph; `nodes` (m,): the rows of these alone, (m, D)."""
    for _ in range(n_hops - 1):
        items = graph(items)
    hop: Tensor = graph(items, nodes) if n_hops else select_rows(items, nodes)
    return hop


@derived(entries=8)
def nearest_items(data: RecDataset, modality: str, k: int) -> NDArray[np.int32]:
    """Return the k items nearest to each item by cosine, (I, k), itself among them.

    Of equally near items the item itself comes first, then the smaller id. An item whose features are all zero has
    cosine 0 with every other. Kept in the data set's cache.
    """
    return stored(lambda: _nearest(shared_tensor(data.features[modality]), k), data, "nearest-v1", modality, k)


def _nearest(features: Tensor, k: int) -> NDArray[np.int32]:
    unit = unit_rows(features)
    nearest = np.empty((len(unit), k), dtype=np.int32)
    for block in torch.arange(len(unit)).split(max(1, BLOCK // len(unit))):
        cosines = unit[block] @ unit.t()
        cosines[torch.arange(len(block)), block] = torch.inf
        largest, chosen = cosines.topk(k)
        tied = (cosines >= largest[:, -1:]).sum(1) > k
        if tied.any():
            chosen[tied] = cosines[tied].sort(dim=1, descending=True, stable=True).indices[:, :k]
        nearest[block.numpy()] = chosen.numpy()
    return nearest
