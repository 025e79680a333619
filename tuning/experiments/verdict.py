"""What an experiment says of a strategy, as one sentence."""

from collections.abc import Sequence
from statistics import fmean, stdev

from recmodels.evaluation.paired_tests import PairedTest, mean_interval
from tuning.experiments.experiment import Experiment
from tuning.experiments.results import StrategyResult
from tuning.reports.tables import shown


def verdict(experiment: Experiment, results: Sequence[StrategyResult], result: StrategyResult) -> str:
    """Return the sentence for one of the results: its gain over the reference, by what evidence, and the decision.

    The strategy is better, or worse, if the difference survives both tests, over seeds and over users. Without a
    reference, or for the reference itself, the sentence gives the level that was reached.
    """
    if not result.tests:
        return f"{result.strategy}: no result on test."
    reference = results[0] if experiment.reference else None
    if reference is None or result is reference:
        return f"{_named(result)}, {_tuned(result)} and {_tested([result])}: {_level(experiment, result)}."
    if not reference.tests:
        return f"{_named(result)}: {reference.strategy} has no result on test to compare it with."
    compared = len(results) - 1
    against = f"{_named(result)} against {_named(reference)}, {_both_tuned(experiment, result, reference)}"
    evidence = _evidence(experiment, result, reference, compared)
    return f"{against}, {_tested([result, reference])}: {evidence}: {decision(result, reference.strategy)}."


def decision(result: StrategyResult, reference: str) -> str:
    """Return whether a strategy is better or worse than the reference, or cannot be told apart from it."""
    if result.seeds is None or result.users is None:
        return "one seed each, which decides nothing" if result.users else "nothing to compare"
    both = (result.seeds, result.users)
    if all(test.survives and test.difference > 0 for test in both):
        return f"better than {reference}"
    if all(test.survives and test.difference < 0 for test in both):
        return f"worse than {reference}"
    return f"not told apart from {reference}"


def _named(result: StrategyResult) -> str:
    found = result.parameters_of(result.chosen) if result.chosen else ""
    return f"{result.strategy} ({found})" if found else result.strategy


def _tuned(result: StrategyResult) -> str:
    return f"tuned with {_count(result.trials, 'trial')}" if result.searched else "not tuned"


def _both_tuned(experiment: Experiment, result: StrategyResult, reference: StrategyResult) -> str:
    if experiment.on_base and reference.searched:
        own = f"with {result.trials} more" if result.searched else "not tuned,"
        base = f"{reference.strategy} tuned with {_count(reference.trials, 'trial')}"
        return f"{base}, {result.strategy} {own} on the base that these found"
    if result.searched and reference.searched and result.trials == reference.trials:
        return f"each tuned with {_count(result.trials, 'trial')}"
    untuned = "at its defaults, not tuned" if not reference.searched else _tuned(reference)
    return f"{result.strategy} {_tuned(result)}, {reference.strategy} {untuned}"


def _tested(results: Sequence[StrategyResult]) -> str:
    runs = min(len(result.tests) for result in results)
    if not all(result.confirmed for result in results):
        return "on the seed of the search"
    return f"confirmed on {_count(runs, 'fresh seed')}{' each' if len(results) > 1 else ''}"


def _level(experiment: Experiment, result: StrategyResult) -> str:
    values = result.test(experiment.metric)
    spread = f" ± {stdev(values):.2g}" if len(values) > 1 else ""
    interval = mean_interval(values)
    within = f" (95 % interval over seeds [{shown(interval[0])}, {shown(interval[1])}])" if interval else ""
    return f"{experiment.metric} on test {shown(fmean(values))}{spread}{within}"


def _evidence(experiment: Experiment, result: StrategyResult, reference: StrategyResult, compared: int) -> str:
    test = result.seeds or result.users
    if test is None:
        return f"{experiment.metric} on test {shown(fmean(result.test(experiment.metric)))}"
    level = fmean(reference.test(experiment.metric))
    share = f"{test.difference / level:+.1%}".replace("%", " %") + "; " if level else ""
    over = "seeds" if result.seeds else "users"
    interval = f"95 % interval over {over} [{test.low:+.2g}, {test.high:+.2g}]"
    chances = [_chance(each, what) for each, what in ((result.seeds, "seeds"), (result.users, "users")) if each]
    holm = f" after Holm for {_count(compared, 'comparison')}"
    return f"{experiment.metric} on test {test.difference:+.2g} ({share}{interval}; {' and '.join(chances)}{holm})"


def _chance(test: PairedTest, what: str) -> str:
    return f"p {test.p:.2g} over {test.n:,} {what}"


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
