"""Ranks by counting: how many items have a larger score than a positive, in blocks of users that bound the memory.

No list of the best items is made, so the ranks know no cut-off.
"""

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.data.dataset import Interactions, Ints
from recmodels.models.base import Scorer
from recmodels.ops import shared_tensor

BLOCK_SCORES = 2**19
"""Scores held at a time on the CPU, 2 MiB: they stay in its cache. GPUs: 128 times as many."""
MIN_USERS = 32
"""Users in a block at least, so that their scores are a product of two matrices of some size."""


def block_size(n_items: int, device: torch.device) -> int:
    """Return the number of users that are scored at a time."""
    n_scores = BLOCK_SCORES if device.type == "cpu" else 128 * BLOCK_SCORES
    return max(MIN_USERS, n_scores // n_items)


class Counts(NamedTuple):
    """`better` and `tied` of each positive, (P,) each, users ascending; see `recmodels.evaluation.metrics.Ranks`."""

    better: Ints
    tied: Ints


class _Round(NamedTuple):
    """One positive of each of the first n users of a block. `entries` (n,): in the block's scores, flattened;
    `positives` (n,): in the split."""

    entries: Tensor
    positives: Tensor


@dataclass(frozen=True, eq=False)
class _Block:
    """Users (b,) that are scored together, those with the most positives first. `seen` (n,): entries of the flattened
    scores (items, b) that are not ranked."""

    users: Tensor
    seen: Tensor
    rounds: list[_Round]


class FullRanking:
    """Ranks each user's `positives` among all items but the user's `seen` ones.

    What to count for whom is worked out once for a device and stays on it.
    """

    def __init__(self, positives: Interactions, seen: Interactions, n_items: int, device: torch.device):
        self.n_positives, self.n_items, self.device = len(positives), n_items, device
        # Users with about as many positives side by side: then each round counts for most of a block.
        by_count = np.argsort(-positives.counts, kind="stable")[: np.count_nonzero(positives.counts)]
        size = block_size(n_items, device)
        chosen = [by_count[start : start + size] for start in range(0, len(by_count), size)]
        self.blocks = [self._block(users, positives, seen) for users in chosen]

    @torch.no_grad()
    def count(self, score: Scorer) -> Counts:
        """Count by the scores. One that is not a number, and a positive that is seen, comes after all items."""
        found = torch.zeros(2, self.n_positives, device=self.device)  # floats count exactly up to 2**24 items
        for block in self.blocks:
            scores = score(block.users)  # (I, b)
            entries = scores.view(-1)
            entries.index_fill_(0, block.seen, torch.nan)  # which compares as false with everything
            compared = torch.empty_like(scores)  # a sum of floats is much faster than one of truth values
            for entry, positives in block.rounds:
                own, n = entries.index_select(0, entry), len(entry)
                for row, compare in enumerate((torch.gt, torch.ge)):
                    found[row].index_copy_(
                        0, positives, compare(scores[:, :n], own, out=compared[:, :n]).sum(0).to(found)
                    )
        better, not_below = found.cpu().numpy().astype(np.int64)
        last = not_below == 0  # not even itself
        return Counts(np.where(last, self.n_items, better), np.where(last, self.n_items, not_below - better))

    def _block(self, users: Ints, positives: Interactions, seen: Interactions) -> _Block:
        width, counts = len(users), positives.counts[users]
        columns, rows = entries_of(seen, users)
        rounds = []
        for place in range(counts[0]):
            n = np.count_nonzero(counts > place)
            index = positives.indptr[users[:n]] + place
            rounds.append(_Round(self._tensor(positives.items[index] * width + np.arange(n)), self._tensor(index)))
        return _Block(self._tensor(users), self._tensor(rows * width + columns), rounds)

    def _tensor(self, array: Ints) -> Tensor:
        return torch.from_numpy(np.ascontiguousarray(array)).to(self.device)


class CandidateRanking:
    """Ranks each user's one positive among the user's `candidates` (B, N), as AMR's reference code does: an item with
    the positive's score ranks above it, and an item that a row repeats counts as often.

    `candidates`: a row for each user with a positive, users ascending.
    """

    def __init__(self, positives: Interactions, candidates: NDArray[np.int64], n_items: int, device: torch.device):
        self.device = device
        self.rows = [
            shared_tensor(array).to(device).split(block_size(n_items, device))
            for array in (positives.users, positives.items, candidates)
        ]

    @torch.no_grad()
    def count(self, score: Scorer) -> Counts:
        """Count by the scores."""
        found = []
        for block, positives, candidates in zip(*self.rows, strict=True):
            scores = score(block).t()
            own = scores.gather(1, positives.unsqueeze(1))
            found.append((~(scores.gather(1, candidates) < own)).sum(1))
        better = torch.cat(found).cpu().numpy()
        return Counts(better, np.ones_like(better))


def entries_of(interactions: Interactions, users: Ints) -> tuple[Ints, Ints]:
    """Return, for each interaction of the `users` (b,), the user's place in `users` and the item."""
    counts = interactions.counts[users]
    places = np.repeat(np.arange(len(users)), counts)
    within = np.arange(len(places)) - np.repeat(np.cumsum(counts) - counts, counts)
    return places, interactions.items[interactions.indptr[users][places] + within]
