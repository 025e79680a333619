"""Landscapes as one figure for a paper, PNG and PDF."""

from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from recmodels.files import replacing
from tuning.analyses.landscape import PLACES, Landscape
from tuning.analyses.subjects import Analyzed

DPI = 200


def write_figure(stem: Path, landscape: Landscape, analyzed: Analyzed) -> None:
    """Write STEM.png and STEM.pdf: a surface and contours for each export on the first plane, with one scale, and the
    lines between the minima."""
    save_figure(stem, landscape_figure(landscape, analyzed))


def save_figure(stem: Path, figure: Figure) -> None:
    """Write a figure as STEM.png and STEM.pdf."""
    for kind in ("png", "pdf"):
        with replacing(stem.parent / f"{stem.name}.{kind}") as temporary:
            figure.savefig(temporary, format=kind, dpi=DPI)


def landscape_figure(landscape: Landscape, analyzed: Analyzed) -> Figure:
    """Return the figure."""
    n, lines = len(analyzed.subjects), [line for line in landscape.lines if not line.reason]
    figure = Figure(figsize=(4 * max(n, 2), 11.5 if lines else 8), layout="constrained")
    grid = figure.add_gridspec(3 if lines else 2, n, height_ratios=[1.2, 1, 0.9] if lines else None)
    axis = np.array(landscape.planes.axis)
    rises = [np.array(landscape.of(number).losses, dtype=float) - landscape.of(number).centre for number in range(n)]
    known = np.concatenate([rise[np.isfinite(rise)] for rise in rises])
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    levels = np.linspace(low, high if high > low else low + 1, 21)
    over_m, over_n = np.meshgrid(axis, axis, indexing="ij")
    contours = []
    for number, (subject, rise) in enumerate(zip(analyzed.subjects, rises, strict=True)):
        surface = figure.add_subplot(grid[0, number], projection="3d")
        surface.plot_surface(over_m, over_n, rise, cmap="viridis", vmin=low, vmax=high, rstride=1, cstride=1)
        surface.set(title=subject.label, xlabel="m", ylabel="n", zlim=(levels[0], levels[-1]))
        surface.locator_params(nbins=5)
        contour = figure.add_subplot(grid[1, number])
        filled = contour.contourf(over_m, over_n, rise, levels=levels, cmap="viridis")
        contour.plot(0, 0, "+", color="white")
        contour.set(xlabel="m", ylabel="n", aspect="equal")
        contours.append(contour)
    figure.colorbar(filled, ax=contours, label="rise of the loss", format="%.3g")
    if lines:
        between = figure.add_subplot(grid[2, :])
        for line in lines:
            between.plot(PLACES, np.array(line.losses, dtype=float), label=f"to {analyzed.subjects[line.number].label}")
        between.set(xlabel=f"t, from {analyzed.subjects[0].label} at 0 to the other at 1", ylabel="loss")
        between.legend()
    return figure
