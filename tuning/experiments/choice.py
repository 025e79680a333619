"""The choice among configurations that were trained on several seeds, by validation alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import NamedTuple

from recmodels.evaluation.paired_tests import mean_interval, pair_by_key


class Candidate(NamedTuple):
    """A configuration that was trained on several seeds.

    `values`: seed -> validation value, of the seeds on which it has one. `passes`: per epoch. `epochs`: of a training,
    in the mean.
    """

    values: Mapping[int, float]
    passes: float
    epochs: float


@dataclass(frozen=True)
class Choice:
    """Places among the candidates. `alike`: those that the seeds do not tell apart from the best, which is the first.

    `chosen`: the cheapest of these.
    """

    chosen: int
    alike: tuple[int, ...]

    @property
    def best(self) -> int:
        return self.alike[0]


def choose(candidates: Sequence[Candidate]) -> Choice:
    """Return the choice among at least one candidate.

    The best one has the largest mean; one that has no value on some seed comes behind all that have more of them. A
    candidate is told apart from the best if the 95 % confidence interval of their difference, paired by seed, does not
    contain 0, and where they share fewer than two seeds. Of those that are not, the one with the fewest passes per
    epoch is chosen, of equal ones that with the fewest epochs, then that with the larger mean.
    """
    order = sorted(range(len(candidates)), key=lambda place: _standing(candidates[place]), reverse=True)
    best = candidates[order[0]]
    alike = (order[0], *(place for place in order[1:] if not _apart(best, candidates[place])))
    return Choice(min(alike, key=lambda place: (candidates[place].passes, candidates[place].epochs)), alike)


def _standing(candidate: Candidate) -> tuple[int, float]:
    return len(candidate.values), fmean(candidate.values.values()) if candidate.values else 0.0


def _apart(best: Candidate, other: Candidate) -> bool:
    if len(other.values) < len(best.values):  # it failed where the best did not
        return True
    pair = pair_by_key(best.values, other.values)
    interval = mean_interval(pair.ours - pair.theirs)
    return interval is None or not interval[0] <= 0 <= interval[1]
