"""Rankings of all items, or of candidates, for the users of a split, in blocks of users that bound the memory."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.data.dataset import Interactions, RecDataset, Split
from recmodels.evaluation.metrics import METRICS
from recmodels.metric import Metric
from recmodels.ops import shared_tensor

BLOCK_SCORES = 2**21
"""Scores held at a time on the CPU, 8 MiB: they stay in its cache, which makes ranking a third faster. GPUs: 32 times
as many."""


@dataclass(frozen=True, eq=False)
class PerUser:
    """The ranking's hits for each evaluated user, users ascending.

    `users` (B,) int; `hits` (B, K) bool: the item at that rank is a positive of the user; `n_positives` (B,) int.
    """

    users: Tensor
    hits: Tensor
    n_positives: Tensor

    def values(self, metric: Metric) -> Tensor:
        """Return the metric of each user, (B,) float64."""
        return METRICS[metric.name](self.hits, self.n_positives, metric.k)

    def mean(self, ks: Sequence[int]) -> dict[str, float]:
        """Return every metric at every k, such as "recall@20": the mean over the users, each with equal weight."""
        names = [Metric(f"{name}@{k}") for name in METRICS for k in ks]
        return {name: float(self.values(name).mean()) for name in names}


class Evaluator:
    """Ranks one split of a data set by the set's protocol; every metric at every k of `ks`.

    All items but the user's training items are ranked (the benchmark's protocol); if the data set names candidates, the
    one positive of each user is ranked among these. Users without a positive in the split are left out.

    >>> from recmodels.data import load_dataset
    >>> from recmodels.models import MODELS
    >>> data = load_dataset("demo")
    >>> evaluator = Evaluator(data, "valid", ks=(5, 20))
    >>> users, items = MODELS["Popularity"](data).embed()
    >>> 0 < evaluator(users, items)["recall@20"] < 1
    True
    >>> by_user = evaluator.per_user(users, items)
    >>> len(by_user.users) == len(by_user.values(Metric("ndcg@5")))
    True
    """

    def __init__(self, data: RecDataset, split: Split, ks: Sequence[int]):
        self.data, self.ks = data, tuple(ks)
        self.positives = data.valid if split == "valid" else data.test
        self.candidates = None if data.candidates is None else data.candidates[split]

    def __call__(self, users: Tensor, items: Tensor) -> dict[str, float]:
        """Return metrics such as "recall@20", means over the evaluated users, from users (U, D) and items (I, D)."""
        return self.per_user(users, items).mean(self.ks)

    @torch.no_grad()
    def per_user(self, users: Tensor, items: Tensor) -> PerUser:
        """Return the hits of each evaluated user from final embeddings (U, D) and (I, D), up to the largest k."""
        if self.candidates is None:
            return rank_all(users, items, self.positives, self.data.train, max(self.ks))
        return rank_candidates(users, items, self.positives, self.candidates, max(self.ks))


def rank_all(users: Tensor, items: Tensor, positives: Interactions, seen: Interactions, k: int) -> PerUser:
    """Return the best min(k, items) of all items but the `seen` ones, for each user with `positives`."""
    device, n_items = users.device, len(items)
    counts = shared_tensor(positives.counts).to(device)
    evaluated = counts.nonzero().squeeze(1)  # (B,)
    keys_of_positives = torch.from_numpy(positives.users * n_items + positives.items).to(device)  # ascending
    hits = []
    for block in evaluated.split(block_size(n_items, device)):
        keys = block.unsqueeze(1) * n_items + top_items(users, items, block, k, seen)[1]
        place = torch.searchsorted(keys_of_positives, keys).clamp_(max=len(keys_of_positives) - 1)
        hits.append(keys_of_positives[place] == keys)
    return PerUser(evaluated, torch.cat(hits), counts[evaluated])


def rank_candidates(
    users: Tensor, items: Tensor, positives: Interactions, negatives: NDArray[np.int64], k: int
) -> PerUser:
    """Return the first k ranks of each user's one positive among `negatives` (B, N), as AMR's reference code ranks.

    `negatives`: a row for each user with a positive, ascending; an item that a row repeats counts as often. An item
    with the positive's score ranks above it.
    """
    evaluated, of_users, against = (
        shared_tensor(array).to(users.device) for array in (positives.users, positives.items, negatives)
    )
    ranks = []
    for block in torch.arange(len(evaluated), device=users.device).split(block_size(len(items), users.device)):
        scores = users.index_select(0, evaluated[block]) @ items.t()
        positive = scores.gather(1, of_users[block].unsqueeze(1))
        ranks.append((~(scores.gather(1, against[block]) < positive)).sum(1))
    ranks_from_0 = torch.arange(k, device=users.device)
    return PerUser(evaluated, torch.cat(ranks).unsqueeze(1) == ranks_from_0, torch.ones_like(evaluated))


def top_items(
    users: Tensor, items: Tensor, block: Tensor, k: int, seen: Interactions | None = None
) -> tuple[Tensor, Tensor]:
    """Return scores and numbers of the best items of the users in `block` (b,), best first, (b, min(k, items)) each.

    Items that are `seen` have a score of minus infinity, and so come last.
    """
    scores = users.index_select(0, block) @ items.t()
    if seen is not None:
        indptr = shared_tensor(seen.indptr).to(block.device)
        start, count = indptr[block], indptr[block + 1] - indptr[block]
        row = torch.repeat_interleave(torch.arange(len(block), device=block.device), count)
        within = torch.arange(len(row), device=block.device) - (count.cumsum(0) - count)[row]
        columns = shared_tensor(seen.items).to(block.device)[start[row] + within]
        scores[row, columns] = -torch.inf
    return scores.topk(min(k, len(items)), dim=1)


def block_size(n_items: int, device: torch.device) -> int:
    """Return the number of users that are scored at a time."""
    n_scores = BLOCK_SCORES if device.type == "cpu" else 32 * BLOCK_SCORES
    return max(1, n_scores // n_items)
