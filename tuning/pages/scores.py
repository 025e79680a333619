"""Figures of scores: the best so far against cost, learning curves, and values over seeds.

The paper's figure 4 and tables 11 and 12. Text of users is escaped, as Plotly reads some HTML.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from itertools import accumulate, chain
from statistics import fmean
from typing import Any

import plotly.graph_objects as go

from recmodels.evaluation.paired_tests import mean_interval
from tuning.pages.content import View
from tuning.pages.look import GREY, Series, empty_figure, label
from tuning.pages.trials import Curve
from tuning.records import TrialRecord
from tuning.reports.tables import shown

POINTS = 15_000
"""Points of curves in one figure: more make a page slow and no line clearer."""


@dataclass(frozen=True)
class Line:
    """One line of a figure of scores against cost, or a group of curves with one name in the legend.

    `hidden`: it is drawn when the reader clicks on its name.
    """

    name: str
    look: Series
    curves: Sequence[Curve] = ()
    records: Sequence[TrialRecord] = ()
    hidden: bool = False


def best_so_far(lines: Sequence[Line], metric: str) -> tuple[go.Figure, tuple[View, ...]]:
    """Return the largest score so far after each ended trial, against forward-and-backward passes, or trials."""
    figure, passes, trials = empty_figure("passes so far", f"best {metric} on validation"), [], []
    for line in lines:
        costs = list(accumulate(record.passes for record in line.records))
        values = [
            -math.inf if record.status == "failed" or record.value is None else record.value for record in line.records
        ]
        points = [
            (cost, number, best, record)
            for cost, number, best, record in zip(
                costs, range(1, len(costs) + 1), accumulate(values, max), line.records, strict=True
            )
            if best > -math.inf
        ]
        passes.append([cost for cost, *_ in points])
        trials.append([number for _, number, *_ in points])
        figure.add_scatter(
            x=passes[-1],
            y=[best for *_, best, _ in points],
            name=escape(line.name),
            mode="lines+markers",
            line={"color": line.look.color, "dash": line.look.dash, "shape": "hv", "width": 2},
            marker={
                "symbol": line.look.symbol,
                "size": [9 if best == record.value else 4 for *_, best, record in points],
            },
            text=[f"trial {record.trial}: {shown(record.value)}" for *_, record in points],
            hovertemplate="%{y:.4g} at %{x:,}<br>%{text}",
        )
    figure.update_layout(showlegend=len(lines) > 1)
    return figure, (View("passes", "passes so far", passes), View("trials", "trials that ended", trials))


def learning_curves(lines: Sequence[Line], metric: str) -> tuple[go.Figure, tuple[View, ...], int]:
    """Return the validation metric over passes, or epochs, a line for each training.

    The number is that of epochs of which one is drawn, 1 for all: no figure has more than POINTS points. The first,
    the last and the best point of a curve are always drawn.
    """
    figure, passes, epochs = empty_figure("passes", f"{metric} on validation"), [], []
    every = max(1, math.ceil(sum(len(curve.values) for line in lines for curve in line.curves) / POINTS))
    for line in lines:
        own = [thin(curve, every) for curve in line.curves if curve.values]
        passes.append(_joined([curve.passes for curve in own]))
        epochs.append(_joined([curve.epochs for curve in own]))
        figure.add_scatter(
            x=passes[-1],
            y=_joined([curve.values for curve in own]),
            name=escape(line.name),
            mode="lines",
            visible="legendonly" if line.hidden else True,
            line={"color": line.look.color, "dash": line.look.dash, "width": 1 if line.look.color == GREY else 2},
            text=_joined([[curve.name] * len(curve.values) for curve in own]) if len(own) < 50 else None,
            hovertemplate="%{y:.4g} at %{x:,}<br>trial %{text}" if len(own) < 50 else "%{y:.4g} at %{x:,}",
        )
    figure.update_layout(showlegend=True)
    return figure, (View("passes", "passes", passes), View("epochs", "epochs", epochs)), every


def thin(curve: Curve, every: int) -> Curve:
    """Return a curve with one point in `every`, and its first, last and best one."""
    if every == 1 or not curve.values:
        return curve
    last, best = len(curve.values) - 1, curve.values.index(max(curve.values))
    places = sorted({*range(0, last + 1, every), last, best})

    def at(values: Sequence[Any]) -> tuple[Any, ...]:
        return tuple(values[place] for place in places)

    return Curve(curve.name, at(curve.epochs), at(curve.passes), at(curve.values))


def over_seeds(values: Sequence[tuple[str, Series, Sequence[tuple[int, float]]]], title: str) -> go.Figure:
    """Return the values of each strategy on its seeds, (name, look, (seed, value) pairs), with mean and 95 % interval.

    A strategy with a single seed has no interval.
    """
    figure = empty_figure("", title)
    names = [label(name) for name, *_ in values]
    for (_, look, pairs), name in zip(values, names, strict=True):
        found = [value for _, value in pairs]
        mean, interval = fmean(found), mean_interval(found)
        figure.add_scatter(
            x=[name] * len(pairs),
            y=found,
            name=name,
            mode="markers",
            text=[f"seed {seed}" for seed, _ in pairs],
            hovertemplate="%{y:.4g}, %{text}<extra></extra>",
            marker={"symbol": look.symbol, "size": 9, "color": look.color, "opacity": 0.75},
        )
        figure.add_scatter(
            x=[name],
            y=[mean],
            mode="markers",
            error_y={"type": "constant", "value": interval[1] - mean, "thickness": 2, "width": 8} if interval else None,
            hovertemplate="mean %{y:.4g}<extra></extra>",
            marker={
                "symbol": "line-ew",
                "size": 26,
                "color": "var(--ink)",
                "line": {"width": 3, "color": "var(--ink)"},
            },
        )
    figure.update_layout(showlegend=False)
    figure.update_xaxes(type="category", categoryorder="array", categoryarray=names, range=[-0.5, len(names) - 0.5])
    return figure


def _joined(parts: Sequence[Sequence[Any]]) -> list[Any]:
    """Return the parts one behind the other, with a gap between two, over which Plotly draws no line."""
    return list(chain.from_iterable([*part, None] for part in parts))[:-1]
