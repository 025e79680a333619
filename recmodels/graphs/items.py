"""Item graphs: edges from each item to those nearest to it by the cosine of their features."""

from collections.abc import Callable, Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.data.derived import derived, stored
from recmodels.ops import ConstantMatrix, Sparse, select_rows, shared_tensor, unit_rows

BLOCK = 2**24
"""Cosines computed at a time."""


class ItemGraph(ConstantMatrix):
    """An item graph (I, I) that knows how it is made from a data set, so that it can be made again from another's."""

    def __init__(self, data: RecDataset, make: Callable[[RecDataset], sparse.csr_array]):
        super().__init__(Sparse.from_scipy(make(data)))
        self.make = make

    def of(self, data: RecDataset) -> "ItemGraph":
        """Return the same graph of another data set."""
        return ItemGraph(data, self.make)


def item_graph(data: RecDataset, weights: Mapping[str, float], k: int) -> ItemGraph:
    """Return the graph (I, I): row i holds `weights[modality]` / k at each of the k items nearest to i, itself one.

    Zhou and Shen, FREEDOM, ACM MM 2023, eq. 1 to 4, as in the benchmark: directed, and all neighbours weigh the same.
    """
    return ItemGraph(data, partial(_mixed, weights=dict(weights), k=k))


def cosine_graph(data: RecDataset, modality: str, k: int) -> ItemGraph:
    """Return the graph (I, I): row i holds, at each of the k items j nearest to i, itself one, cosine(i, j) over the
    roots of the sums of both rows' cosines.

    Zhang et al., LATTICE, ACM MM 2021, eq. 2 to 4, as in the benchmark: directed. A row whose cosines do not add up to
    a positive number, such as that of an item without features, is empty, and so is its column.
    """
    return ItemGraph(data, partial(_by_cosine, modality=modality, k=k))


def largest_cosine_graph(data: RecDataset, ks: Mapping[str, int]) -> ItemGraph:
    """Return the graph that holds, wherever one of several `cosine_graph` has an entry, the largest of the entries.

    `ks`: modality -> its k. Ong and Khong, SMORE, WSDM 2025.
    """
    return ItemGraph(data, partial(_largest_of, ks=dict(ks)))


def smoothed(graph: nn.Module, items: Tensor, n_hops: int, nodes: Tensor | None = None) -> Tensor:
    """Return items (I, D) after `n_hops` hops on an item graph, a `ConstantMatrix`.

    `nodes` (m,): the rows of these alone, (m, D).
    """
    for _ in range(n_hops - 1):
        items = graph(items)
    hop: Tensor = graph(items, nodes) if n_hops else select_rows(items, nodes)
    return hop


def _mixed(data: RecDataset, weights: Mapping[str, float], k: int) -> sparse.csr_array:
    k = min(k, data.n_items)
    graphs = [
        listed(nearest_items(data, modality, k), np.full((data.n_items, k), weight / k))
        for modality, weight in weights.items()
    ]
    return sum(graphs[1:], start=graphs[0])


def _by_cosine(data: RecDataset, modality: str, k: int) -> sparse.csr_array:
    nearest = nearest_items(data, modality, min(k, data.n_items))
    features, near = shared_tensor(data.features[modality]), torch.from_numpy(nearest).long()
    cosines = torch.empty(near.shape, dtype=torch.float64)
    for items in torch.arange(data.n_items).split(max(1, BLOCK // (near.shape[1] * features.shape[1]))):
        neighbours = unit_rows(features[near[items].flatten()].double()).view(*near[items].shape, -1)
        cosines[items] = torch.einsum("if,ikf->ik", unit_rows(features[items].double()), neighbours)
    sums = cosines.sum(1)
    roots = torch.where(sums > 0, sums, torch.inf).rsqrt()
    return listed(nearest, (cosines * roots.unsqueeze(1) * roots[near]).numpy())


def _largest_of(data: RecDataset, ks: Mapping[str, int]) -> sparse.csr_array:
    graphs = [_by_cosine(data, modality, k).tocoo() for modality, k in ks.items()]
    rows, columns, values = (
        np.concatenate(parts) for parts in zip(*[(*g.coords, g.data) for g in graphs], strict=True)
    )
    # scipy's own maximum takes a missing entry for 0, which is more than a negative cosine.
    order = np.lexsort((values, columns, rows))
    rows, columns, values = rows[order], columns[order], values[order]
    last = np.append((np.diff(rows) != 0) | (np.diff(columns) != 0), True)
    return sparse.csr_array((values[last], (rows[last], columns[last])), graphs[0].shape)


def listed(neighbours: NDArray[np.integer], values: NDArray[np.floating]) -> sparse.csr_array:
    """Return the (I, I) matrix with `values` (I, k) at the columns `neighbours` (I, k)."""
    n, k = neighbours.shape
    return sparse.csr_array((values.ravel(), neighbours.ravel(), np.arange(0, n * k + 1, k)), (n, n))


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
        nearest[block.numpy()] = largest_of_rows(cosines, k).numpy()
    return nearest


def largest_of_rows(values: Tensor, k: int) -> Tensor:
    """Return the columns of the k largest values of each row, (n, k), the largest first; of equal ones the first."""
    largest, chosen = values.topk(k)
    tied = (values >= largest[:, -1:]).sum(1) > k
    if tied.any():
        chosen[tied] = values[tied].sort(dim=1, descending=True, stable=True).indices[:, :k]
    return chosen
