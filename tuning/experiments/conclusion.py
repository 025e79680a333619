"""The end of an experiment: each search learns which of its configurations was chosen, and exports it."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from statistics import fmean, stdev

from recmodels.evaluation.paired_tests import PairedTest, mean_interval
from recmodels.files import write_whole
from tuning.experiments.confirmed import Confirmed
from tuning.experiments.experiment import Experiment
from tuning.experiments.results import StrategyResult
from tuning.experiments.runner import as_it_runs
from tuning.experiments.verdict import verdict
from tuning.objectives import objectives_of
from tuning.records import Confirmation, Difference, SearchFolder, Spread
from tuning.records.confirmation import FrontPoint
from tuning.search import Outcome
from tuning.spec import SearchSpec


def conclude(
    experiment: Experiment, results: Sequence[StrategyResult], end: Callable[[SearchSpec], Outcome]
) -> dict[str, Outcome]:
    """Write what was chosen into the folders of each search and its runs on fresh seeds, and end both once more by it.

    `results`: of all strategies, in the experiment's order. `end`: opens the test metrics that may be seen now, exports
    the winner of a search, and brings its records in the tracking store up to date. Returns strategy -> outcome of the
    searches that were confirmed. May be repeated.
    """
    outcomes = {}
    for place, result in enumerate(results):
        spec = as_it_runs(experiment, place)
        confirmation = confirmation_of(experiment, results, result)
        if spec and confirmation:
            for each in filter(None, (experiment.confirmation_of(spec), spec)):
                write_whole(SearchFolder.of(each).confirmation, confirmation.to_yaml())
                outcomes[result.strategy] = end(each)
    return outcomes


def confirmation_of(
    experiment: Experiment, results: Sequence[StrategyResult], result: StrategyResult
) -> Confirmation | None:
    """Return one strategy's result as its search keeps it; None if no run on a fresh seed has a result."""
    if not result.confirmed or not result.chosen or not result.tests:
        return None
    compared = experiment.reference is not None and result.strategy != experiment.reference.strategy
    return Confirmation(
        experiment=experiment.name,
        trial=result.chosen.trial,
        choice=result.confirmed.why(),
        seeds=tuple(result.tests),
        metric=experiment.metric,
        valid=spread(result.valid()),
        test=spread(result.test(experiment.metric)),
        reference=experiment.searches[0].strategy if compared else None,
        compared=len(results) - 1,
        over_seeds=_difference(result.seeds),
        over_users=_difference(result.users),
        verdict=verdict(experiment, results, result),
        front=_front(experiment.searches[0].objectives, result.confirmed),
    )


def _front(names: Sequence[str], found: Confirmed) -> tuple[FrontPoint, ...]:
    """Return the points of the front on their fresh seeds; none without objectives."""
    if found.front is None:
        return ()
    points, trials = [], [each.found.trial for each in found.configurations]
    for place, each in enumerate(found.configurations):
        values = {objective.name: each.by_seed(objective) for objective in objectives_of(names)}
        shared = sorted(set.intersection(*map(set, values.values())))
        spreads = {name: spread([own[seed] for seed in shared]) for name, own in values.items()} if shared else {}
        alike = tuple(trials[other] for other in found.front.alike.get(place, ()))
        point = FrontPoint(trial=each.found.trial, values=spreads, stays=place in found.front.stays, alike=alike)
        points.append(point)
    return tuple(points)


def spread(values: Sequence[float]) -> Spread:
    """Return at least one value as a mean with its deviation and interval."""
    low, high = mean_interval(values) or (None, None)
    deviation = stdev(values) if len(values) > 1 else None
    return Spread(values=tuple(values), mean=fmean(values), deviation=deviation, low=low, high=high)


def _difference(test: PairedTest | None) -> Difference | None:
    return Difference(**asdict(test)) if test else None
