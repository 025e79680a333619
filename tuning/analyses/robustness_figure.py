"""The curves of a robustness analysis as one figure for a paper, PNG and PDF."""

from pathlib import Path
from typing import TYPE_CHECKING

from recmodels.files import replacing
from tuning.analyses.robustness import Comparison, Robustness
from tuning.pages.look import series

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 3
"""Panels side by side."""
DASHES = {"solid": "-", "dash": "--", "dot": ":", "dashdot": "-.", "longdash": (0, (8, 3))}
MARKERS = {"circle": "o", "square": "s", "diamond": "D", "triangle-up": "^", "cross": "P", "x": "X", "star": "*"}


def write_figures(found: Robustness, stem: Path) -> list[Path]:
    """Write a panel with the drops of each measure as STEM.png and STEM.pdf, whole; return the files.

    The bars are 95 % intervals over the users. OSError if a file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # it takes half a second
    from matplotlib.figure import Figure

    n = len(found.comparisons)
    columns, rows = min(n, COLUMNS), -(-n // COLUMNS)
    figure = Figure(figsize=(3.4 * columns, 2.8 * rows), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(rows, columns, squeeze=False).ravel()
    for panel, comparison in zip(panels, found.comparisons, strict=False):
        _draw(panel, comparison, found.settings.metric)
    for panel in panels[n:]:
        panel.set_axis_off()
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside upper center", ncols=min(4, len(names)), frameon=False, fontsize=8)
    written = []
    for kind in ("png", "pdf"):
        path = stem.with_suffix(f".{kind}")
        # Without the time of writing, equal results are equal files.
        metadata = {"CreationDate": None} if kind == "pdf" else {}
        with replacing(path) as temporary:
            figure.savefig(temporary, format=kind, dpi=200, metadata=metadata)
        written.append(path)
    return written


def _draw(panel: "Axes", comparison: Comparison, metric: str) -> None:
    for number, curve in enumerate(comparison.curves):
        drops = [curve.drop(place) for place in range(len(curve.levels))]
        known = [drop for drop in drops if drop is not None]
        if len(known) < len(drops):
            known, low, high = [float("nan")] * len(drops), [0.0] * len(drops), [0.0] * len(drops)
        else:
            ends = comparison.intervals.drops[number]
            low = [max(0.0, drop - float(end)) for drop, end in zip(known, ends[:, 0], strict=True)]
            high = [max(0.0, float(end) - drop) for drop, end in zip(known, ends[:, 1], strict=True)]
        look = series(number)
        panel.errorbar(
            curve.levels,
            known,
            yerr=[low, high],
            label=curve.label,
            color=look.color,
            linestyle=DASHES[look.dash],
            marker=MARKERS[look.symbol],
            markersize=4,
            linewidth=1.3,
            elinewidth=0.8,
            capsize=2,
        )
    panel.set_title(comparison.measure.name, fontsize=9)
    panel.set_xlabel(comparison.measure.unit, fontsize=8)
    panel.set_ylabel(f"drop of {metric}, %", fontsize=8)
    panel.tick_params(labelsize=7)
    panel.grid(alpha=0.3, linewidth=0.5)
