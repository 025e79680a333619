"""The page of landscapes: numbers of all planes, surfaces and contours of the first one, and lines between minima."""

from collections.abc import Sequence

import plotly.graph_objects as go

from recmodels.analysis.landscape import TAUS
from tuning.analyses.fixed import flattest
from tuning.analyses.landscape import PLACES, Landscape, Surface
from tuning.analyses.landscape_files import flat_scalars
from tuning.analyses.subjects import Analyzed
from tuning.pages.content import Content, Figure, Notes, Page, Section, Table, Text, Tile
from tuning.pages.look import SCALE, empty_figure, label, series
from tuning.pages.search_page import made_at
from tuning.reports.tables import Column, shown

UNITS = {
    "row": "Each row of a direction is as long as the same row of the weights: a stretched model looks the same.",
    "layer": "Each tensor of a direction is as long as the same tensor of the weights.",
    "raw": "A unit of an axis is a hundredth of the length of all weights; raw directions favour stretched models.",
}


def landscape_page(landscape: Landscape, analyzed: Analyzed) -> Page:
    """Return the page."""
    export = analyzed.subjects[0].export
    models = ", ".join(dict.fromkeys(subject.export.model for subject in analyzed.subjects))
    return Page(
        title=f"Loss landscapes of {models} on {export.dataset}",
        subtitle=f"{len(analyzed.subjects)} exports on the same planes, batches and draws",
        verdict=verdict(landscape, analyzed),
        evidence=("Flatness stands in for robustness, and need not go with it: compare with what noise really costs.",),
        tiles=tuple(
            Tile(f"mean rise, {subject.label}", shown(landscape.of(number).scalars.mean_rise), "on the first plane")
            for number, subject in enumerate(analyzed.subjects)
        ),
        sections=landscape_sections(landscape, analyzed),
        made=made_at(),
    )


def verdict(landscape: Landscape, analyzed: Analyzed) -> str:
    """Return which export has the flattest surface: the smallest mean rise as a share of its loss, on every plane."""
    if len(analyzed.subjects) == 1:
        return f"The loss of {analyzed.subjects[0].label} rises by {_share(landscape.of(0))} on average."
    shares = {
        pair: {
            subject.label: _rise_share(landscape.of(number, pair)) for number, subject in enumerate(analyzed.subjects)
        }
        for pair in range(landscape.planes.pairs)
    }
    if not (name := flattest(shares)):
        return "None is the flattest on every plane."
    planes = "the plane" if landscape.planes.pairs == 1 else f"each of {landscape.planes.pairs} planes"
    return f"{name} is the flattest on {planes}: its loss rises by the smallest share on average."


def _rise_share(surface: Surface) -> float | None:
    """Return the mean rise as a share of the loss; None if a point has no finite loss."""
    rise = surface.scalars.mean_rise
    return None if rise is None or surface.scalars.not_finite or not surface.centre else rise / abs(surface.centre)


def _share(surface: Surface) -> str:
    rise = surface.scalars.mean_rise
    return "-" if rise is None or not surface.centre else f"{100 * rise / abs(surface.centre):.3g} %"


def landscape_sections(landscape: Landscape, analyzed: Analyzed) -> tuple[Section, ...]:
    """Return the sections of landscapes, for this page or another."""
    surfaces: list[Content] = []
    for number, subject in enumerate(analyzed.subjects):
        name, title = f"surface-{number}", f"Rise of the loss around {subject.label}"
        caption = (
            f"The loss at the trained weights is {shown(landscape.of(number).centre)}. Heights are those above it."
        )
        surfaces.append(
            Figure(name, title, f"{caption} All surfaces have one scale.", surface_figure(landscape, number))
        )
    contours = [
        Figure(f"contour-{number}", f"The same from above, {subject.label}", CONTOUR, contour_figure(landscape, number))
        for number, subject in enumerate(analyzed.subjects)
    ]
    return (
        Section(
            "landscape-numbers", "Landscape in numbers", (numbers_table(landscape, analyzed), Text(_how(landscape)))
        ),
        Section("surfaces", "Surfaces", tuple(surfaces)),
        Section("contours", "Contours", tuple(contours)),
        Section("lines", "Between the minima", lines_of(landscape, analyzed)),
    )


CONTOUR = "The trained weights are at the cross. The colours have one scale in all these figures."


def _how(landscape: Landscape) -> str:
    fixed, planes = landscape.fixed, landscape.planes
    return (
        f"L(theta + m d1 + n d2) on {planes.points} x {planes.points} points, m and n from {-planes.reach:g} to "
        f"{planes.reach:g}, weights: {planes.scope}; the training loss over the same {fixed.batches} batches of "
        f"{fixed.batch_size} pairs, with the same negatives and draws at every point (seed {fixed.seed}). "
        f"{UNITS[planes.normalisation]} A low area is the share of points that rise by at most that share of the loss; "
        "curv is the trace of the quadratic that fits the middle; min gap is how far the lowest point lies below the "
        "trained weights. Surfaces and contours are those of the first plane; landscape.csv has all."
    )


def numbers_table(landscape: Landscape, analyzed: Analyzed, *, short: bool = False) -> Table:
    """Return the numbers of every surface; the mean rise as a share of the loss beside it. `short`: the main ones."""

    def number(heading: str, name: str) -> Column[Surface]:
        return Column(heading, lambda surface: flat_scalars(surface)[name])

    low_areas = [number(f"low area {tau:g}", f"low_area_{tau:g}") for tau in TAUS]
    further: list[Column[Surface]] = [
        number("not finite", "not_finite"),
        Column("norm of weights", lambda surface: surface.norm),
        Column("cosine of directions", lambda surface: surface.cosine),
    ]
    columns: list[Column[Surface]] = [
        Column("export", lambda surface: analyzed.subjects[surface.number].label, justify="left"),
        Column("plane", lambda surface: surface.pair + 1),
        Column("loss", lambda surface: surface.centre),
        number("mean rise", "mean_rise"),
        Column("of the loss", _share),
        number("max rise", "max_rise"),
        *(low_areas[2:3] if short else low_areas),
        number("curv", "curv"),
        number("min gap", "min_gap"),
        *([] if short else further),
    ]
    return Table.of("Numbers of each surface", columns, landscape.surfaces, sortable=True)


def surface_figure(landscape: Landscape, number: int, pair: int = 0) -> go.Figure:
    """Return the rise of the loss as a surface over m and n."""
    axis, low, high = landscape.planes.axis, *_limits(landscape, pair)
    names = {"xaxis": "n", "yaxis": "m"}
    axes = {each: {"title": {"text": text}, "color": "var(--soft)"} for each, text in names.items()}
    height = {"title": {"text": "rise of the loss"}, "range": [low, high], "color": "var(--soft)"}
    trace = go.Surface(
        x=axis, y=axis, z=_rises(landscape.of(number, pair)), colorscale=SCALE, cmin=low, cmax=high, showscale=False
    )
    trace.hovertemplate = "m %{y:.3g}, n %{x:.3g}: %{z:.4g}<extra></extra>"
    return go.Figure(trace, layout={"scene": {**axes, "zaxis": height, "aspectmode": "cube"}})


def contour_figure(landscape: Landscape, number: int, pair: int = 0) -> go.Figure:
    """Return the rise of the loss as contours over m and n."""
    axis, low, high = landscape.planes.axis, *_limits(landscape, pair)
    figure = empty_figure("n", "m")
    figure.add_contour(
        x=axis,
        y=axis,
        z=_rises(landscape.of(number, pair)),
        colorscale=SCALE,
        zmin=low,
        zmax=high,
        contours={"start": low, "end": high, "size": (high - low) / 20 or 1.0},
        colorbar={"title": {"text": "rise"}},
        hovertemplate="m %{y:.3g}, n %{x:.3g}: %{z:.4g}<extra></extra>",
    )
    figure.add_scatter(x=[0], y=[0], mode="markers", marker={"symbol": "cross", "color": "#ffffff"}, hoverinfo="skip")
    figure.update_layout(
        showlegend=False, xaxis={"constrain": "domain"}, yaxis={"scaleanchor": "x", "constrain": "domain"}
    )
    return figure


def lines_of(landscape: Landscape, analyzed: Analyzed) -> tuple[Content, ...]:
    """Return the lines between the first export's minimum and those of the others, or why there are none."""
    if not landscape.lines:
        return (Text("A line needs two exports."),)
    first = analyzed.subjects[0].label
    figure, notes, drawn = empty_figure(f"t: 0 is {first}, 1 is the other export", "loss"), [], 0
    for line in landscape.lines:
        other = analyzed.subjects[line.number].label
        if line.reason:
            notes.append(f"No line from {first} to {other}: {line.reason}.")
            continue
        look = series(drawn)
        style = {"color": look.color, "dash": look.dash}
        figure.add_scatter(x=PLACES, y=line.losses, mode="lines", line=style, name=f"to {label(other)}")
        notes.append(f"The barrier between {first} and {other} is {shown(line.barrier)}.")
        drawn += 1
    figure.update_layout(showlegend=True)
    if not drawn:
        return (Notes(tuple(notes)),)
    caption = (
        "The loss of the first export's model at (1 - t) of its weights and t of the other's. The barrier is how far "
        "the loss rises above the straight line between both ends; 0 means that they lie in one valley."
    )
    return Figure("line", f"From {first} to the others", caption, figure), Notes(tuple(notes))


def _rises(surface: Surface) -> list[list[float | None]]:
    return [[None if loss is None else loss - surface.centre for loss in row] for row in surface.losses]


def _limits(landscape: Landscape, pair: int) -> tuple[float, float]:
    """Return the lowest and the highest rise of all exports on a plane."""
    surfaces: Sequence[Surface] = [each for each in landscape.surfaces if each.pair == pair]
    known = [rise for each in surfaces for row in _rises(each) for rise in row if rise is not None]
    return min(known, default=0.0), max(known, default=1.0)
