"""The item graph: each item's nearest by the cosine of their features."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor

from recmodels.data.cache import cached
from recmodels.data.dataset import RecDataset
from recmodels.graphs.sparse import ConstantMatrix, Sparse
from recmodels.ops.tensors import constant, unit_rows

BLOCK = 2**24
"""Similarities held at a time."""


def item_graph(data: RecDataset, weights: Mapping[str, float], k: int) -> ConstantMatrix:
    """(I, I): row i has `weights[modality]` / k at each of item i's k nearest in that modality, itself among them.

    Zhou and Shen, FREEDOM, ACM MM 2023, eq. 1 to 4, as the benchmark has it: directed, all neighbours alike.
    """
    k = min(k, data.n_items)
    indptr = np.arange(0, data.n_items * k + 1, k)
    shape = (data.n_items, data.n_items)
    graphs = [
        sparse.csr_array((np.full(indptr[-1], weight / k), nearest_items(data, modality, k).ravel(), indptr), shape)
        for modality, weight in weights.items()
    ]
    return ConstantMatrix(Sparse.from_scipy(sum(graphs[1:], start=graphs[0])))


@lru_cache(maxsize=8)
def nearest_items(data: RecDataset, modality: str, k: int) -> NDArray[np.int32]:
    """The k items nearest to each by cosine, itself included, (I, k); of equals the item itself, then smaller ids.

    An item whose features are all zero has cosine 0 with every other. Made once per data set, and kept in its cache.
    """

    def make() -> NDArray[np.int32]:
        return _nearest(constant(data.features[modality]), k)

    if data.cache_dir is None:
        return make()
    return cached(data.cache_dir / f"nearest-v1-{data.fingerprint}-{modality}-{k}.npz", make)


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
