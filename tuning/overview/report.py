"""The table of an overview for the terminal, for people (Markdown, LaTeX) and for programs (CSV, JSON)."""

import json
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import pandas as pd

from recmodels.files import write_whole
from tuning.overview.grid import Cell, Grid, GridRow, grid
from tuning.overview.plan import Overview
from tuning.overview.remarks import DAGGER, STAR, remarks
from tuning.overview.table import OverviewTable
from tuning.reports.tables import Column, markdown_table, table

if TYPE_CHECKING:
    from rich.table import Table

IN_LATEX = {"": "", STAR: "$^{*}$", DAGGER: r"$^{\dagger}$"}


def write_tables(overview: Overview, made: OverviewTable) -> None:
    """Write overview.md, overview.tex, overview.csv and overview.json into the overview's folder, each whole."""
    write_whole(overview.folder / "overview.md", markdown(made))
    write_whole(overview.folder / "overview.tex", latex(made))
    write_whole(overview.folder / "overview.csv", pd.DataFrame(long_rows(made)).to_csv(index=False))
    write_whole(overview.folder / "overview.json", json.dumps(content(made), indent=1))


def terminal_table(made: OverviewTable) -> "Table":
    """Return the table for the terminal."""
    found = grid(made)
    return table(_columns(found, "\n"), *map(_named_once, found.groups), title=made.name)


def markdown(made: OverviewTable) -> str:
    """Return the table with its remarks as a page of Markdown."""
    found = grid(made)
    lines = "\n".join(f"- {remark}" for remark in remarks(made)).replace(STAR, f"\\{STAR}")  # it would begin a list
    rows = markdown_table(_columns(found, " "), *map(_named_once, found.groups))
    return f"## {made.name}\n\n{rows}\n\n{lines}\n"


def latex(made: OverviewTable) -> str:
    """Return the table with its remarks as a LaTeX table; it needs the package booktabs."""
    found = grid(made)
    rows = [row for group in found.groups for row in group]
    frame = pd.DataFrame(
        [[f"{cell.text}{IN_LATEX[cell.mark]}" for cell in row.cells] for row in rows],
        index=pd.MultiIndex.from_tuples([(row.group, row.label) for row in rows]),
        columns=pd.MultiIndex.from_tuples([(dataset, str(metric)) for dataset, metric in found.columns]),
    )
    style = frame.style.format(escape="latex-math").format_index(escape="latex", axis=0)
    tabular = style.format_index(escape="latex", axis=1).to_latex(
        column_format="ll" + "r" * len(found.columns),
        hrules=True,
        clines="skip-last;data",
        multicol_align="c",
        multirow_align="naive",
    )
    notes = "\\\\\n".join(_escaped(remark) for remark in remarks(made))
    return (
        "% \\usepackage{booktabs}\n\\begin{table}\n\\centering\n"
        f"\\caption{{{_escaped(made.name)}: metrics on test}}\n\\label{{tab:{made.name}}}\n{tabular}\n"
        f"\\par\\medskip\n\\begin{{minipage}}{{\\linewidth}}\\footnotesize\n{notes}\n\\end{{minipage}}\n\\end{{table}}\n"
    )


def long_rows(made: OverviewTable) -> Iterator[dict[str, Any]]:
    """Yield one row per model, data set, strategy and metric; a pair that lacks figures has rows without, and why."""
    for state in made.states:
        for spec in state.pair.experiment.searches:
            for metric in made.metrics:
                key = (state.pair.model, state.pair.dataset, spec.strategy, metric)
                entry = made.entries.get(key)
                seeds, users = (entry.seeds, entry.users) if entry else (None, None)
                row = dict(zip(("model", "dataset", "strategy", "metric"), key, strict=True))
                yield row | {
                    "mean": entry and entry.mean,
                    "deviation": entry and entry.deviation,
                    "seeds": entry.runs if entry else 0,
                    "gain": entry and entry.gain,
                    "difference": seeds and seeds.difference,
                    "low": seeds and seeds.low,
                    "high": seeds and seeds.high,
                    "p_seeds": seeds and seeds.p,
                    "p_users": users and users.p,
                    "decision": entry.decision if entry and entry.decides else None,
                    "popularity": entry.floor if entry else made.floors.get((state.pair.dataset, metric)),
                    "fault": state.fault,
                }


def content(made: OverviewTable) -> dict[str, Any]:
    """Return the table as plain data."""
    strategies = made.strategies()
    places = [(None, None), *((model, None) for model in made.models), *((None, name) for name in made.datasets)]
    means = [
        made.mean_gain(strategy, metric, *place)
        for strategy in strategies
        for metric in made.metrics
        for place in places
    ]
    return {
        "overview": made.name,
        "metrics": list(made.metrics),
        "pairs": [
            {
                "name": state.pair.name,
                "model": state.pair.model,
                "dataset": state.pair.dataset,
                "fault": state.fault,
                "verdicts": [each.verdict for each in state.figures.strategies] if state.figures else [],
            }
            for state in made.states
        ],
        "entries": list(long_rows(made)),
        "mean_gains": [asdict(mean) for mean in means if mean],
        "remarks": list(remarks(made)),
    }


def _columns(found: Grid, between: str) -> list[Column[tuple[str, str, tuple[Cell, ...]]]]:
    """Return the columns; `between`: what is between data set and metric in their headings."""
    columns = [Column[Any]("model", itemgetter(0), justify="left"), Column[Any]("", itemgetter(1), justify="left")]
    for place, (dataset, metric) in enumerate(found.columns):
        heading = f"{dataset}{between}{metric}"
        columns.append(Column[Any](heading, partial(_cell, place)))
    return columns


def _cell(place: int, row: tuple[str, str, tuple[Cell, ...]]) -> Cell:
    return row[2][place]


def _named_once(rows: list[GridRow]) -> list[tuple[str, str, tuple[Cell, ...]]]:
    """Return the rows of a group, of which the first alone says which it is."""
    return [("" if number else row.group, row.label, row.cells) for number, row in enumerate(rows)]


def _escaped(text: str) -> str:
    """Return plain text as LaTeX."""
    marks = {STAR: "$^{*}$", DAGGER: r"$^{\dagger}$"}
    special = {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}"} | {
        each: f"\\{each}" for each in "&%$#_{}"
    }
    return "".join((special | marks).get(each, each) for each in text)
