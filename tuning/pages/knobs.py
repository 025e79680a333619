"""Figures of the values of knobs: trials in the plane of two of them, and the scores over the values of one.

The paper's figure 5 and table 10. Text of users is escaped, as Plotly reads some HTML.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go

from tuning.pages.look import SCALE, WINNER, empty_figure, label, series
from tuning.records import TrialRecord
from tuning.reports.tables import shown

_SYMBOLS = {"finished": "circle", "pruned": "circle-open"}


@dataclass(frozen=True)
class Knob:
    """A parameter on an axis. `log`: whether the axis is logarithmic."""

    name: str
    section: str
    log: bool = False

    def of(self, record: TrialRecord) -> Any:
        """Return its value in a trial."""
        return record.params[self.section][self.name]


def knob_map(records: Sequence[TrialRecord], x: Knob, y: Knob, metric: str, best: TrialRecord | None) -> go.Figure:
    """Return trials in the plane of two numeric knobs, coloured by score; `best` has a ring around it.

    alpha and beta of Mirror Gradient have the line on which both are the same.
    """
    figure = empty_figure(escape(x.name), escape(y.name))
    for knob, axis in ((x, figure.layout.xaxis), (y, figure.layout.yaxis)):
        if knob.log:
            axis.type, axis.dtick, axis.exponentformat = "log", "D2", "power"
    colorbar = {"title": {"text": metric}, "thickness": 12, "outlinewidth": 0}
    figure.update_layout(coloraxis={"colorscale": SCALE, "colorbar": colorbar})
    for status, own in _by_status(records).items():
        look = {"symbol": _SYMBOLS[status], "size": 11, "color": [record.value for record in own]}
        _add_points(figure, status, own, x.of, y.of, look | {"coloraxis": "coloraxis", "line": {"width": 1.5}})
        figure.data[-1].showlegend = False  # the legend cannot draw a point without the colour of a score
        figure.add_scatter(x=[None], y=[None], name=status, mode="markers", marker=look | {"color": "var(--soft)"})
    if failed := [record for record in records if record.status == "failed"]:
        _add_points(figure, "failed", failed, x.of, y.of, {"symbol": "x", "size": 8, "color": "var(--ink)"})
    if best:
        ring = {"symbol": "circle-open", "size": 22, "color": WINNER, "line": {"width": 3}}
        _add_points(figure, f"best: {best.trial}", [best], x.of, y.of, ring)
    if (x.name, y.name) == ("alpha", "beta"):
        line = {"color": "var(--ink)", "dash": "dash", "width": 1.5}
        span = [min(map(x.of, records)), max(map(x.of, records))]
        figure.add_scatter(x=span, y=span, name="alpha = beta", mode="lines", hoverinfo="skip", line=line)
    return figure


def by_value(records: Sequence[TrialRecord], knob: Knob, metric: str) -> go.Figure:
    """Return the score of each trial over the values of one knob, with the best finished trial of each value."""
    figure, groups = empty_figure(escape(knob.name), f"{metric} on validation"), _by_status(records)
    scored = [record for own in groups.values() for record in own]
    values = sorted({knob.of(record) for record in scored}, key=lambda value: (isinstance(value, str), value))
    beside = {record.trial: (0.618 * number) % 1 * 0.3 - 0.15 for number, record in enumerate(scored)}
    for status, own in groups.items():
        look = {"symbol": _SYMBOLS[status], "size": 8, "color": series(0).color, "opacity": 0.8}
        _add_points(
            figure,
            status,
            own,
            lambda each: values.index(knob.of(each)) + beside[each.trial],
            lambda each: each.value,
            look,
        )
    tops: dict[int, float] = {}
    for record in groups.get("finished", ()):
        place, value = values.index(knob.of(record)), record.value or 0.0
        tops[place] = max(value, tops.get(place, value))
    places = sorted(tops)
    figure.add_scatter(
        x=places,
        y=[tops[place] for place in places],
        name="best that finished",
        mode="lines+markers+text",
        text=[shown(tops[place]) for place in places],
        textposition="top center",
        hoverinfo="skip",
        marker={"symbol": "line-ew", "size": 30, "line": {"width": 2, "color": WINNER}},
        line={"color": WINNER, "dash": "dot", "width": 1.5},
    )
    ticks = {"tickvals": list(range(len(values))), "ticktext": [label(value) for value in values]}
    figure.update_xaxes(range=[-0.5, len(values) - 0.5], showgrid=False, zeroline=False, **ticks)
    return figure


def _by_status(records: Sequence[TrialRecord]) -> dict[str, list[TrialRecord]]:
    """Return status -> the trials with a score."""
    found = {
        status: [each for each in records if (each.status, each.value is None) == (status, False)]
        for status in _SYMBOLS
    }
    return {status: own for status, own in found.items() if own}


def _add_points(
    figure: go.Figure, name: str, records: Sequence[TrialRecord], x: Any, y: Any, marker: dict[str, Any]
) -> None:
    figure.add_scatter(
        x=[x(record) for record in records],
        y=[y(record) for record in records],
        name=name,
        mode="markers",
        text=[_told(record) for record in records],
        hovertemplate="%{text}<extra></extra>",
        marker=marker,
    )


def _told(record: TrialRecord) -> str:
    """Return what appears over a trial's point."""
    score = f"trial {record.trial}, {record.status}: {shown(record.value)}"
    why = [escape(record.reason[:200])] if record.status == "failed" and record.reason else []
    return "<br>".join([score, *why, *(f"{escape(name)} {label(value)}" for name, value in record.point.items())])
