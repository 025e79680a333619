"""The look of figures: colours that colour-blind eyes tell apart, and dashes and symbols beside them."""

from dataclasses import dataclass
from html import escape
from typing import Any

import plotly.graph_objects as go
from plotly.colors import sample_colorscale

from tuning.reports.tables import shown


@dataclass(frozen=True)
class Series:
    """The look of one of several lines: it differs from the others by more than its colour."""

    color: str
    dash: str
    symbol: str


# Okabe and Ito, Color Universal Design, 2008, but for its yellow, which white paper swallows.
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_DASHES = ("solid", "dash", "dot", "dashdot", "longdash")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "cross", "x", "star")
REFERENCE = Series("var(--ink)", "dash", "circle-open")
"""The look of what all others are compared with."""


def series(number: int) -> Series:
    """Return the look of a line by its place."""
    colors = len(_COLORS)
    return Series(
        _COLORS[number % colors],
        _DASHES[(number // colors + number % 2) % len(_DASHES)],
        _SYMBOLS[number % len(_SYMBOLS)],
    )


WINNER, GREY = _COLORS[1], "var(--faint)"
"""The colour of what was chosen, and of what stands behind the rest."""


SCALE = [
    [place / 8, color] for place, color in enumerate(sample_colorscale("Plasma", [0.12 + 0.085 * n for n in range(9)]))
]
"""Colours of scores, from the worst to the best: without the ends of Plasma, which dark and white paper swallow."""


def empty_figure(x: str, y: str) -> go.Figure:
    """Return a figure without traces. `x`, `y`: titles of its axes."""
    return go.Figure(layout={"xaxis": {"title": {"text": x}}, "yaxis": {"title": {"text": y}}, "hovermode": "closest"})


def label(value: Any) -> str:
    """Return a value as text inside of a figure, which reads some HTML."""
    return escape(shown(value))
