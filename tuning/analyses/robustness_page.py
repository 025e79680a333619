"""The page of a robustness analysis: curves of the metric and of its drop, tables, and who has the highest values."""

from collections.abc import Sequence

import numpy as np
import plotly.graph_objects as go

from tuning.analyses.robustness import Comparison, Curve, Robustness
from tuning.analyses.robustness_words import columns, count, lines, verdicts
from tuning.export import Export
from tuning.pages.content import Content, Figure, Heading, Listing, Notes, Page, Section, Table, Text, Tile
from tuning.pages.look import empty_figure, label, series
from tuning.pages.search_page import made_at
from tuning.records.environment import versions
from tuning.reports.tables import shown

ABOUT = (
    "A drop is 100 * (clean - perturbed) / clean, the mean over the draws. All exports meet the same draws. Bars and "
    "intervals are of 95 %, by resampling users. A model with a smaller drop may still have the lower metric: look at "
    "both."
)


def robustness_page(found: Robustness, exports: Sequence[Export], sources: Sequence[str], command: str) -> Page:
    """Return the page. `sources`: where the weights of each export come from. `command`: makes it again."""
    settings, first = found.settings, exports[0]
    told = verdicts(found)
    models = ", ".join(dict.fromkeys(export.model for export in exports))
    short: Table = Table.of(
        "At one level of each measure; * is the highest perturbed metric. Area, half and slope sum up the whole "
        "curve of drops: the integral over levels from 0 to 1, the level with a drop of 50 %, and percent per unit of "
        "level up to 0.2.",
        columns(settings.metric),
        lines(found),
    )
    return Page(
        title=f"Robustness of {models} on {first.dataset}",
        subtitle=f"{count(exports, 'export')}, {settings.metric} on {settings.split}",
        verdict=told[0],
        evidence=tuple(told[1:]),
        tiles=(
            Tile("exports", str(len(exports)), ", ".join(found.labels)),
            Tile(f"clean {settings.metric}", shown(found.comparisons[0].curves[0].clean), f"of {found.labels[0]}"),
            Tile("draws", str(settings.repeats), "at each level, the same for all exports"),
        ),
        sections=(
            Section("short", "In short", (Text(ABOUT), short)),
            *(_section(number, each, settings.metric) for number, each in enumerate(found.comparisons)),
            _origin(found, exports, sources, command),
        ),
        made=made_at(),
    )


def _section(number: int, comparison: Comparison, metric: str) -> Section:
    measure = comparison.measure
    without = [curve.label for curve in comparison.curves if not curve.applies]
    note = f"Not applicable to {', '.join(without)}: their scores do not depend on it, so every drop is exactly 0."
    figures = (
        Figure(
            f"values-{number}",
            f"{metric} under {measure.title}",
            "Bars: deviation over the draws.",
            curves_figure(comparison, metric),
        ),
        Figure(
            f"drops-{number}",
            f"Drop of {metric} in percent",
            "Bars: 95 % intervals over users.",
            drops_figure(comparison),
        ),
    )
    parts: list[Content] = [*([Text(note)] if without else []), *figures, _levels(comparison, metric)]
    if edits := _edits(comparison, metric):
        parts.append(edits)
    return Section(f"measure-{number}", f"{measure.name}: {measure.title}", tuple(parts))


def curves_figure(comparison: Comparison, metric: str) -> go.Figure:
    """Return the metric over the levels, a line for each export, with the deviation over the draws."""
    figure = empty_figure(comparison.measure.unit, metric)
    for number, curve in enumerate(comparison.curves):
        deviations = [(curve.deviation(place) or 0) * curve.clean / 100 for place in range(len(curve.levels))]
        values = [curve.value(place) for place in range(len(curve.levels))]
        _add(figure, number, curve, values, {"type": "data", "array": deviations, "thickness": 1, "width": 3})
    return figure


def drops_figure(comparison: Comparison) -> go.Figure:
    """Return the relative drop over the levels, a line for each export, with its interval over the users."""
    figure = empty_figure(comparison.measure.unit, "drop in percent")
    for number, curve in enumerate(comparison.curves):
        values = [curve.drop(place) for place in range(len(curve.levels))]
        if None in values:
            continue
        low, high = comparison.intervals.drops[number].T
        bars = {
            "type": "data",
            "symmetric": False,
            "array": [
                max(0.0, float(top) - value) for top, value in zip(high, values, strict=True) if value is not None
            ],
            "arrayminus": [
                max(0.0, value - float(end)) for end, value in zip(low, values, strict=True) if value is not None
            ],
            "thickness": 1,
            "width": 3,
        }
        _add(figure, number, curve, values, bars)
    return figure


def _add(figure: go.Figure, number: int, curve: Curve, values: Sequence[float | None], bars: dict[str, object]) -> None:
    look = series(number)
    figure.add_scatter(
        x=list(curve.levels),
        y=list(values),
        error_y=bars,
        name=label(curve.label),
        mode="lines+markers",
        line={"color": look.color, "dash": look.dash, "width": 2},
        marker={"symbol": look.symbol, "size": 7},
        hovertemplate="%{y:.4g} at %{x:.3g}",
    )
    figure.update_layout(showlegend=True)


def _levels(comparison: Comparison, metric: str) -> Table:
    headings = [Heading("level", True)]
    for curve in comparison.curves:
        headings += [Heading(f"{curve.label} {metric}", True), Heading("drop %", True), Heading("95 % interval", True)]
        if curve is not comparison.curves[0]:
            headings.append(Heading(f"drop less that of {comparison.curves[0].label}, 95 % interval", True))
    rows = []
    for place, level in enumerate(comparison.levels):
        row = [shown(float(level))]
        for number, curve in enumerate(comparison.curves):
            drop, (low, high) = curve.drop(place), comparison.intervals.drops[number, place]
            row.append(f"{curve.value(place):.4f}")
            row += ["n/a", "-"] if drop is None else [f"{drop:.2f}", f"{low:.2f} to {high:.2f}"]
            if number:
                low, high = comparison.intervals.against[number, place]
                row.append("-" if np.isnan(low) else f"{low:+.2f} to {high:+.2f}")
        rows.append(tuple(row))
    return Table("Every level.", tuple(headings), tuple(rows))


def _edits(comparison: Comparison, metric: str) -> Table | None:
    """Return the metric of users with and without an edited item in their history, and the exposure of these items."""
    heads = ("level", "export", "edited items", "users", f"clean {metric}", "perturbed", "other users", "clean")
    headings = [Heading(head, head != "export") for head in (*heads, "perturbed", "exposure %", "after %")]
    rows = []
    for place, level in enumerate(comparison.levels):
        for curve in comparison.curves:
            point = curve.points[place]
            if (edited := point.edited) is not None:
                row: list[object] = [float(level), curve.label, f"{sum(point.altered) / len(point.altered):.0f}"]
                for group in (edited.touched, edited.others):
                    row += [f"{group.users:.0f}", group.clean, group.perturbed]
                rows.append((*map(shown, row), *(f"{100 * share:.2f}" for share in (edited.before, edited.after))))
    caption = (
        "Users with an edited item in their training history, and others; the edited items' share of the best lists."
    )
    return Table(caption, tuple(headings), tuple(rows)) if rows else None


def _origin(found: Robustness, exports: Sequence[Export], sources: Sequence[str], command: str) -> Section:
    settings = found.settings
    notes = [
        f"{name}: {export.model}, {export.strategy}, seed {export.seed}, weights: {source}"
        + "; the strategy is a reconstruction" * export.reconstruction
        for name, export, source in zip(found.labels, exports, sources, strict=True)
    ]
    notes.append(f"Seed of the draws: {settings.seed}; {settings.repeats} at each level.")
    notes.append("Versions: " + ", ".join(f"{name} {version}" for name, version in versions().items()))
    return Section("origin", "Where it comes from", (Notes(tuple(notes)), Listing("Made again by", command)))
