"""The page of a flatness analysis: sharpness against what noise costs, strategies, correlations, and all trials."""

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go

from tuning.analyses.flatness import Row
from tuning.analyses.flatness_files import READING, Flatness, how, looked_at
from tuning.analyses.flatness_numbers import (
    Quantity,
    headline,
    of_models,
    of_strategies,
    quantities,
    sharpness_of,
)
from tuning.analyses.flatness_tables import (
    IN_SHORT,
    correlation_columns,
    difference,
    level,
    main_columns,
    main_correlations,
    strategy_table,
    trial_record,
)
from tuning.experiments import REFERENCE as PLAIN
from tuning.pages.content import Content, Figure, Listing, Notes, Page, Section, Table, Text, View
from tuning.pages.look import REFERENCE, Series, empty_figure, label, series
from tuning.pages.search_page import made_at
from tuning.reports.tables import Column

CAPTION = (
    "A point for each trial. If sharper minima lost more, the points would rise from left to right. The switch shows "
    "another measure of sharpness; the axis is linear, and only the order counts for the correlations."
)
WIDE = ("noise", *IN_SHORT[1:])
"""Columns that a terminal has no room for."""
WARNING = (
    "A Hessian and a rise within a fixed radius depend on the scale of the weights, adaptive sharpness does not: so "
    "the norm of the weights is among the measures, as what sharpness has to beat."
)


def flatness_page(flatness: Flatness) -> Page:
    """Return the page."""
    rows = flatness.rows
    return Page(
        title=f"Flatness and robustness of {', '.join(of_models(rows))} on {flatness.data.name}",
        subtitle=f"{len(rows)} trials of {', '.join(flatness.runs.origin.labels)}",
        verdict=" ".join(flatness.verdicts),
        evidence=(looked_at(flatness), WARNING),
        tiles=(),
        sections=(
            *(_points(flatness, model, own) for model, own in of_models(rows).items()),
            _strategies(flatness),
            _correlations(flatness),
            _trials(flatness),
        ),
        made=made_at(),
    )


def look_of(strategy: str, strategies: Sequence[str]) -> Series:
    """Return the look of a strategy's points."""
    rivals = [name for name in strategies if name != PLAIN]
    return REFERENCE if strategy == PLAIN else series(rivals.index(strategy))


def _points(flatness: Flatness, model: str, rows: Sequence[Row]) -> Section:
    asked, noise = flatness.asked, headline(flatness.asked, rows)
    if noise is None:
        text = Text(f"No perturbation that was asked for reaches {model}.")
        return Section(f"points-{model}", f"{model}: sharpness and noise", (text,))
    figures: list[Content] = []
    for place, outcome in enumerate((noise.drop, noise.perturbed)):
        plot, views = scatter(flatness, rows, sharpness_of(asked, rows), outcome)
        figures.append(Figure(f"scatter-{model}-{place}", f"{model}: {outcome.title}", CAPTION, plot, views))
    return Section(f"points-{model}", f"{model}: sharpness and noise", tuple(figures))


def scatter(
    flatness: Flatness, rows: Sequence[Row], measures: Sequence[Quantity], outcome: Quantity
) -> tuple[go.Figure, tuple[View, ...]]:
    """Return an outcome over the first measure of sharpness, coloured by strategy, and the views with the others."""
    plot = empty_figure(measures[0].title, outcome.title)
    strategies, everyone = of_strategies(rows), list(of_strategies(flatness.rows))
    for strategy, own in strategies.items():
        look = look_of(strategy, everyone)
        marker = {"color": look.color, "symbol": look.symbol, "size": 9}
        plot.add_scatter(
            x=[measures[0].of(row) for row in own],
            y=[outcome.of(row) for row in own],
            text=[label(f"{row.run.label}, seed {row.run.record.seed}") for row in own],
            mode="markers",
            marker=marker,
            name=label(strategy),
            hovertemplate="%{text}<br>%{x:.4g}, %{y:.4g}",
        )
    plot.update_layout(showlegend=True)
    x = [
        View(each.name, each.title, [[each.of(row) for row in own] for own in strategies.values()]) for each in measures
    ]
    return plot, tuple(x)


def strategies_table(flatness: Flatness, *, short: bool = False) -> Table:
    """Return the table with a row for each strategy of each model. `short`: for a terminal."""
    columns, lines = strategy_table(flatness.asked, flatness.rows, flatness.summaries, level)
    if short:
        columns = [column for column in columns if column.heading not in WIDE]
    return Table.of("Mean ± standard deviation over the runs of each strategy.", columns, lines)


def _strategies(flatness: Flatness) -> Section:
    parts: list[Content] = [strategies_table(flatness)]
    columns, lines = strategy_table(flatness.asked, flatness.rows, flatness.summaries, difference)
    if lines:
        caption = (
            "Difference from plain, paired by seed, with its 95 % interval by Student's t; a star where it survives "
            "Holm's correction for the strategies."
        )
        parts.append(Table.of(caption, columns, lines))
    else:
        parts.append(Text("Differences need plain trials and others on two common seeds."))
    return Section("strategies", "Strategies", tuple(parts))


def _correlations(flatness: Flatness) -> Section:
    if not flatness.correlations:
        return Section("correlations", "Rank correlations", (Text("They need three trials that differ."),))
    main = main_correlations(flatness.asked, flatness.rows, flatness.correlations)
    columns = correlation_columns()
    tables = (
        Table.of("With what decides the verdict, and with accuracy.", main_columns(), main, sortable=True),
        Table.of("All.", columns, flatness.correlations, sortable=True),
    )
    text = Text(f"{looked_at(flatness)} {READING}")
    return Section("correlations", "Rank correlations", (text, *tables))


def _trials(flatness: Flatness) -> Section:
    columns = quantities(flatness.asked, flatness.rows)
    records = [trial_record(row, columns) for row in flatness.rows]

    def column(name: str) -> Column[dict[str, Any]]:
        text = isinstance(records[0][name], str)
        return Column(name, lambda record: record[name], justify="left" if text else "right")

    names = Notes((*(f"{each.name}: {each.title}" for each in columns), *flatness.runs.left_out))
    table = Table.of("Every trial.", [column(name) for name in records[0]], records, sortable=True)
    again = Listing("The command, without its folders", flatness.command)
    return Section("trials", "All trials", (table, Text(how(flatness)), names, again))
