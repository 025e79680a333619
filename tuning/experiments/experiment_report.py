"""The result of an experiment as tables with remarks, and as files.

A new column is one line in COLUMNS, or in CONFIRMED.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from statistics import fmean, stdev

from rich.table import Table

from recmodels.evaluation.paired_tests import LEVEL
from recmodels.files import write_whole
from recmodels.training.strategies import is_reconstruction
from tuning.experiments.confirmed import Configuration
from tuning.experiments.experiment import REFERENCE, Experiment
from tuning.experiments.results import RESULT, StrategyResult
from tuning.experiments.verdict import decision, verdict
from tuning.objectives import Objective, objectives_of
from tuning.records import SearchFolder
from tuning.reports.published import published_figures, published_lines, published_name
from tuning.reports.tables import Column, markdown_table, shown, table
from tuning.space import Figures
from tuning.spec import Scores


@dataclass(frozen=True)
class ResultRow:
    """A row of the table: a strategy, or popularity or published figures, whose `result` is None.

    `valid`, `test`: scores of the tested runs. `gain`: of the mean on test over the reference's, as a share of it.
    `cost`: passes per epoch over the reference's.
    """

    name: str
    valid: Sequence[float]
    test: Sequence[float]
    gain: float | None = None
    cost: float | None = None
    result: StrategyResult | None = None


@dataclass(frozen=True)
class ConfirmedRow:
    """A row of the table of what was confirmed. `taken`: what became of the configuration in the choice."""

    strategy: str
    configuration: Configuration
    parameters: str
    taken: str


def _mean_and_spread(values: Sequence[float]) -> str:
    return shown(fmean(values)) + (f" ± {stdev(values):.2g}" if len(values) > 1 else "")


def _best_epoch(result: StrategyResult) -> float | None:
    epochs = [record.best_epoch for record in result.tested if record.best_epoch]
    return fmean(epochs) if epochs else None


COLUMNS: tuple[Column[ResultRow], ...] = (
    Column("strategy", lambda row: row.name, justify="left"),
    Column("trials", lambda row: row.result and row.result.trials),
    Column("passes", lambda row: row.result and row.result.passes),
    Column("valid", lambda row: row.valid or None, _mean_and_spread),
    Column("test", lambda row: row.test or None, _mean_and_spread),
    Column("gain", lambda row: row.gain, "{:+.1%}".format),
    Column("p users", lambda row: row.result and row.result.users and row.result.users.p, "{:.2g}".format),
    Column("p seeds", lambda row: row.result and row.result.seeds and row.result.seeds.p, "{:.2g}".format),
    Column("s/epoch", lambda row: row.result and row.result.per_epoch("seconds"), "{:.3g}".format),
    Column("cost", lambda row: row.cost, "{:.2f}".format),
    Column("best epoch", lambda row: row.result and _best_epoch(row.result), "{:.0f}".format),
)
"""`passes`: forward and backward passes of the search. `p users`, `p seeds`: p values after Holm's correction."""

CONFIRMED: tuple[Column[ConfirmedRow], ...] = (
    Column("strategy", lambda row: row.strategy, justify="left"),
    Column("trial", lambda row: row.configuration.found.trial, justify="left"),
    Column("parameters", lambda row: row.parameters or None, str, justify="left"),
    Column("in the search", lambda row: row.configuration.found.value),
    Column("on fresh seeds", lambda row: list(row.configuration.values.values()) or None, _mean_and_spread),
    Column("passes/epoch", lambda row: row.configuration.candidate().passes),
    Column("epochs", lambda row: row.configuration.candidate().epochs, "{:.0f}".format),
    Column("", lambda row: row.taken, str, justify="left"),
)
"""Scores on validation: `in the search`, on the one seed by which it is among the best, and on seeds that had no part
in that."""


def confirmed_columns(experiment: Experiment) -> tuple[Column[ConfirmedRow], ...]:
    """Return CONFIRMED, with several objectives also a column for each of the others."""
    others = objectives_of(experiment.searches[0].objectives)[1:]
    own = [Column(each.name, partial(_on_seeds, each), _mean_and_spread) for each in others]
    return (*CONFIRMED[:5], *own, *CONFIRMED[5:])


def _on_seeds(objective: Objective, row: ConfirmedRow) -> list[float] | None:
    return list(row.configuration.by_seed(objective).values()) or None


def result_table(
    results: Sequence[StrategyResult], popularity: Scores | None, metric: str, published: Sequence[Figures] = ()
) -> Table:
    """Return the result as a table for the terminal: the reference, the other strategies, popularity, what others
    published."""
    return table(COLUMNS, rows(results, popularity, metric, published), title=metric)


def confirmed_table(experiment: Experiment, results: Sequence[StrategyResult]) -> Table:
    """Return the confirmed configurations as a table for the terminal."""
    title = f"{experiment.metric} on validation"
    return table(confirmed_columns(experiment), confirmed_rows(results), title=title)


def rows(
    results: Sequence[StrategyResult], popularity: Scores | None, metric: str, published: Sequence[Figures] = ()
) -> list[ResultRow]:
    """Return a row for each strategy, the reference first, one for popularity, where it was measured, and one for each
    of the published figures."""
    found = [_row(result, results[0], metric) for result in results]
    if popularity:
        found.append(_other_row("popularity", metric, popularity["valid"], popularity["test"]))
    return found + [_other_row(published_name(each), metric, each.valid, each.test) for each in published]


def confirmed_rows(results: Sequence[StrategyResult]) -> list[ConfirmedRow]:
    """Return a row for each configuration that was confirmed, by strategy, those of one by their rank in the search."""
    return [
        ConfirmedRow(
            result.strategy,
            configuration,
            result.parameters_of(configuration.found),
            result.confirmed.word(place),
        )
        for result in results
        if result.confirmed
        for place, configuration in enumerate(result.confirmed.configurations)
    ]


def remarks(experiment: Experiment, results: Sequence[StrategyResult], popularity: Scores | None) -> Iterator[str]:
    """Yield conclusions and caveats, one line each."""
    yield _how(experiment, results)
    for result in results:
        if result.confirmed:
            yield f"{result.strategy}: {result.confirmed.why()}."
    if experiment.on_base and results[0].chosen is None:
        yield f"{results[0].strategy} has no result, so there was no base to search on."
    floor = popularity["test"].get(experiment.metric, 0.0) if popularity else 0.0
    tested = {result.strategy: result.test(experiment.metric) for result in results}
    if weak := [name for name, scores in tested.items() if scores and fmean(scores) < floor]:
        yield (
            f"Below popularity on test ({shown(floor)}): {', '.join(weak)}. "
            "A gain over a base that weak says little: train longer, or tune the base (--tune-base)."
        )
    single = [result.strategy for result in results if not result.searched]
    if single and len(single) < len(results):
        yield (
            f"One trial only, as nothing of it was searched: {', '.join(single)}. "
            "The others are the best of several; --tune-base for the reference, --controls, or --tune all levels that."
        )
    if rebuilt := [result.strategy for result in results if is_reconstruction(result.strategy)]:
        yield f"Reconstructions, not to be taken for the results of their papers: {', '.join(rebuilt)}."
    first = experiment.searches[0]
    yield from published_lines(first, SearchFolder.of(first).environment())


def verdicts(experiment: Experiment, results: Sequence[StrategyResult]) -> list[str]:
    """Return the sentence of each strategy but the reference; of a strategy that is alone its own."""
    own = [result for result in results if experiment.reference is None or result is not results[0]]
    return [verdict(experiment, results, result) for result in own]


def write_result(experiment: Experiment, results: Sequence[StrategyResult], popularity: Scores | None) -> None:
    """Write result.md for people and result.json for programs."""
    spec, metric = experiment.searches[0], experiment.metric
    published = published_figures(spec)
    tables = [markdown_table(COLUMNS, rows(results, popularity, metric, published))]
    if confirmed := confirmed_rows(results):
        tables.append(markdown_table(confirmed_columns(experiment), confirmed))
    said = [f"**{sentence}**" for sentence in verdicts(experiment, results)]
    notes = "\n".join(f"- {remark}" for remark in remarks(experiment, results, popularity))
    page = "\n\n".join([f"## {spec.model} on {spec.dataset}, {metric}", *said, *tables, notes])
    write_whole(experiment.folder / "result.md", page + "\n")
    content = {
        "experiment": experiment.name,
        "model": spec.model,
        "dataset": spec.dataset,
        "metric": metric,
        "popularity": popularity,
        "published": [asdict(each) for each in published],
        "strategies": [asdict(result) | _conclusion(experiment, results, result) for result in results],
    }
    write_whole(experiment.folder / RESULT, json.dumps(content, indent=1))


def _other_row(name: str, metric: str, valid: Mapping[str, float], test: Mapping[str, float]) -> ResultRow:
    own = [[scores[metric]] if metric in scores else [] for scores in (valid, test)]
    return ResultRow(name, own[0], own[1])


def _row(result: StrategyResult, reference: StrategyResult, metric: str) -> ResultRow:
    ours, theirs = result.test(metric), reference.test(metric)
    passes, least = result.per_epoch("passes"), reference.per_epoch("passes")
    return ResultRow(
        name=result.strategy + ("*" if is_reconstruction(result.strategy) else ""),
        valid=result.valid(),
        test=ours,
        gain=fmean(ours) / fmean(theirs) - 1 if result is not reference and ours and theirs and any(theirs) else None,
        cost=passes / least if passes and least else None,
        result=result,
    )


def _how(experiment: Experiment, results: Sequence[StrategyResult]) -> str:
    """Return how the configurations were chosen and compared."""
    most = max((len(result.confirmed.configurations) for result in results if result.confirmed), default=0)
    seeds = max((len(result.tests) for result in results), default=0)
    if most == 0:
        how = f"Each strategy's best configuration by validation {experiment.metric}, on the seed of its search"
    else:
        how = (
            f"Each strategy's best configurations by validation {experiment.metric}, at most {most}, were trained on "
            f"{seeds} fresh seeds; of those that validation on these seeds does not tell apart the cheapest was chosen"
        )
    if experiment.searches[0].objectives:
        return (
            f"Points of the front of {', '.join(experiment.searches[0].objectives)}, at most {most}, were trained on "
            f"{seeds} fresh seeds; the choice is among those that stay on the front of the means."
            if most
            else "The pick of the front, on the seed of its search, where luck of the seed may have made the front."
        )
    if experiment.reference is None:
        return f"{how}."
    return f"{how}; test differences from {REFERENCE} by paired t tests, level {LEVEL:g} after Holm's correction."


def _conclusion(
    experiment: Experiment, results: Sequence[StrategyResult], result: StrategyResult
) -> dict[str, str | None]:
    """Return what result.json says of a strategy besides its figures."""
    rival = experiment.reference is not None and result is not results[0]
    return {
        "choice": result.confirmed.why() if result.confirmed else None,
        "decision": decision(result, REFERENCE) if rival else None,
        "verdict": verdict(experiment, results, result),
    }
