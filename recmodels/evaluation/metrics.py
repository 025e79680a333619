"""Ranking metrics as pure functions of where each user's positives rank. The definitions are the benchmark's (MMRec);
of items with equal scores every order counts alike, and a metric is its expected value over these orders."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import Ints

Values = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Ranks:
    """Where the positives of each user rank, users one after the other, each with the best positive first.

    `n_positives` (B,): of each user, at least 1, P in all. `better` (P,): items ranked that have a larger score than
    the positive. `tied` (P,): items ranked that have the positive's score, itself among them. So its rank, from 1, is
    one of `better` + 1, ..., `better` + `tied`, each as likely as the others. The positives themselves are ranked too.
    """

    n_positives: Ints
    better: Ints
    tied: Ints

    @classmethod
    def of(cls, n_positives: Ints, better: Ints, tied: Ints) -> "Ranks":
        """Return ranks whose positives (P,) come in any order within each user."""
        order = np.lexsort((better, np.repeat(np.arange(len(n_positives)), n_positives)))
        return cls(n_positives, better[order], tied[order])

    @cached_property
    def starts(self) -> Ints:
        """Index of the first positive of each user, (B,)."""
        return np.cumsum(self.n_positives) - self.n_positives

    @cached_property
    def above(self) -> Ints:
        """Number of the user's positives with a larger score than each positive, (P,)."""
        begins = np.ones(len(self.better), dtype=bool)  # of positives that are tied with none before them
        begins[1:] = self.better[1:] != self.better[:-1]
        begins[self.starts] = True
        first = np.maximum.accumulate(np.where(begins, np.arange(len(begins)), 0))
        return first - np.repeat(self.starts, self.n_positives)

    @cached_property
    def place(self) -> Ints:
        """Number of the user's positives that are tied with each positive and stand before it here, (P,)."""
        return np.arange(len(self.better)) - np.repeat(self.starts, self.n_positives) - self.above

    @cached_property
    def equal(self) -> Ints:
        """Number of the user's positives that are tied with each positive, itself among them, (P,)."""
        groups = np.cumsum(self.place == 0) - 1
        return np.bincount(groups)[groups]

    def places_in(self, k: int) -> Ints:
        """Return how many of its `tied` possible ranks lie in the top k for each positive, (P,)."""
        return np.clip(k - self.better, 0, self.tied)

    def mean_of(self, by_rank: Values) -> Values:
        """Return the mean of `by_rank` (k,) over the possible ranks of each positive, (P,); beyond rank k it is 0."""
        k = len(by_rank)
        padded, sums = np.append(by_rank, 0.0), np.append(0.0, np.cumsum(by_rank))
        over_ties = (sums[np.minimum(self.better + self.tied, k)] - sums[np.minimum(self.better, k)]) / self.tied
        return np.where(self.tied == 1, padded[np.minimum(self.better, k)], over_ties)

    def total(self, values: Values) -> Values:
        """Return the sum of (P,) values over the positives of each user, (B,)."""
        return np.add.reduceat(values, self.starts)


def recall(ranks: Ranks, k: int) -> Values:
    """Return the share of the user's positives found in the top k."""
    return ranks.total(ranks.places_in(k) / ranks.tied) / ranks.n_positives


def precision(ranks: Ranks, k: int) -> Values:
    """Return the share of the top k that are positives."""
    return ranks.total(ranks.places_in(k) / ranks.tied) / k


def hit(ranks: Ranks, k: int) -> Values:
    """Return 1 where the top k holds a positive at all, else 0."""
    # The probability that none is in it: one factor for each positive, given that those before it are not.
    tied, place = ranks.tied, ranks.place
    misses = np.clip((tied - ranks.places_in(k) - place) / (tied - place), 0, 1)
    return 1 - np.multiply.reduceat(misses, ranks.starts)


def ndcg(ranks: Ranks, k: int) -> Values:
    """Return the discounted gain 1 / log2(rank + 1), over that of a list with all positives in front."""
    gains = 1 / np.log2(np.arange(2, k + 2))  # (k,)
    return ranks.total(ranks.mean_of(gains)) / np.cumsum(gains)[np.minimum(ranks.n_positives, k) - 1]


def average_precision(ranks: Ranks, k: int) -> Values:
    """Return the precision at the rank of each positive in the top k, summed, over min(k, n_positives); its mean is
    MAP."""
    # A positive at the t-th of its tied ranks has the rank r = better + t and, on the average, (t - 1) * share of the
    # positives tied with it before it. So precision is (above + 1 + (t - 1) * share) / r, or less_share / r + share.
    share = (ranks.equal - 1) / np.maximum(ranks.tied - 1, 1)
    less_share = ranks.above + 1 - share * (ranks.better + 1)
    mean = less_share * ranks.mean_of(1 / np.arange(1.0, k + 1)) + share * ranks.places_in(k) / ranks.tied
    return ranks.total(mean) / np.minimum(ranks.n_positives, k)


METRICS: dict[str, Callable[[Ranks, int], Values]] = {
    "recall": recall,
    "precision": precision,
    "map": average_precision,
    "ndcg": ndcg,
    "hit": hit,
}
"""The functions by the names in `recmodels.metric.NAMES`; all return (B,) float64 in [0, 1], unrounded."""
