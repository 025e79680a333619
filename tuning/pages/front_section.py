"""The section of a search with several objectives: its front, on the seed of the search and on fresh seeds."""

from collections.abc import Sequence
from html import escape

import plotly.graph_objects as go

from tuning.objectives import Objective
from tuning.pages.content import Content, Figure, Notes, Section, Table, Text
from tuning.pages.look import GREY, WINNER, empty_figure, series
from tuning.pages.trials import SearchTrials
from tuning.records import Confirmation, TrialRecord
from tuning.records.front import Front, front_of, gains
from tuning.reports.front import front_lines, means_columns, means_rows
from tuning.reports.tables import shown


def front_sections(found: SearchTrials) -> list[Section]:
    """Return the section of a search's front; none for a search by its metric alone."""
    if not found.spec.objectives:
        return []
    front = front_of(found.spec.objectives, found.tried)
    title = f"Front of {', '.join(found.spec.objectives)}"
    notes = Notes(tuple(front_lines(found.spec, front, found.best, found.tried)))
    if not front.points:
        return [Section("front", title, (notes,))]
    confirmation = found.confirmation
    parts: list[Content] = [_figure(found, front, other, confirmation) for other in front.objectives[1:]]
    parts.append(notes)
    if confirmation and confirmation.front:
        caption = "Points of the front on fresh seeds: mean ± standard deviation"
        parts.append(Table.of(caption, means_columns(found.spec), means_rows(found.spec, confirmation)))
    else:
        parts.append(Text("No point of the front has been trained on fresh seeds: how much of it is luck is unknown."))
    return [Section("front", title, tuple(parts))]


def _figure(found: SearchTrials, front: Front, other: Objective, confirmation: Confirmation | None) -> Figure:
    """Return all trials in the plane of the metric and another objective."""
    first, many = front.objectives[0], len(front.objectives) > 2
    caption = "Each point is a trial, with a ring those on the front, which no other trial beats in every objective"
    if many:
        caption += " (all of them, of which this figure shows two)"
    if confirmation and confirmation.front:
        caption += "; squares are the means of points over fresh seeds, with 95 % intervals"
    caption += f". Better is up, and {'right' if other.direction == 'maximize' else 'left'}."
    plot = scatter(front, found.tried, other, found.best, confirmation)
    return Figure(f"front-{other.name}", f"{first.name} and {other.name} of all trials", f"{caption}", plot)


def scatter(
    front: Front,
    records: Sequence[TrialRecord],
    other: Objective,
    best: TrialRecord | None,
    confirmation: Confirmation | None = None,
) -> go.Figure:
    """Return the trials that have all objectives by the metric, upwards, and `other`, to the right: all in grey, the
    front with its line, `best` with a ring, and the means of what was confirmed with their intervals."""
    first = front.objectives[0]
    figure = empty_figure(escape(other.name), escape(f"{first.name} on validation"))
    compared = [each for each in records if each.status == "finished" and gains(front.objectives, each) is not None]
    _add(figure, "all trials", compared, other, first, {"size": 8, "color": GREY})
    line = sorted(front.points, key=lambda record: other.of(record) or 0.0)
    drawn = {"size": 10, "color": series(0).color, "line": {"width": 2, "color": "var(--ink)"}}
    _add(figure, "front", line, other, first, drawn)
    if len(front.objectives) == 2:  # of more, a line in one plane would go up and down
        figure.data[-1].update(mode="lines+markers", line={"color": series(0).color, "width": 1, "dash": "dot"})
    if best:
        ring = {"symbol": "circle-open", "size": 22, "color": WINNER, "line": {"width": 3}}
        _add(figure, f"picked: {best.trial}", [best], other, first, ring)
    means = [point for point in (confirmation.front if confirmation else ()) if point.values]
    if means:
        pairs = [(point.values[other.name], point.values[first.name]) for point in means]
        figure.add_scatter(
            x=[x.mean for x, _ in pairs],
            y=[y.mean for _, y in pairs],
            name="means on fresh seeds",
            mode="markers",
            marker={"symbol": "square", "size": 9, "color": series(2).color},
            error_x={"type": "data", "array": [(x.high or x.mean) - x.mean for x, _ in pairs], "thickness": 1},
            error_y={"type": "data", "array": [(y.high or y.mean) - y.mean for _, y in pairs], "thickness": 1},
            text=[f"{point.trial}, {'on' if point.stays else 'off'} the front of the means" for point in means],
            hovertemplate="%{text}<br>%{x:.4g}, %{y:.4g}<extra></extra>",
        )
    figure.update_layout(showlegend=True)
    return figure


def _add(
    figure: go.Figure,
    name: str,
    records: Sequence[TrialRecord],
    x: Objective,
    y: Objective,
    look: dict[str, object],
) -> None:
    figure.add_scatter(
        x=[x.of(record) for record in records],
        y=[y.of(record) for record in records],
        name=escape(name),
        mode="markers",
        marker=look,
        text=[
            f"trial {record.trial}: {x.name} {shown(x.of(record))}, {y.name} {shown(y.of(record))}"
            for record in records
        ],
        hovertemplate="%{text}<extra></extra>",
    )
