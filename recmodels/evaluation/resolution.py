"""How small a difference a split can tell apart: before a search from the split, after it from the users' values of
its configurations; how much of their spread is luck of the users, and what further configurations are worth.

All of it is luck of the users alone. What another seed of the training gives comes on top, unless seeds are averaged.
"""

import math
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, special, stats

from recmodels.evaluation.paired_tests import LEVEL

Values = NDArray[np.floating]

CORRELATION = 0.8
"""Correlation of the users' values of two configurations of one model and seed, which a forecast assumes: 0.80 for VBPR
and 0.90 for LightGCN on tiktok, recall@20; of two seeds 0.51 and 0.80."""
ABOVE_POPULARITY = 2.0
"""A trained model's metric over popularity's, which a forecast assumes: 1.5 on tiktok, 3 on the Amazon sets."""
BLOCK = 4096
"""Users whose values are multiplied at a time."""


@dataclass(frozen=True)
class Forecast:
    """What is to be expected of a split before anything is trained. `users`: those that are evaluated.

    `alone`: standard error of a configuration's metric. `paired`: of the difference of two configurations of one model
    on the same users.
    """

    users: int
    alone: float
    paired: float

    @property
    def unpaired(self) -> float:
        """The standard error of the difference of two metrics of which the means alone are known."""
        return math.sqrt(2) * self.alone


def forecast(popularity: Values, ratio: float = ABOVE_POPULARITY, correlation: float = CORRELATION) -> Forecast:
    """Return the forecast from the values (n,) of the metric that popularity reaches for each user, n > 1.

    The metric's variance over the users grows with its level p as p (1 - p), as that of a hit does; the level is
    `ratio` times popularity's. A popularity that hits nobody, or everybody, counts as if that
    were true of all but one.
    """
    n = len(popularity)
    low = float(np.clip(popularity.mean(), 1 / n, 1 - 1 / n))
    level = min(ratio * low, max(low, 0.5))
    variance = max(float(popularity.var(ddof=1)), 1 / n) * level * (1 - level) / (low * (1 - low))
    return Forecast(n, math.sqrt(variance / n), math.sqrt(2 * (1 - correlation) * variance / n))


def smallest_difference(error: float, power: float = 0.5) -> float:
    """Return the true difference that a two-sided test finds in a share `power` of all cases.

    `error`: standard error of the difference. With one half it is the observed difference that is just significant.
    Cohen, Statistical Power Analysis, 1988, chapter 2, for large samples.
    """
    return error * float(stats.norm.isf(LEVEL / 2) + stats.norm.ppf(power))


@dataclass(frozen=True, eq=False)
class Differences:
    """Configurations compared on the same users. `means` (k,): the metric of each. `errors` (k, k): standard error of
    the difference of each two, paired over the users. `users`: their number."""

    means: Values
    errors: Values
    users: int

    def may_be_best(self) -> NDArray[np.bool_]:
        """Return which configurations may be the best of them, (k,): with a confidence of 95 % it is among these.

        One is left out if another one is significantly better in a one-sided test, Bonferroni's correction for k - 1
        tests. Subset selection: Gupta, Technometrics 7, 1965; comparisons with the best: Hsu, Annals of Statistics 12,
        1984. That the best one is seen only afterwards is allowed for.
        """
        needed = stats.norm.isf(LEVEL / (len(self.means) - 1)) * self.errors
        return ~(self.means[:, None] - self.means > needed).any(axis=0)

    @cached_property
    def spread(self) -> "Spread":
        """How much the means spread, and how much of that is luck."""
        k = len(self.means)
        luck = np.square(self.errors).sum() / (2 * k * (k - 1))
        return Spread(k, float(self.means.std(ddof=1)), math.sqrt(luck))


def differences(values: Sequence[Values]) -> Differences:
    """Return the comparison of k > 1 configurations from the values (n,) of each for the same n > 1 users."""
    n, means = len(values[0]), np.array([each.mean(dtype=np.float64) for each in values])
    products = np.zeros((len(values), len(values)))
    for start in range(0, n, BLOCK):
        block = np.stack([each[start : start + BLOCK] for each in values]) - means[:, None]
        products += block @ block.T
    own = products.diagonal()
    squared = np.maximum(own[:, None] + own - 2 * products, 0.0) / (n * (n - 1))
    np.fill_diagonal(squared, 0.0)
    return Differences(means, np.sqrt(squared), n)


@dataclass(frozen=True)
class Spread:
    """The standard deviation between the metrics of k configurations. `luck`: that which they would have if all were
    equally good, from the users alone.

    The analysis of variance of a table of configurations by users: Shrout and Fleiss, Psychological Bulletin 86, 1979,
    case 3. What is said of further configurations holds for random ones, whose true metrics are normal.
    """

    configurations: int
    observed: float
    luck: float

    @property
    def true(self) -> float:
        """The standard deviation of the metrics on infinitely many users; 0 if luck explains all that is observed."""
        return math.sqrt(max(0.0, self.observed**2 - self.luck**2))

    @property
    def reliability(self) -> float:
        """The share of the variance between the configurations that is no luck, in [0, 1]."""
        return (self.true / self.observed) ** 2 if self.observed else 0.0

    @property
    def flattery(self) -> float:
        """How much the best observed metric is expected to exceed its true value: the winner's curse."""
        return (1 - self.reliability) * self.observed * expected_maximum(self.configurations)

    def gain(self, n: int) -> float:
        """Return by how much the true metric of the best observed of n configurations exceeds the mean one.

        Expected value, sqrt(reliability) * true * E[max of n]: Cochran, Proc. 2nd Berkeley Symposium, 1951, on the
        selection by a predictor.
        """
        return self.reliability * self.observed * expected_maximum(n)

    def enough(self, least: float, more: int = 10) -> int:
        """Return the number of configurations beyond which `more` of them gain less than `least` > 0."""
        high = 1
        while self.gain(high + more) - self.gain(high) >= least:  # it falls with n
            high *= 2
        return bisect_left(range(1, high), True, key=lambda n: self.gain(n + more) - self.gain(n) < least) + 1


def expected_maximum(n: int) -> float:
    """Return the mean of the largest of n >= 1 independent standard normal values."""

    def density(x: float) -> float:
        return x * n * math.exp(-(x**2) / 2) / math.sqrt(2 * math.pi) * float(special.ndtr(x)) ** (n - 1)

    return float(integrate.quad(density, -12, 12, limit=200, points=[0.0, 2.0, 4.0])[0])
