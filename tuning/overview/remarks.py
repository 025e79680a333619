"""What the table of an overview lacks or means, one line each."""

from collections.abc import Iterator

from recmodels.evaluation.paired_tests import LEVEL
from tuning.experiments.experiment import REFERENCE
from tuning.overview.table import NOT_RUN, Entry, OverviewTable
from tuning.reports.tables import shown

STAR, DAGGER = "*", "†"
"""Marks of a cell: the strategy is told apart from the reference; the model is below popularity."""


def remarks(table: OverviewTable) -> Iterator[str]:
    """Yield what the figures are, what the marks mean, and what is missing, each pair by its name."""
    yield _figures(table)
    deciding = list(dict.fromkeys(entry.metric for entry in table.entries.values() if entry.decides))
    if deciding:
        yield (
            f"{STAR} better or worse than {REFERENCE} in {' or '.join(deciding)}, the metric that decides: the "
            f"difference survives paired t tests over seeds and over users, level {LEVEL:g} after Holm's correction."
        )
    if weak := [entry for entry in table.entries.values() if entry.below_popularity]:
        yield f"{DAGGER} below popularity, so that a gain says little: {_named(weak)}."
    yield from _unequal_means(table)
    yield from _undecided(table)
    yield from (f"[{number}] {state.pair}: {state.fault}." for number, state in enumerate(table.failed, start=1))
    if waiting := [str(state.pair) for state in table.states if state.fault == NOT_RUN]:
        yield f"Not run yet: {', '.join(waiting)}."


def _figures(table: OverviewTable) -> str:
    runs = sorted({entry.runs for entry in table.entries.values()})
    if not runs:
        return "No pair has a result yet."
    fresh = [state.pair for state in table.states if state.pair.experiment.confirm.runs]
    seeds = f"{runs[0]}" if len(runs) == 1 else f"{runs[0]} to {runs[-1]}"
    kind = "fresh seeds" if len(fresh) == len(table.states) else "seeds"
    plural = kind if runs != [1] else kind.removesuffix("s")
    return f"Means on test over {seeds} {plural}; gain: over {REFERENCE}, as a share of it."


def _unequal_means(table: OverviewTable) -> Iterator[str]:
    """Yield for each strategy and metric whose mean gain leaves pairs out that it does."""
    for strategy in table.strategies():
        said: dict[tuple[int, int], list[str]] = {}
        for metric in table.metrics:
            mean = table.mean_gain(strategy, metric)
            if mean and mean.pairs < mean.of:
                said.setdefault((mean.pairs, mean.of), []).append(metric)
        for (pairs, of), metrics in said.items():
            yield f"The mean gain of {strategy} in {', '.join(metrics)} is over {pairs} of {of} pairs."


def _undecided(table: OverviewTable) -> Iterator[str]:
    """Yield why gains carry no mark though nothing has failed."""
    reasons: dict[str, list[str]] = {}
    for state in table.states:
        if state.figures is None:
            continue
        if {spec.strategy for spec in state.pair.experiment.searches} == {REFERENCE}:
            continue
        if state.pair.experiment.reference is None:
            reasons.setdefault(f"no {REFERENCE} training beside it, so there is no gain", []).append(str(state.pair))
        elif not state.pair.experiment.confirm.runs:
            what = "not confirmed on fresh seeds, so that a difference decides nothing"
            reasons.setdefault(what, []).append(str(state.pair))
    for reason, pairs in reasons.items():
        yield f"{', '.join(pairs)}: {reason}."


def _named(entries: list[Entry]) -> str:
    """Return which entries these are, each with its metrics and popularity's level there."""
    found: dict[str, list[str]] = {}
    for entry in entries:
        where = f"{entry.model} on {entry.dataset} ({entry.strategy})"
        found.setdefault(where, []).append(f"{entry.metric} {shown(entry.floor)}")
    return "; ".join(f"{where}, popularity has {', '.join(floors)}" for where, floors in found.items())
