"""Which points of a front stay on it when they are trained on several seeds, and which these do not tell apart."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from recmodels.evaluation.paired_tests import mean_interval, pair_by_key
from tuning.objectives import KNEE, Objective, front
from tuning.objectives.objective import is_trial
from tuning.objectives.pareto import dominates
from tuning.records.front import place_of_pick

BySeed = Sequence[Mapping[int, float]]
"""A configuration's values on its seeds, seed -> value, for each objective in their order."""


@dataclass(frozen=True)
class FrontOfMeans:
    """Places among the configurations that were confirmed.

    `stays`: those on the front of the means. `alike`: place -> others from which the seeds tell it apart in no
    objective. `beaten`: place -> one whose means are at least as good in all objectives, of those off the front.
    `incomplete`: those with fewer seeds than others, which are off it. `chosen`: what was picked.
    """

    stays: tuple[int, ...]
    alike: dict[int, tuple[int, ...]]
    beaten: dict[int, int]
    incomplete: tuple[int, ...]
    chosen: int


def front_of_means(
    objectives: Sequence[Objective], found: Sequence[BySeed], trials: Sequence[str], pick: str
) -> FrontOfMeans:
    """Return what the seeds say of at least one configuration. `trials`: theirs in the search. `pick`: of its spec.

    A configuration counts with the seeds on which it has all objectives. Two are told apart in an objective if the 95 %
    interval of their difference, paired by seed, excludes 0; with one seed, in none. A pick that names a trial is that
    configuration; the knee and the best by an objective are of those that stay.
    """
    values = [_complete(each) for each in found]
    seeds = [len(each[0]) for each in values]
    compared = [place for place, number in enumerate(seeds) if number == max(seeds) > 0]
    means = {
        place: tuple(each.gain(fmean(own.values())) for each, own in zip(objectives, values[place], strict=True))
        for place in compared
    }
    stays = tuple(compared[at] for at in front([means[place] for place in compared]))
    alike = {
        place: tuple(other for other in compared if other != place and not _apart(values[place], values[other]))
        for place in compared
    }
    beaten = {
        place: next(other for other in stays if dominates(means[other], means[place]))
        for place in compared
        if place not in stays
    }
    incomplete = tuple(place for place in range(len(found)) if place not in compared)
    return FrontOfMeans(stays, alike, beaten, incomplete, _chosen(objectives, means, stays, trials, pick))


def _chosen(
    objectives: Sequence[Objective],
    means: Mapping[int, tuple[float, ...]],
    stays: Sequence[int],
    trials: Sequence[str],
    pick: str,
) -> int:
    if not stays:
        return 0
    if pick in trials and trials.index(pick) in means:
        return trials.index(pick)
    rule = KNEE if is_trial(pick) else pick
    return stays[place_of_pick(rule, objectives, [means[place] for place in stays])]


def _complete(found: BySeed) -> list[dict[int, float]]:
    """Return the values of each objective on the seeds that have all of them, seeds ascending."""
    shared = sorted(set.intersection(*(set(each) for each in found)))
    return [{seed: each[seed] for seed in shared} for each in found]


def _apart(one: BySeed, other: BySeed) -> bool:
    """Return whether the seeds tell two configurations apart in some objective."""
    for ours, theirs in zip(one, other, strict=True):
        pair = pair_by_key(ours, theirs)
        interval = mean_interval(pair.ours - pair.theirs)
        if interval is not None and not interval[0] <= 0 <= interval[1]:
            return True
    return False
