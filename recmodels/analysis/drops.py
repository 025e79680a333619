"""How much a metric falls under a perturbation: drops, what sums up a curve of them, and intervals over the users."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recmodels.analysis.draws import seed_of

LEAST_CLEAN = 1e-4
"""Below this a metric is too small for a share of it to mean anything."""
RESAMPLES = 1000
COVERAGE = 0.95
STEEP_UP_TO = 0.2
"""Levels up to this one make the slope at the origin."""
PAPERS_DROP = 16.9
"""Percent that plain BM3 loses by the noise of the paper's table 4, whose deviation the paper does not say."""

Values = NDArray[np.float64]


def drop(clean: float, perturbed: float) -> float | None:
    """Return the relative drop, 100 * (clean - perturbed) / clean, in percent; None for a clean value below
    LEAST_CLEAN."""
    return None if clean < LEAST_CLEAN else 100 * (clean - perturbed) / clean


@dataclass(frozen=True)
class CurveSummary:
    """What sums up the drops over the levels, in percent. `area`: integral over the levels from 0 to 1, by trapezoids;
    None if the levels do not reach from 0 to 1. `half`: the smallest level with a drop of 50, interpolated; None: none
    has. `slope`: of the line through the origin that fits the levels up to STEEP_UP_TO, percent per unit of level; None
    without such levels."""

    area: float | None
    half: float | None
    slope: float | None


def curve_summary(levels: Sequence[float], drops: Sequence[float]) -> CurveSummary:
    """Return the summary of the drops (n,) at ascending levels (n,)."""
    x, y = np.asarray(levels, dtype=np.float64), np.asarray(drops, dtype=np.float64)
    area = None
    if x[0] == 0 and x[-1] >= 1:
        inside = x < 1
        xs, ys = np.append(x[inside], 1.0), np.append(y[inside], np.interp(1.0, x, y))
        area = float(np.trapezoid(ys, xs))
    half = None
    if (y >= 50).any():
        place = int(np.argmax(y >= 50))
        if place == 0:
            half = float(x[0])
        else:
            share = (50 - y[place - 1]) / (y[place] - y[place - 1])
            half = float(x[place - 1] + share * (x[place] - x[place - 1]))
    near = (x > 0) & (x <= STEEP_UP_TO)
    slope = float((x[near] * y[near]).sum() / np.square(x[near]).sum()) if near.any() else None
    return CurveSummary(area, half, slope)


@dataclass(frozen=True, eq=False)
class Intervals:
    """95 % bootstrap intervals over users, for m models at n levels: low and high ends, (m, n, 2) each.

    `drops`: of the relative drop, in percent. `against`: of the drop less that of the first model. `values`: of the
    perturbed metric less that of the first model. NaN where the first or the model itself has no drop.
    """

    drops: Values
    against: Values
    values: Values


def bootstrap(clean: Values, perturbed: Values, seed: int) -> Intervals:
    """Return percentile intervals from RESAMPLES draws of users with replacement, the same for all models and levels.

    `clean` (m, u), `perturbed` (m, n, u): a metric of each user for m models at n levels, means over the draws of the
    noise. Efron and Tibshirani, An Introduction to the Bootstrap, 1993, chapter 13.
    """
    m, n, u = perturbed.shape
    columns = np.concatenate([clean.reshape(m, u), perturbed.reshape(m * n, u)]).T  # (u, m + m n)
    rng = np.random.default_rng(seed_of(seed, "bootstrap"))
    means = np.empty((RESAMPLES, columns.shape[1]))
    for row in means:
        row[:] = np.bincount(rng.integers(u, size=u), minlength=u) @ columns
    means /= u
    base, under = means[:, :m, None], means[:, m:].reshape(RESAMPLES, m, n)
    with np.errstate(divide="ignore", invalid="ignore"):
        found = np.where(clean.mean(axis=1)[:, None] < LEAST_CLEAN, np.nan, 100 * (base - under) / base)
    return Intervals(_ends(found), _ends(found - found[:, :1]), _ends(under - under[:, :1]))


def _ends(resampled: Values) -> Values:
    tail = (1 - COVERAGE) / 2
    # A resample may have no clean value at all; a curve without any stays NaN.
    with np.errstate(invalid="ignore"):
        return np.moveaxis(np.quantile(resampled, [tail, 1 - tail], axis=0), 0, -1)


def level_of_drop(
    drop_at: Callable[[float], float | None], target: float = PAPERS_DROP, most: float = 8.0, within: float = 0.1
) -> float | None:
    """Return a level whose drop is `target` percent, by bisection to `within` percent; None if `most` has less.

    `drop_at`: the drop at a level, which rises with it but for chance; None where there is no drop.
    """
    low, high = 0.0, 0.5
    while True:
        found = drop_at(high)
        if found is None or math.isnan(found):
            return None
        if found >= target:
            break
        low, high = high, 2 * high
        if high > most:
            return None
    for _ in range(30):
        middle = (low + high) / 2
        found = drop_at(middle)
        if found is None:
            return None
        if abs(found - target) <= within:
            return middle
        low, high = (middle, high) if found < target else (low, middle)
    return high  # the metric jumps there: few users
