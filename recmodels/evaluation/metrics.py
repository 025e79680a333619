"""Ranking metrics as pure functions of hits: `hits` (B, K) says whether the item at each rank is one of the user's
positives, `n_positives` (B,) how many positives the user has, at least 1. All return (B,) float64 in [0, 1], unrounded.
The definitions are the benchmark's (MMRec)."""

from collections.abc import Callable

import torch
from torch import Tensor


def recall(hits: Tensor, n_positives: Tensor, k: int) -> Tensor:
    """Return the share of the user's positives found in the top k."""
    return hits[:, :k].sum(1) / n_positives.double()


def precision(hits: Tensor, n_positives: Tensor, k: int) -> Tensor:
    """Return the share of the top k that are positives."""
    return hits[:, :k].sum(1).double() / k


def hit(hits: Tensor, n_positives: Tensor, k: int) -> Tensor:
    """Return 1 where the top k holds a positive at all, else 0."""
    return hits[:, :k].any(1).double()


def ndcg(hits: Tensor, n_positives: Tensor, k: int) -> Tensor:
    """Return the discounted gain 1 / log2(rank + 1), over that of a list with all positives in front."""
    gains = 1 / torch.log2(torch.arange(2, k + 2, dtype=torch.float64, device=hits.device))  # (k,)
    top = hits[:, :k].double()
    return top @ gains[: top.shape[1]] / gains.cumsum(0)[n_positives.clamp(max=k) - 1]


def average_precision(hits: Tensor, n_positives: Tensor, k: int) -> Tensor:
    """Return the precision at the rank of each hit in the top k, summed, over min(k, n_positives); its mean is MAP."""
    top = hits[:, :k].double()
    ranks = torch.arange(1, top.shape[1] + 1, dtype=torch.float64, device=hits.device)
    return (top * top.cumsum(1) / ranks).sum(1) / n_positives.clamp(max=k)


METRICS: dict[str, Callable[[Tensor, Tensor, int], Tensor]] = {
    "recall": recall,
    "precision": precision,
    "map": average_precision,
    "ndcg": ndcg,
    "hit": hit,
}
"""The functions by the names in `recmodels.metric.NAMES`."""
