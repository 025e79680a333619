"""A sharpness analysis as one figure for a paper, PNG and PDF."""

from pathlib import Path

from matplotlib.figure import Figure

from recmodels.analysis.flatness import MEASURES
from tuning.analyses.landscape_figure import save_figure
from tuning.analyses.sharpness import Sharpness
from tuning.analyses.sharpness_page import CURVES, curve, eigenvalues
from tuning.analyses.subjects import Analyzed


def write_figure(stem: Path, sharpness: Sharpness, analyzed: Analyzed) -> None:
    """Write STEM.png and STEM.pdf: the rises over the radius and the eigenvalues, a row for each scope of weights."""
    save_figure(stem, sharpness_figure(sharpness, analyzed))


def sharpness_figure(sharpness: Sharpness, analyzed: Analyzed) -> Figure:
    """Return the figure. What was not measured has an empty panel, which says so."""
    scopes = list(dict.fromkeys(found.scope for found in sharpness.found))
    figure = Figure(figsize=(12, 3.6 * len(scopes)), layout="constrained")
    panels = figure.subplots(len(scopes), 3, squeeze=False)
    for row, scope in zip(panels, scopes, strict=True):
        for panel, measure in zip(row, list(CURVES)[:2], strict=False):
            for number, subject in enumerate(analyzed.subjects):
                own = [(level, value) for found, level, value in curve(sharpness, measure, scope) if found == number]
                if known := [(level, value) for level, value in own if value is not None and value > 0]:
                    panel.loglog(*zip(*known, strict=True), "o-", label=subject.label)
            title = MEASURES[measure].title.split(",")[0]
            panel.set(title=f"{title}, {scope}", xlabel="radius", ylabel="rise, as a share of the loss")
        for found in eigenvalues(sharpness, scope):
            values = [reading.value for reading in found.readings if reading.value is not None]
            row[2].plot([found.number] * len(values), values, "o")
        row[2].set(title=f"eigenvalues of the Hessian, {scope}", ylabel="eigenvalue")
        row[2].set_xticks(range(len(analyzed.subjects)), [subject.label for subject in analyzed.subjects], rotation=20)
        for panel in row:
            if not panel.lines:
                panel.text(0.5, 0.5, "not measured", ha="center", va="center", transform=panel.transAxes)
        if row[0].lines:
            row[0].legend()
    return figure
