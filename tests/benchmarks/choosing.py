"""Rules that choose the winner of a search, against the winner's curse: pure functions of its trials' validation.

The luckiest observation is what a search takes. The others pool what else is known of a trial: its epochs around the
best one, its metrics at other cut-offs, or the trials beside it in the space. `tuning.records.selection` has the
product's rule.
"""

import math
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import ConstantKernel, Matern, WhiteKernel

from tuning.space import Range, Space

POOLED = [f"{name}@{k}" for name in ("recall", "ndcg") for k in (5, 10, 20, 50)]
"""The metrics that are pooled."""
WIDTH = 5
"""Evaluations around the best one whose mean is taken."""


@dataclass(frozen=True)
class Candidate:
    """A trial that finished. `valid`: epoch -> validation metrics, for the epochs that were evaluated, ascending.
    `point`: its coordinates in the unit cube, as `unit_cube` makes them."""

    valid: Mapping[int, Mapping[str, float]]
    point: Sequence[float]

    def curve(self, metric: str) -> NDArray[np.float64]:
        """Return the metric of every evaluated epoch, (n,)."""
        return np.array([row[metric] for row in self.valid.values()])

    def around_the_best(self, metric: str, width: int) -> list[Mapping[str, float]]:
        """Return the metrics of the `width` evaluations around the best one, or of all if they are fewer."""
        rows = list(self.valid.values())
        first = int(self.curve(metric).argmax()) - width // 2
        first = max(0, min(first, len(rows) - width))
        return rows[first : first + width]


Rule = Callable[[Sequence[Candidate], str], NDArray[np.float64]]
"""The score of each candidate (k,), of which the largest wins, from the candidates and the metric that decides."""


def luckiest(candidates: Sequence[Candidate], metric: str) -> NDArray[np.float64]:
    """Return the best value of each."""
    return np.array([each.curve(metric).max() for each in candidates])


def last_epochs(candidates: Sequence[Candidate], metric: str) -> NDArray[np.float64]:
    """Return the mean over the evaluations around the best one."""
    return np.array([_mean(each.around_the_best(metric, WIDTH), metric) for each in candidates])


def cut_offs(candidates: Sequence[Candidate], metric: str) -> NDArray[np.float64]:
    """Return the mean of the POOLED metrics at the best epoch, each in standard deviations between the candidates."""
    return _pooled([each.around_the_best(metric, 1) for each in candidates])


def epochs_and_cut_offs(candidates: Sequence[Candidate], metric: str) -> NDArray[np.float64]:
    """Return the mean of the POOLED metrics over the evaluations around the best one, each in standard deviations."""
    return _pooled([each.around_the_best(metric, WIDTH) for each in candidates])


def posterior(candidates: Sequence[Candidate], metric: str) -> NDArray[np.float64]:
    """Return the mean that a Gaussian process, fitted to the best values, has at each candidate.

    Matern kernel of order 5/2 with a length for each coordinate, and noise, all of the largest likelihood: Rasmussen
    and Williams, Gaussian Processes for Machine Learning, 2006, chapters 4 and 5.
    """
    points, values = np.array([each.point for each in candidates]), luckiest(candidates, metric)
    if len(points) < 3 or not points.shape[1] or np.ptp(values) == 0:
        return values
    lengths = Matern(np.ones(points.shape[1]), (0.05, 20.0), nu=2.5)
    kernel = ConstantKernel(1.0, (0.01, 10.0)) * lengths + WhiteKernel(0.3, (0.01, 2.0))
    process = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=2, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length at its bound: the coordinate does not matter
        process.fit(points, values)
    return process.predict(points)


RULES: dict[str, Rule] = {
    "luckiest": luckiest,
    "last epochs": last_epochs,
    "cut-offs": cut_offs,
    "epochs and cut-offs": epochs_and_cut_offs,
    "posterior": posterior,
}


def chosen(rule: Rule, candidates: Sequence[Candidate], metric: str) -> int:
    """Return the place of the candidate that the rule takes, the first of equal ones."""
    return int(rule(candidates, metric).argmax())


def held(rule: Rule, searches: Sequence[Sequence[Candidate]], values: NDArray[np.float64], metric: str) -> float:
    """Return the mean value on other seeds of what the rule takes on each seed.

    `searches`: for each of S > 1 seeds the same k candidates. `values` (S, k): what is to hold, such as the test metric
    of each candidate on each seed.
    """
    total, seeds = 0.0, len(searches)
    for seed, candidates in enumerate(searches):
        others = np.delete(values[:, chosen(rule, candidates, metric)], seed)
        total += others.mean()
    return total / seeds


def unit_cube(space: Space, point: Mapping[str, Any]) -> list[float]:
    """Return a point's coordinates in [0, 1]: a range as its distribution scales it, a choice as one for each value,
    so that two of them are 1 apart."""
    found: list[float] = []
    for name, each in space.dimensions.items():
        if isinstance(each, Range):
            low, high, value = (math.log(x) if each.log else x for x in (each.low, each.high, point[name]))
            found.append((value - low) / (high - low) if high > low else 0.0)
        else:
            found += [math.sqrt(0.5) * (point[name] == value) for value in each.values]
    return found


def _mean(rows: Sequence[Mapping[str, float]], metric: str) -> float:
    return float(np.mean([row[metric] for row in rows]))


def _pooled(rows: Sequence[Sequence[Mapping[str, float]]]) -> NDArray[np.float64]:
    """Return the mean standard score of the POOLED metrics, from the rows of each candidate."""
    values = np.array([[_mean(each, metric) for metric in POOLED] for each in rows])  # (k, metrics)
    spread = values.std(axis=0)
    return ((values - values.mean(axis=0)) / np.where(spread > 0, spread, 1.0)).mean(axis=1)
