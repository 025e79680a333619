"""Whether a difference is more than chance: paired tests, of many users or of a few seeds."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import stats

LEVEL = 0.05

Values = NDArray[np.float64]


class Pair(NamedTuple):
    """Values of a strategy and of the reference; those at one place belong to the same user, or to the same seed."""

    ours: Values
    theirs: Values


@dataclass(frozen=True)
class Contrast:
    """`difference`: mean of ours - theirs, with its 95 % confidence interval; `p`: of a two-sided paired t test."""

    difference: float
    low: float
    high: float
    p: float
    n: int

    @property
    def survives(self) -> bool:
        return self.p < LEVEL


def contrasts(pairs: Mapping[str, Pair]) -> dict[str, Contrast]:
    """One per name, p after Holm's correction for their number. A pair of fewer than two values has none."""
    found = {name: _contrast(pair) for name, pair in pairs.items() if len(pair.ours) > 1}
    ordered = sorted(found, key=lambda name: found[name].p)
    highest = 0.0
    for place, name in enumerate(ordered):  # Holm, Scandinavian Journal of Statistics 6, 1979
        highest = max(highest, min(1.0, (len(ordered) - place) * found[name].p))
        found[name] = replace(found[name], p=highest)
    return found


def _contrast(pair: Pair) -> Contrast:
    differences = pair.ours - pair.theirs
    mean = float(differences.mean())
    if np.ptp(differences) == 0:  # a test would divide by a spread of zero
        return Contrast(mean, mean, mean, 0.0 if mean else 1.0, len(differences))
    test = stats.ttest_1samp(differences, 0.0)
    low, high = test.confidence_interval(1 - LEVEL)
    return Contrast(mean, float(low), float(high), float(test.pvalue), len(differences))
