"""The tables of a flatness analysis: strategies side by side, their differences from plain, correlations, trials."""

from collections.abc import Callable, Sequence
from typing import Any

from recmodels.analysis.rank_correlation import Rank
from tuning.analyses.flatness import Asked, Row
from tuning.analyses.flatness_correlations import BETWEEN, POOLED, WITHIN, Correlated
from tuning.analyses.flatness_numbers import (
    Quantity,
    Summary,
    accuracies,
    headline,
    of_models,
    of_strategies,
    sharpness_of,
)
from tuning.reports.tables import Column, shown

TableRow = dict[str, str]
IN_SHORT = ("adaptive_max", "lambda_max_power", "trace", "norm of weights")
"""Measures of sharpness in the tables of strategies, the first one also on a terminal; the files have all."""


def _table(names: Sequence[str], left: int) -> list[Column[TableRow]]:
    def of(name: str) -> Callable[[TableRow], str | None]:
        return lambda row: row.get(name)

    return [Column(name, of(name), justify="left" if place < left else "right") for place, name in enumerate(names)]


def strategy_table(
    asked: Asked, rows: Sequence[Row], found: Sequence[Summary], cell: Callable[[Summary], str | None]
) -> tuple[list[Column[TableRow]], list[TableRow]]:
    """Return columns and rows of a table with a row for each strategy of each model; `cell` writes a quantity.

    Metric and drop are those under the headline condition of the model, whose name is in the row.
    """
    lines: list[TableRow] = []
    names = {"model": "", "strategy": "", "noise": "", "runs": ""}
    for model, own in of_models(rows).items():
        noise = headline(asked, own)
        shown_as = {quantity.name: quantity.name for quantity in accuracies(asked)}
        if noise:
            shown_as |= {noise.perturbed.name: "under noise", noise.drop.name: "drop %"}
        shown_as |= {quantity.name: quantity.name for quantity in sharpness_of(asked, own) if quantity.name in IN_SHORT}
        for strategy, runs in of_strategies(own).items():
            line = {"model": model, "strategy": strategy, "noise": noise.name if noise else "-", "runs": str(len(runs))}
            for each in found:
                heading = shown_as.get(each.quantity) if (each.model, each.strategy) == (model, strategy) else None
                if heading and (text := cell(each)) is not None:
                    line[heading] = text if each.n == len(runs) else f"{text} (n {each.n})"
            lines.append(line)
        names |= dict.fromkeys(shown_as.values(), "")
    filled = [name for name in names if any(name in line for line in lines)]
    return _table(filled, left=3), [line for line in lines if line.keys() - {"model", "strategy", "noise", "runs"}]


def level(summary: Summary) -> str:
    """Return mean and deviation of a quantity."""
    return shown(summary.mean) + (f" ± {summary.deviation:.2g}" if summary.deviation is not None else "")


def difference(summary: Summary) -> str | None:
    """Return the difference from plain with its 95 % interval; a star where it survives Holm's correction."""
    test = summary.difference
    if test is None:
        return None
    return f"{test.difference:+.2g} [{test.low:+.2g}, {test.high:+.2g}]{' *' * test.survives}"


def correlation_columns() -> list[Column[Correlated]]:
    """Return the columns of a table of correlations."""
    return [
        Column("model", lambda each: each.model, justify="left"),
        Column("among", lambda each: each.among, justify="left"),
        Column("sharpness", lambda each: each.sharpness, justify="left"),
        Column("with", lambda each: each.outcome, justify="left"),
        Column("n", lambda each: each.found.n),
        Column("Spearman", lambda each: each.found.spearman.value, "{:.2f}".format),
        Column("95 % interval", lambda each: _ends(each.found.spearman.low, each.found.spearman.high)),
        Column("Kendall", lambda each: each.found.kendall.value, "{:.2f}".format),
        Column("95 % interval", lambda each: _ends(each.found.kendall.low, each.found.kendall.high)),
        Column("p", lambda each: each.found.p, "{:.2g}".format),
        Column("p, Holm", lambda each: each.p, "{:.2g}".format),
    ]


def _ends(low: float | None, high: float | None) -> str | None:
    return None if low is None or high is None else f"[{low:.2f}, {high:.2f}]"


Main = dict[str, Correlated]
"""What a measure of sharpness has to do with one outcome, by what it is among."""


def main_correlations(asked: Asked, rows: Sequence[Row], found: Sequence[Correlated]) -> list[Main]:
    """Return those of each measure of sharpness with the headline's drop and metric and with the accuracy."""
    pairs: dict[tuple[str, str, str], Main] = {}
    for model, own in of_models(rows).items():
        noise = headline(asked, own)
        outcomes = [*([noise.drop, noise.perturbed] if noise else []), *accuracies(asked)]
        names = {quantity.name for quantity in outcomes}
        for each in found:
            if each.model == model and each.outcome in names:
                pairs.setdefault((model, each.sharpness, each.outcome), {})[each.among] = each
    return [each for each in pairs.values() if POOLED in each]


def main_columns() -> list[Column[Main]]:
    """Return the columns of a table of the main correlations: Spearman's with its interval, unless it says Kendall."""
    return [
        Column("model", lambda each: each[POOLED].model, justify="left"),
        Column("sharpness", lambda each: each[POOLED].sharpness, justify="left"),
        Column("with", lambda each: each[POOLED].outcome, justify="left"),
        Column("n", lambda each: each[POOLED].found.n),
        Column(POOLED, lambda each: _rank(each[POOLED].found.spearman)),
        Column("Kendall", lambda each: _rank(each[POOLED].found.kendall)),
        Column("p", lambda each: each[POOLED].found.p, "{:.2g}".format),
        Column("p, Holm", lambda each: each[POOLED].p, "{:.2g}".format),
        *(_spearman(among) for among in (BETWEEN, WITHIN)),
    ]


def _spearman(among: str) -> Column[Main]:
    return Column(among, lambda each: _rank(each[among].found.spearman) if among in each else None)


def _rank(rank: Rank) -> str:
    return " ".join(filter(None, (f"{rank.value:.2f}", _ends(rank.low, rank.high))))


def trial_record(row: Row, columns: Sequence[Quantity]) -> dict[str, Any]:
    """Return a trial as a record: where it is, and these quantities by name."""
    run = row.run
    own: dict[str, Any] = {
        "search": run.folder.name,
        "trial": run.record.trial,
        "model": run.spec.model,
        "dataset": run.spec.dataset,
        "strategy": run.strategy,
        "seed": run.record.seed,
        "status": run.record.status,
        "parameters": " ".join(
            f"{name}={value}" for section in run.record.params.values() for name, value in section.items()
        ),
    }
    own |= {quantity.name: quantity.of(row) for quantity in columns}
    seconds = sum(found.seconds for found in row.sharpness)
    noisy = sum(point.seconds for curve in row.curves for point in curve.points)
    return own | {"seconds of sharpness": seconds, "seconds of noise": noisy}
