"""The result of a comparison as a table with remarks, and as files.

A new column is one line in COLUMNS.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev

from rich.table import Table

from recmodels.evaluation.paired_tests import LEVEL
from recmodels.files import write_whole
from recmodels.training.strategies import is_reconstruction
from tuning.experiments import REFERENCE, Comparison, StrategyResult
from tuning.records import SearchFolder
from tuning.reports.published import published_figures, published_lines, published_name
from tuning.reports.tables import Column, markdown_table, shown, table
from tuning.space import Figures
from tuning.spec import Scores


@dataclass(frozen=True)
class ResultRow:
    """A row of the table: a strategy, or popularity or published figures, whose `result` is None.

    `valid`: best validation score. `test`: test scores of the tested runs. `gain`: of their mean over the
    reference's, as a share of it. `cost`: passes per epoch over the reference's.
    """

    name: str
    valid: float | None
    test: Sequence[float]
    gain: float | None = None
    cost: float | None = None
    result: StrategyResult | None = None


def _mean_and_spread(values: Sequence[float]) -> str:
    return shown(fmean(values)) + (f" ± {stdev(values):.2g}" if len(values) > 1 else "")


def _best_epoch(result: StrategyResult) -> float | None:
    epochs = [record.best_epoch for record in result.tested if record.best_epoch]
    return fmean(epochs) if epochs else None


COLUMNS: tuple[Column[ResultRow], ...] = (
    Column("strategy", lambda row: row.name, justify="left"),
    Column("trials", lambda row: row.result and row.result.trials),
    Column("passes", lambda row: row.result and row.result.passes),
    Column("valid", lambda row: row.valid),
    Column("test", lambda row: row.test or None, _mean_and_spread),
    Column("gain", lambda row: row.gain, "{:+.1%}".format),
    Column("p users", lambda row: row.result and row.result.users and row.result.users.p, "{:.2g}".format),
    Column("p seeds", lambda row: row.result and row.result.seeds and row.result.seeds.p, "{:.2g}".format),
    Column("s/epoch", lambda row: row.result and row.result.per_epoch("seconds"), "{:.3g}".format),
    Column("cost", lambda row: row.cost, "{:.2f}".format),
    Column("best epoch", lambda row: row.result and _best_epoch(row.result), "{:.0f}".format),
)
"""`passes`: forward and backward passes of the search. `p users`, `p seeds`: p values after Holm's correction."""


def result_table(
    results: Sequence[StrategyResult], popularity: Scores | None, metric: str, published: Sequence[Figures] = ()
) -> Table:
    """Return the result as a table for the terminal: the reference, the other strategies, popularity, what others
    published."""
    return table(COLUMNS, rows(results, popularity, metric, published), title=metric)


def rows(
    results: Sequence[StrategyResult], popularity: Scores | None, metric: str, published: Sequence[Figures] = ()
) -> list[ResultRow]:
    """Return a row for each strategy, the reference first, one for popularity, where it was measured, and one for each
    of the published figures."""
    found = [_row(result, results[0], metric) for result in results]
    if popularity:
        found.append(_reference_row("popularity", metric, popularity["valid"], popularity["test"]))
    return found + [_reference_row(published_name(each), metric, each.valid, each.test) for each in published]


def remarks(comparison: Comparison, results: Sequence[StrategyResult], popularity: Scores | None) -> Iterator[str]:
    """Yield conclusions and caveats, one line each."""
    seeds = max((len(result.tested) for result in results), default=0)
    yield (
        f"Each strategy's best configuration by validation {comparison.metric}, "
        + (f"trained on {seeds} fresh seeds" if comparison.seeds else "on the seed of its search")
        + f"; test differences from {REFERENCE} by paired t tests, level {LEVEL:g} after Holm's correction."
    )
    for result in results:
        if result.strategy != REFERENCE:
            yield f"{result.strategy}: {_verdict(result)}"
    floor = popularity["test"].get(comparison.metric, 0.0) if popularity else 0.0
    tested = {result.strategy: result.test(comparison.metric) for result in results}
    if weak := [name for name, scores in tested.items() if scores and fmean(scores) < floor]:
        yield (
            f"Below popularity on test ({shown(floor)}): {', '.join(weak)}. "
            "A gain over a base that weak says little: train longer, or tune the base (--tune all)."
        )
    if single := [result.strategy for result in results if result.trials == 1]:
        yield (
            f"One trial only, as nothing of it was searched: {', '.join(single)}. "
            "The others are the best of several; --controls, or --tune all for a searched base, levels that."
        )
    if rebuilt := [result.strategy for result in results if is_reconstruction(result.strategy)]:
        yield f"Reconstructions, not to be taken for the results of their papers: {', '.join(rebuilt)}."
    first = comparison.searches[0]
    yield from published_lines(first, SearchFolder.of(first).environment())


def write_result(comparison: Comparison, results: Sequence[StrategyResult], popularity: Scores | None) -> None:
    """Write result.md for people and result.json for programs."""
    spec, metric = comparison.searches[0], comparison.metric
    published = published_figures(spec)
    page = markdown_table(COLUMNS, rows(results, popularity, metric, published))
    notes = "\n".join(f"- {remark}" for remark in remarks(comparison, results, popularity))
    write_whole(comparison.folder / "result.md", f"## {spec.model} on {spec.dataset}, {metric}\n\n{page}\n\n{notes}\n")
    content = {"metric": metric, "popularity": popularity, "published": [asdict(each) for each in published]}
    content |= {"strategies": [asdict(result) for result in results]}
    write_whole(comparison.folder / "result.json", json.dumps(content, indent=1))


def _reference_row(name: str, metric: str, valid: Mapping[str, float], test: Mapping[str, float]) -> ResultRow:
    return ResultRow(name, valid.get(metric), [test[metric]] if metric in test else [])


def _row(result: StrategyResult, reference: StrategyResult, metric: str) -> ResultRow:
    ours, theirs = result.test(metric), reference.test(metric)
    passes, least = result.per_epoch("passes"), reference.per_epoch("passes")
    return ResultRow(
        name=result.strategy + ("*" if is_reconstruction(result.strategy) else ""),
        valid=result.best.value if result.best else None,
        test=ours,
        gain=fmean(ours) / fmean(theirs) - 1 if result is not reference and ours and theirs and any(theirs) else None,
        cost=passes / least if passes and least else None,
        result=result,
    )


def _verdict(result: StrategyResult) -> str:
    tests = {what: test for what, test in (("users", result.users), ("seeds", result.seeds)) if test}
    if not tests:
        return "nothing to compare, it has no test metrics beside the reference's"
    first = next(iter(tests.values()))
    size = f"{first.difference:+.2g} [{first.low:+.2g}, {first.high:+.2g}]"
    decisions = [
        f"{'survives' if test.survives else 'does not survive'} the test over {test.n} {what} (p {test.p:.2g})"
        for what, test in tests.items()
    ]
    return f"{size} on test; {', '.join(decisions)}"
