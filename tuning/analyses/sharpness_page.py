"""The page of a sharpness analysis: rises over their radius, eigenvalues, and all numbers beside the norms."""

from typing import Any

import plotly.graph_objects as go

from recmodels.analysis.fixed_loss import Scope
from recmodels.analysis.flatness import MEASURES
from tuning.analyses.fixed import flattest
from tuning.analyses.sharpness import Measured, Sharpness
from tuning.analyses.sharpness_files import records
from tuning.analyses.subjects import Analyzed
from tuning.pages.content import Content, Figure, Notes, Page, Section, Table, Text
from tuning.pages.look import empty_figure, label, series
from tuning.pages.search_page import made_at
from tuning.reports.tables import Column, plain_columns

Row = dict[str, Any]
CURVES = {"adaptive": "adaptive_max", "max": "max", "one_step": "one_step", "batch": "batch_one_step"}
"""Measures with several levels, the primary one first -> the name of their reading."""


def sharpness_page(sharpness: Sharpness, analyzed: Analyzed) -> Page:
    """Return the page."""
    export = analyzed.subjects[0].export
    models = ", ".join(dict.fromkeys(subject.export.model for subject in analyzed.subjects))
    return Page(
        title=f"Sharpness of {models} on {export.dataset}",
        subtitle=f"{len(analyzed.subjects)} exports on the same batches and draws",
        verdict=verdict(sharpness, analyzed),
        evidence=(SCALE_WARNING, "Flatness stands in for robustness, and need not go with it."),
        tiles=(),
        sections=sharpness_sections(sharpness, analyzed),
        made=made_at(),
    )


SCALE_WARNING = (
    "Scores that are inner products stay as they are when users are stretched and items shrunk, and a Hessian or a "
    "rise within a fixed radius does not: compare these only with the norms beside them. Adaptive sharpness is free of "
    "scale."
)


def verdict(sharpness: Sharpness, analyzed: Analyzed) -> str:
    """Return which export is the flattest by adaptive sharpness as a share of the loss, if one is at every radius."""
    shares: dict[float, dict[str, float | None]] = {}
    for number, level, value in curve(sharpness, "adaptive", "all"):
        shares.setdefault(level, {})[analyzed.subjects[number].label] = value
    if len(analyzed.subjects) == 1 or not shares:
        return "All numbers are in the table: a number of one export alone says little."
    if not (name := flattest(shares)):
        return "None is the flattest at every radius, by adaptive sharpness."
    return f"{name} is the flattest by adaptive sharpness as a share of the loss, at each of {len(shares)} radii."


def curve(sharpness: Sharpness, measure: str, scope: Scope) -> list[tuple[int, float, float | None]]:
    """Return (export, level, value as a share of the loss) of a measure at its absolute levels."""
    return [
        (found.number, found.task.level, found.of_loss(reading))
        for found in sharpness.found
        for reading in found.readings
        if (found.scope, found.task.measure, found.task.mode) == (scope, measure, "absolute")
        and found.task.level is not None
        and reading.measure == CURVES[measure]
    ]


def sharpness_sections(sharpness: Sharpness, analyzed: Analyzed) -> tuple[Section, ...]:
    """Return the sections of a sharpness analysis, for this page or another."""
    scopes = list(dict.fromkeys(found.scope for found in sharpness.found))
    rises: list[Content] = [
        Figure(f"rises-{name}-{scope}", f"{_capital(MEASURES[name].title)}, weights: {scope}", RISES, plot)
        for scope in scopes
        for name in CURVES
        if (plot := rises_figure(sharpness, analyzed, name, scope)) is not None
    ]
    spectra: list[Content] = [
        Figure(f"spectrum-{scope}", f"Eigenvalues of the Hessian, weights: {scope}", SPECTRUM, plot)
        for scope in scopes
        if (plot := spectrum_figure(sharpness, analyzed, scope)) is not None
    ]
    used = dict.fromkeys(found.task.measure for found in sharpness.found)
    notes = Notes((*(f"{name}: {MEASURES[name].title}" for name in used), *sharpness.left_out))
    tables = side_by_side(sharpness, analyzed), numbers_table(sharpness, analyzed)
    return (
        Section("rises", "Rises", tuple(rises) or (Text("No measure with a radius was asked for."),)),
        Section("spectrum", "Curvature", tuple(spectra) or (Text("No eigenvalues were asked for."),)),
        Section("sharpness-numbers", "Sharpness in numbers", (*tables, Text(_how(sharpness)), notes)),
    )


RISES = "The rise as a share of the loss at the trained weights, over the radius; both axes are logarithmic."
SPECTRUM = (
    "The largest and the lowest eigenvalues that Lanczos found; a negative one is a direction in which the loss falls."
)


def _how(sharpness: Sharpness) -> str:
    fixed = sharpness.fixed
    return (
        f"The training loss over the same {fixed.batches} batches of {fixed.batch_size} pairs, with the same negatives "
        f"and draws in every pass (seed {fixed.seed}). A relative level is multiplied by the norm of the weights, for "
        "noise by their root mean square or by each weight. The error is the standard error of a mean; of an "
        "eigenvalue |H v - lambda v|."
    )


def _capital(text: str) -> str:
    return text[0].upper() + text[1:]


def side_by_side(sharpness: Sharpness, analyzed: Analyzed) -> Table:
    """Return a row for each number, with a column for each export; first the loss and the norms."""
    labels = [subject.label for subject in analyzed.subjects]
    cells: dict[tuple[str, str], dict[str, float | None]] = {}
    for row in records(sharpness, analyzed):
        sizes = {f"RMS {name}": size for name, size in row["sizes"].items()}
        for name, value in {"loss": row["loss"], "norm of weights": row["norm"], **sizes}.items():
            cells.setdefault((row["scope"], name), {})[row["export"]] = value
    for row in records(sharpness, analyzed):
        level = "" if row["level"] is None else f" {row['level']:g}{' relative' if row['mode'] == 'relative' else ''}"
        cells.setdefault((row["scope"], f"{row['measure']}{level}"), {})[row["export"]] = row["value"]
    rows = sorted(cells.items(), key=lambda cell: [scope for scope, _ in cells].index(cell[0][0]))
    columns = plain_columns("weights", "measure", *labels, left=2)
    return Table.of(
        "Side by side", columns, [[*names, *(values.get(each) for each in labels)] for names, values in rows]
    )


def numbers_table(sharpness: Sharpness, analyzed: Analyzed) -> Table:
    """Return all numbers, with the loss and the norms that they are to be read with."""
    tables = dict.fromkeys(name for found in sharpness.found for name in found.sizes)
    columns = [
        *(_text(name) for name in ("export", "scope", "measure")),
        Column[Row]("level", lambda row: row["level"]),
        Column[Row]("mode", lambda row: None if row["level"] is None else row["mode"], justify="left"),
        Column[Row]("value", lambda row: row["value"]),
        Column[Row]("of the loss", lambda row: row["of_loss"]),
        Column[Row]("error", lambda row: row["error"]),
        Column[Row]("loss", lambda row: row["loss"]),
        Column[Row]("norm", lambda row: row["norm"]),
        *(_size(name) for name in tables),
        _text("remark"),
    ]
    return Table.of("Every number", columns, records(sharpness, analyzed), sortable=True)


def _text(name: str) -> Column[Row]:
    return Column(name, lambda row: row[name], justify="left")


def _size(name: str) -> Column[Row]:
    return Column(f"RMS {name}", lambda row: row["sizes"].get(name))


def rises_figure(sharpness: Sharpness, analyzed: Analyzed, measure: str, scope: Scope) -> go.Figure | None:
    """Return each export's rise over the radius; None if it was not measured."""
    points = curve(sharpness, measure, scope)
    figure = empty_figure("radius", "rise, as a share of the loss")
    for number, subject in enumerate(analyzed.subjects):
        own = [(level, value) for found, level, value in points if found == number and value is not None and value > 0]
        if not own:
            continue
        look = series(number)
        levels, values = zip(*own, strict=True)
        style = {"color": look.color, "dash": look.dash}
        marker = {"symbol": look.symbol}
        figure.add_scatter(
            x=levels, y=values, mode="lines+markers", line=style, marker=marker, name=label(subject.label)
        )
    figure.update_layout(showlegend=True, xaxis={"type": "log"}, yaxis={"type": "log"})
    return figure if figure.data else None


def spectrum_figure(sharpness: Sharpness, analyzed: Analyzed, scope: Scope) -> go.Figure | None:
    """Return the eigenvalues of each export; None if they were not measured."""
    figure = empty_figure("export", "eigenvalue")
    for found in eigenvalues(sharpness, scope):
        look, values = series(found.number), [reading.value for reading in found.readings]
        name = label(analyzed.subjects[found.number].label)
        marker = {"color": look.color, "symbol": look.symbol, "size": 9}
        figure.add_scatter(x=[name] * len(values), y=values, mode="markers", marker=marker, name=name)
    figure.update_layout(showlegend=False)
    return figure if figure.data else None


def eigenvalues(sharpness: Sharpness, scope: Scope) -> list[Measured]:
    """Return what Lanczos found for each export."""
    return [found for found in sharpness.found if (found.scope, found.task.measure) == (scope, "lanczos")]
