"""Paired t tests over many users or a few seeds: is a difference more than chance?"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.05
Name = TypeVar("Name")

Values = NDArray[np.float64]


class Pair(NamedTuple):
    """Values of a strategy and of the reference, (n,) each; those at one place belong to the same user or seed."""

    ours: Values
    theirs: Values


@dataclass(frozen=True)
class PairedTest:
    """`difference`: mean of ours - theirs, with its 95 % confidence interval; `p`: of a two-sided paired t test."""

    difference: float
    low: float
    high: float
    p: float
    n: int

    @property
    def survives(self) -> bool:
        return self.p < LEVEL


def mean_interval(values: Sequence[float] | Values) -> tuple[float, float] | None:
    """Return the 95 % confidence interval of the mean by Student's t; None for fewer than two values."""
    if len(values) < 2:
        return None
    mean, half = np.mean(values), stats.t.ppf(1 - LEVEL / 2, len(values) - 1) * stats.sem(values)
    return float(mean - half), float(mean + half)


def pair_by_key(ours: Mapping[int, float], theirs: Mapping[int, float]) -> Pair:
    """Return the values of the keys, users or seeds, that both have, keys ascending."""
    shared = sorted(ours.keys() & theirs.keys())
    return Pair(*(np.array([values[key] for key in shared], dtype=np.float64) for values in (ours, theirs)))


def paired_tests(pairs: Mapping[str, Pair]) -> dict[str, PairedTest]:
    """Return a test per name, p after Holm's correction for their number. A pair of fewer than two values has none."""
    found = {name: _paired_test(pair) for name, pair in pairs.items() if len(pair.ours) > 1}
    corrected = holm({name: test.p for name, test in found.items()})
    return {name: replace(test, p=corrected[name]) for name, test in found.items()}


def holm(ps: Mapping[Name, float]) -> dict[Name, float]:
    """Return p values after Holm's correction for their number, Scandinavian Journal of Statistics 6, 1979."""
    ordered = sorted(ps, key=lambda name: ps[name])
    corrected, highest = dict(ps), 0.0
    for place, name in enumerate(ordered):
        corrected[name] = highest = max(highest, min(1.0, (len(ordered) - place) * ps[name]))
    return corrected


def _paired_test(pair: Pair) -> PairedTest:
    differences = pair.ours - pair.theirs
    mean = float(differences.mean())
    if np.ptp(differences) == 0:  # a test would divide by a spread of zero
        return PairedTest(mean, mean, mean, 0.0 if mean else 1.0, len(differences))
    test = stats.ttest_1samp(differences, 0.0)
    low, high = test.confidence_interval(1 - LEVEL)
    return PairedTest(mean, float(low), float(high), float(test.pvalue), len(differences))
