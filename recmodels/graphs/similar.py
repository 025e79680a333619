"""The items most similar to each item by a cosine with a shrinkage, in blocks that bound the memory."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.ops import shared_tensor

BLOCK = 2**24
"""Similarities computed at a time, 64 MiB."""


class MostSimilar(NamedTuple):
    """`neighbours` of each item and their `similarities`, (I, k) both."""

    neighbours: Tensor
    similarities: Tensor


def similar_by_content(data: RecDataset, modalities: list[str], k: int, shrink: float) -> MostSimilar:
    """Return the k items with the most similar features, the modalities side by side at their own scales.

    <x_i, x_j> / (||x_i|| ||x_j|| + shrink); an item itself is a candidate like the others.
    """
    tables = [shared_tensor(data.features[name]) for name in modalities]
    lengths = torch.stack([table.square().sum(1) for table in tables]).sum(0).sqrt()

    def products(block: Tensor) -> Tensor:
        return torch.stack([table[block] @ table.t() for table in tables]).sum(0)

    return _most_similar(products, lengths, k, shrink)


def similar_by_users(data: RecDataset, k: int, shrink: float) -> MostSimilar:
    """Return the k items whose training users are most similar: common users / (root of both numbers + shrink).

    An item itself is none of them: its score would only reach items that the user has.
    """
    train = data.train
    has = sparse.csr_array((np.ones(len(train), np.float32), train.items, train.indptr), (data.n_users, data.n_items))
    by_item = has.T.tocsr()
    lengths = torch.from_numpy(np.sqrt(np.bincount(train.items, minlength=data.n_items)).astype(np.float32))

    def products(block: Tensor) -> Tensor:
        common = torch.from_numpy((by_item[block.numpy()] @ has).toarray())
        common[torch.arange(len(block)), block] = -torch.inf
        return common

    return _most_similar(products, lengths, k, shrink)


def _most_similar(products: Callable[[Tensor], Tensor], lengths: Tensor, k: int, shrink: float) -> MostSimilar:
    """Of equally similar items the smaller id comes first. A product of minus infinity is no neighbour's."""
    n, k = len(lengths), min(k, len(lengths))
    neighbours, similarities = torch.empty(n, k, dtype=torch.int64), torch.empty(n, k)
    for block in torch.arange(n).split(max(1, BLOCK // n)):
        found = products(block).div_((lengths[block].unsqueeze(1) * lengths + shrink).clamp_(min=1e-12))
        largest, chosen = found.topk(k)
        last = largest[:, -1:]
        tied = ((found >= last).sum(1) > k) & (last.squeeze(1) != 0)  # a similarity of 0 adds nothing, whosever it is
        if tied.any():
            chosen[tied] = found[tied].sort(dim=1, descending=True, stable=True).indices[:, :k]
        neighbours[block], similarities[block] = chosen, largest.masked_fill_(largest == -torch.inf, 0.0)
    return MostSimilar(neighbours, similarities)
