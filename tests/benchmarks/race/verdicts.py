"""Is the winner of a search at a share of the grid's cost as good as the grid's winner? On fresh seeds."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any, Literal

import numpy as np
from scipy import stats

from recmodels.evaluation.paired_tests import LEVEL
from tests.benchmarks.race.setting import Method, Race
from tests.benchmarks.race.simulation import Outcome
from tests.benchmarks.race.stages import Found, Plan, shown
from tuning.records import TrialRecord

Split = Literal["test", "valid"]
SPLITS: tuple[Split, ...] = ("test", "valid")
MARGIN = 0.01
"""A winner that is worse by this share of the grid's winner, or less, is not worse."""


@dataclass(frozen=True)
class NotWorse:
    """A winner against the grid's on the same fresh seeds.

    `difference`: mean of winner less grid's. `low`: lower end of its one-sided 95 % interval, None for one value.
    `margin`: what may be lost.
    """

    difference: float
    low: float | None
    margin: float

    @property
    def holds(self) -> bool | None:
        """Whether the winner is not worse by more than the margin; None without an interval."""
        return None if self.low is None else self.low > -self.margin


@dataclass(frozen=True)
class Verdict:
    """The winner of a method against the grid's. `seed`: of the sampler; None: over all of them."""

    method: Method
    seed: int | None
    split: Split
    found: NotWorse

    def sentence(self, share: float) -> str:
        """Say what a method's winners come to; `share`: of the grid's passes that found them."""
        each, grids = self.found, self.found.margin / MARGIN
        sure = "" if each.low is None else f", at least {each.low / grids:+.1%} with 95 % confidence"
        said = {
            True: f"not worse than the grid's winner by more than {MARGIN:.0%}",
            False: f"that they lose at most {MARGIN:.0%} to the grid's winner is not shown",
            None: "of one value nobody knows how much is chance",
        }[each.holds]
        found = f"Winners of {self.method} at {share:.0%} of the grid's passes, less the grid's winner"
        return f"{found}: {each.difference / grids:+.1%} on {self.split}{sure}: {said}."

    def cells(self) -> list[Any]:
        """Return the row of a table."""
        each = self.found
        said = {True: "yes", False: "not shown", None: "-"}[each.holds]
        return [
            str(self.method),
            "all" if self.seed is None else str(self.seed),
            self.split,
            each.difference,
            each.low,
            each.margin,
            said,
        ]

    def to_json(self) -> dict[str, Any]:
        return {
            "method": str(self.method),
            "seed": self.seed,
            "split": self.split,
            **asdict(self.found),
            "not_worse": self.found.holds,
        }


def verdicts(race: Race, plan: Plan, found: Found) -> list[Verdict]:
    """Return a verdict for each method that was confirmed, over all its searches, then for each of these."""
    return list(_verdicts(race, plan, found)) if found.confirmed else []


def _verdicts(race: Race, plan: Plan, found: Found) -> Iterator[Verdict]:
    for split in SPLITS:
        grids = _values(race, found, found.grid, split)
        for method in plan.confirm:
            ours = [_values(race, found, outcome, split) for outcome in found.raced[method]]
            yield Verdict(method, None, split, not_worse_by_method(ours, grids))
            for seed, values in enumerate(ours):
                yield Verdict(method, seed, split, not_worse(values, grids))


def _values(race: Race, found: Found, outcome: Outcome, split: Split) -> list[float]:
    """Return the metric of a search's winner on the fresh seeds; of a run without a result 0."""
    assert outcome.winner
    runs = found.confirmed[shown(outcome.winner.params)]
    if split == "valid":
        return [each.value or 0.0 for each in runs]
    return [_test(race, each) for each in runs]


def _test(race: Race, record: TrialRecord) -> float:
    if record.best_epoch is None:
        return 0.0
    return race.test(record.params, record.seed, record.best_epoch)[race.spec.training.metric]


def not_worse(ours: Sequence[float], grids: Sequence[float]) -> NotWorse:
    """Compare the values of two configurations on the same seeds, (seeds,) each."""
    mean, low = _mean_and_low([a - b for a, b in zip(ours, grids, strict=True)])
    return NotWorse(mean, low, MARGIN * fmean(grids))


def not_worse_by_method(searches: Sequence[Sequence[float]], grids: Sequence[float]) -> NotWorse:
    """Compare the winners of several searches by one method, (searches, seeds), with the grid's, (seeds,).

    A search depends on its sampler's seed and a training on its own: of the interval over the ones and that over the
    others the end that is lower counts.
    """
    differences = np.array(searches) - np.array(grids)  # (searches, seeds)
    ends = [end for axis in (0, 1) if (end := _mean_and_low(differences.mean(axis).tolist())[1]) is not None]
    return NotWorse(float(differences.mean()), min(ends, default=None), MARGIN * fmean(grids))


def _mean_and_low(differences: Sequence[float]) -> tuple[float, float | None]:
    """Return the mean and the lower end of its one-sided t interval; None for fewer than two values."""
    n, mean = len(differences), fmean(differences)
    if n < 2:
        return mean, None
    return mean, mean - float(stats.t.ppf(1 - LEVEL, n - 1)) * stdev(differences) / n**0.5
