"""The grid on several seeds: how much of a value is luck, and which rule's choices are good on other seeds."""

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import fmean

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, WhiteKernel

from tests.benchmarks.race.proposers import Point, coordinates, covering
from tests.benchmarks.race.setting import Race
from tests.benchmarks.race.simulation import Outcome
from tuning.records import EpochRow
from tuning.space import Range

WINDOW = 5
"""Epochs around the best one that are pooled."""

Values = NDArray[np.float64]
Rows = Sequence[EpochRow]


@dataclass(frozen=True)
class Noise:
    """Standard deviations of a metric. `points`: of the points' true values. `seeds`: of one point over seeds, without
    what a seed does to all points."""

    points: float
    seeds: float

    @property
    def luck(self) -> float | None:
        """The seeds' share of the variance of values on one seed; None without any."""
        total = self.points**2 + self.seeds**2
        return self.seeds**2 / total if total else None


def noise(values: Values) -> Noise:
    """Return the noise of values (points, seeds), at least two of each: a two-way analysis of variance, one value a
    cell."""
    n_points, n_seeds = values.shape
    rows, columns = values.mean(1, keepdims=True), values.mean(0, keepdims=True)
    residual = values - rows - columns + values.mean()
    error = float((residual**2).sum()) / ((n_points - 1) * (n_seeds - 1))
    between = float(rows.var(ddof=1))
    return Noise(max(0.0, between - error / n_seeds) ** 0.5, error**0.5)


@dataclass(frozen=True)
class Choice:
    """What a rule chooses on one seed is worth on the others: means over the seeds.

    `valid`, `test`: of the chosen point on the other seeds. `lost`: by how much that test value is below the best
    point's there, as a share.
    """

    rule: str
    valid: float
    test: float
    lost: float


Rule = Callable[[Sequence[Rows], Values, str], Values]
"""Scores the points from their curves on one seed, (points,), higher is better; gets their coordinates too."""


def luckiest(curves: Sequence[Rows], at: Values, metric: str) -> Values:
    """The best value of any epoch: what a search does."""
    return np.array([rows[-1].best or 0.0 for rows in curves])


def pooled_epochs(curves: Sequence[Rows], at: Values, metric: str) -> Values:
    """The mean over the epochs around the best one."""
    found = []
    for rows in curves:
        middle = (rows[-1].best_epoch or 1) - 1
        near = rows[max(0, middle - WINDOW // 2) : middle + WINDOW // 2 + 1]
        found.append(fmean(row.valid[metric] for row in near))
    return np.array(found)


def pooled_metrics(curves: Sequence[Rows], at: Values, metric: str) -> Values:
    """The mean rank, over the metric at every cut-off, of the value at the best epoch."""
    kind = metric.partition("@")[0]
    best = [rows[(rows[-1].best_epoch or 1) - 1].valid for rows in curves]
    names = [name for name in best[0] if name.partition("@")[0] == kind]
    return np.mean([stats.rankdata([valid[name] for valid in best]) for name in names], axis=0)


def posterior_mean(curves: Sequence[Rows], at: Values, metric: str) -> Values:
    """The mean of a Gaussian process of the best values."""
    values = luckiest(curves, at, metric)
    kernel = RBF(np.ones(at.shape[1]), (0.1, 10.0)) + WhiteKernel(1.0, (1e-3, 10.0))
    process = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a length or a noise at its bound is an answer too
        return process.fit(at, values).predict(at)


RULES: dict[str, Rule] = {
    "the best value": luckiest,
    f"the mean of {WINDOW} epochs around the best": pooled_epochs,
    "the mean rank over the metric's cut-offs": pooled_metrics,
    "the mean of a Gaussian process": posterior_mean,
}


def choices(curves: Sequence[Sequence[Rows]], tests: Values, at: Values, metric: str) -> list[Choice]:
    """Return what each rule's choices are worth. `curves`: [seed][point]. `tests`, (seeds, points): test values of the
    best epochs. `at`, (points, dimensions): coordinates."""
    valid = np.array([luckiest(each, at, metric) for each in curves])  # (seeds, points)
    found = []
    for name, rule in RULES.items():
        chosen = [int(np.argmax(rule(each, at, metric))) for each in curves]
        others = [[other for other in range(len(curves)) if other != seed] for seed in range(len(curves))]
        worth, test, lost = [], [], []
        for point, rest in zip(chosen, others, strict=True):
            means = tests[rest].mean(0)  # (points,)
            worth.append(float(valid[rest, point].mean()))
            test.append(float(means[point]))
            lost.append(float(1 - means[point] / means.max()))
        found.append(Choice(name, fmean(worth), fmean(test), fmean(lost)))
    return found


@dataclass(frozen=True)
class Luck:
    """What the grid on several seeds says. `seeds`: their number."""

    seeds: int
    valid: Noise
    test: Noise
    choices: list[Choice]


def luck(race: Race, outcomes: Sequence[Outcome]) -> Luck:
    """Return it for the grid's outcome on each seed. Points that failed on one of them are left out on all."""
    metric, curves = race.spec.training.metric, race.curves()
    records = [{each.trial: each for each in outcome.records if each.value is not None} for outcome in outcomes]
    names = sorted(set.intersection(*(set(each) for each in records)))
    rows = [[curves.of(of[n].params, of[n].seed).rows[: of[n].epochs] for n in names] for of in records]
    tests = [[race.test(of[n].params, of[n].seed, of[n].best_epoch or 0)[metric] for n in names] for of in records]
    valid = np.array([luckiest(each, np.empty(0), metric) for each in rows])
    at = unit_coordinates(race, [race.grid.points[int(name)] for name in names])
    return Luck(len(outcomes), noise(valid.T), noise(np.array(tests).T), choices(rows, np.array(tests), at, metric))


def unit_coordinates(race: Race, points: Sequence[Point]) -> Values:
    """Return points of the grid in a unit cube, (points, dimensions); the values of a choice lie evenly, ascending."""
    space = covering(race.spec.space, race.grid)
    found = []
    for point in points:
        at = coordinates(point, space, race.grid)
        row = []
        for name, each in space.dimensions.items():
            if isinstance(each, Range):
                row.append((at[name] - each.low) / (each.high - each.low))
            else:
                row.append(sorted(each.values).index(at[name]) / max(1, each.size - 1))
        found.append(row)
    return np.array(found)
