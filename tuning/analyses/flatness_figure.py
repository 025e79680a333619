"""A flatness analysis as one figure for a paper, PNG and PDF."""

from pathlib import Path

from matplotlib.figure import Figure

from tuning.analyses.flatness_files import Flatness
from tuning.analyses.flatness_numbers import headline, of_models, of_strategies, sharpness_of
from tuning.analyses.flatness_page import look_of
from tuning.analyses.landscape_figure import save_figure
from tuning.analyses.robustness_figure import MARKERS
from tuning.experiments import REFERENCE


def write_figure(stem: Path, flatness: Flatness) -> None:
    """Write STEM.png and STEM.pdf: for each model the drop under noise over sharpness, and the metric that is left."""
    save_figure(stem, flatness_figure(flatness))


def flatness_figure(flatness: Flatness) -> Figure:
    """Return the figure. A model that no perturbation reaches has empty panels, which say so."""
    models, strategies = of_models(flatness.rows), list(of_strategies(flatness.rows))
    figure = Figure(figsize=(8.4, 3.4 * len(models)), layout="constrained")
    panels = figure.subplots(len(models), 2, squeeze=False)
    for pair, (model, rows) in zip(panels, models.items(), strict=True):
        measure, noise = sharpness_of(flatness.asked, rows)[0], headline(flatness.asked, rows)
        if noise is None:
            for panel in pair:
                panel.set_title(model)
                panel.text(0.5, 0.5, "no perturbation reaches it", ha="center", va="center", transform=panel.transAxes)
            continue
        for panel, outcome in zip(pair, (noise.drop, noise.perturbed), strict=True):
            for name, own in of_strategies(rows).items():
                look = look_of(name, strategies)
                plain = name == REFERENCE
                pairs = [(measure.of(row), outcome.of(row)) for row in own]
                if known := [pair for pair in pairs if None not in pair]:
                    xs, ys = zip(*known, strict=True)
                    color, marker = ("black", "o") if plain else (look.color, MARKERS[look.symbol])
                    panel.plot(xs, ys, marker, color=color, fillstyle="none" if plain else "full", label=name)
            panel.set(title=model, xlabel=measure.name, ylabel=outcome.title)
    handles = {
        name: each for panel in panels.flat for each, name in zip(*panel.get_legend_handles_labels(), strict=True)
    }
    if handles:
        figure.legend(handles.values(), handles.keys(), loc="outside upper center", ncols=min(6, len(handles)))
    return figure
