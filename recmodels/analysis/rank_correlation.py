"""Rank correlations of a few pairs of values, with intervals that promise no more than few pairs can say."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.05
LEAST = 3
"""Pairs, below which an order says nothing."""


@dataclass(frozen=True)
class Rank:
    """A rank correlation with its 95 % interval; None for too few pairs."""

    value: float
    low: float | None
    high: float | None


@dataclass(frozen=True)
class RankCorrelation:
    """How far two orders of `n` things agree. `p`: of a two-sided test of Spearman's, None for too few pairs."""

    n: int
    spearman: Rank
    kendall: Rank
    p: float | None


def rank_correlation(x: Sequence[float], y: Sequence[float], lost: int = 0) -> RankCorrelation | None:
    """Return Spearman's rho and Kendall's tau-b of pairs x, y (n,); None for fewer than LEAST, and where all values of
    one are equal.

    Intervals by Fisher's z: the variance of Spearman's is (1 + rho^2 / 2) / (n - 3), of Kendall's 0.437 / (n - 4);
    Bonett and Wright, Psychometrika 65, 2000. Fisher's z of a perfect agreement is infinite whatever n is, so for the
    interval an agreement counts as at most half an exchange of two neighbours short of perfect. The test is the one
    that agrees with Spearman's interval.
    `lost`: degrees of freedom that were spent before, such as on means that were subtracted.
    """
    n = len(x)
    if n < LEAST or len(set(x)) == 1 or len(set(y)) == 1:
        return None
    rho, tau = float(stats.spearmanr(x, y).statistic), float(stats.kendalltau(x, y).statistic)
    near_rho, near_tau = 1 - 6 / (n * (n * n - 1)), 1 - 2 / (n * (n - 1))
    spearman, p = _interval(rho, near_rho, 1 + rho**2 / 2, n - 3 - lost)
    kendall, _ = _interval(tau, near_tau, 0.437, n - 4 - lost)
    return RankCorrelation(n, spearman, kendall, p)


def _interval(value: float, most: float, spread: float, freedom: int) -> tuple[Rank, float | None]:
    """Return a correlation with its interval, and the p value of none. `most`: the largest that Fisher's z takes."""
    if freedom < 1:
        return Rank(value, None, None), None
    z, error = math.atanh(max(-most, min(most, value))), math.sqrt(spread / freedom)
    half = float(stats.norm.ppf(1 - LEVEL / 2)) * error
    low, high = np.tanh([z - half, z + half]).tolist()
    return Rank(value, min(low, value), max(high, value)), 2 * float(stats.norm.sf(abs(z) / error))
