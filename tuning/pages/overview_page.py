"""The page of an overview: the mean gain first, the table of all pairs, and a link to the page of each."""

from collections import Counter
from html import escape
from pathlib import Path

import plotly.graph_objects as go

from tuning.commandlines import report_command, resume_command
from tuning.experiments.experiment import REFERENCE
from tuning.overview import Overview, OverviewTable, read_table
from tuning.overview.grid import grid
from tuning.overview.remarks import remarks
from tuning.overview.table import Entry
from tuning.pages.content import Content, Figure, Heading, Links, Listing, Notes, Page, Section, Table, Text, Tile
from tuning.pages.look import empty_figure, series
from tuning.pages.search_page import made_at
from tuning.records import SearchFolder


def overview_page(path: Path, running: bool) -> Page:
    """Return the page of the overview in a folder, whether it has ended or not. UserError for a damaged file."""
    overview = Overview.in_folder(path.resolve()).model_copy(update={"name": path.name})
    made = read_table(overview)
    verdict, evidence = _verdict(made, running)
    return Page(
        title=f"{', '.join(made.models)} on {', '.join(made.datasets)}",
        subtitle=f"Overview {overview.name} of {len(made.states)} pairs",
        verdict=verdict,
        evidence=evidence,
        tiles=_tiles(made),
        sections=(_table(made), _gains(made), _pairs(made), _commands(overview)),
        made=made_at(),
    )


def _deciding(made: OverviewTable) -> list[Entry]:
    """Return the gains in the metric that decides, in the order of the table."""
    return [entry for entry in made.entries.values() if entry.decides and entry.gain is not None]


def _verdict(made: OverviewTable, running: bool) -> tuple[str, tuple[str, ...]]:
    found = _deciding(made)
    with_result = sum(state.figures is not None for state in made.states)
    state = f"{with_result} of {len(made.states)} pairs have a result"
    if not found:
        return f"No verdict{' yet' if running else ''}: {state}, and none of them a gain over {REFERENCE}.", ()
    lines = []
    for strategy in dict.fromkeys(entry.strategy for entry in found):
        own = [entry for entry in found if entry.strategy == strategy]
        means = [made.mean_gain(strategy, metric) for metric in dict.fromkeys(entry.metric for entry in own)]
        mean = ", ".join(f"{each.gain:+.1%} in {each.metric}".replace("%", " %") for each in means if each)
        decisions = Counter(entry.decision or "undecided" for entry in own)
        counted = ", ".join(f"{what} in {number}" for what, number in decisions.most_common())
        lines.append(f"{strategy}: mean gain {mean} over {len(own)} of {len(made.states)} pairs; {counted}.")
    return lines[0], (*lines[1:], *([f"It is running: {state}."] if running else []))


def _tiles(made: OverviewTable) -> tuple[Tile, ...]:
    ended = sum(state.figures is not None for state in made.states)
    found = _deciding(made)
    best = max(found, key=lambda entry: entry.gain or 0.0, default=None)
    gain = f"{best.gain:+.1%}".replace("%", " %") if best and best.gain is not None else "-"
    return (
        Tile("pairs with a result", f"{ended} of {len(made.states)}", f"{len(made.failed)} failed"),
        Tile("told apart", f"{sum(entry.survives for entry in found)} of {len(found)}", f"gains over {REFERENCE}"),
        Tile("largest gain", gain, f"{best.strategy}, {best.model} on {best.dataset}" if best else "none yet"),
    )


def _table(made: OverviewTable) -> Section:
    found = grid(made)
    headings = [Heading("model", False), Heading("", False)]
    headings += [Heading(f"{dataset} {metric}", True) for dataset, metric in found.columns]
    rows = [(row.group, row.label, *map(str, row.cells)) for group in found.groups for row in group]
    caption = "Metrics on test: models and their strategies by data set"
    return Section("table", "All pairs", (Table(caption, tuple(headings), tuple(rows)), Notes(tuple(remarks(made)))))


def _gains(made: OverviewTable) -> Section:
    found, title = _deciding(made), f"Gains over {REFERENCE}"
    if not found:
        return Section("gains", title, (Text("No pair has a gain yet."),))
    figure = empty_figure("gain, as a share of the reference's mean", "")
    for number, strategy in enumerate(dict.fromkeys(entry.strategy for entry in found)):
        own, look = [entry for entry in found if entry.strategy == strategy], series(number)
        _add_gains(figure, strategy, own, look.color, look.symbol)
    figure.update_layout(showlegend=True, shapes=[_zero()])
    figure.update_xaxes(tickformat="+.1%", zeroline=False)
    figure.update_yaxes(type="category", autorange="reversed")
    caption = (
        "Each point is the gain of a pair in the metric that decides, on test; right of the line the strategy has the "
        "larger mean. A filled point is told apart from the reference over seeds and users, an open one is not."
    )
    return Section("gains", title, (Figure("gains", f"{title} by pair", caption, figure),))


def _add_gains(figure: go.Figure, strategy: str, entries: list[Entry], color: str, symbol: str) -> None:
    figure.add_scatter(
        x=[entry.gain for entry in entries],
        y=[escape(f"{entry.model} on {entry.dataset}") for entry in entries],
        name=escape(strategy),
        mode="markers",
        hovertemplate="%{y}: %{x}",
        marker={
            "color": color,
            "size": 12,
            "symbol": [symbol if entry.survives else f"{symbol}-open" for entry in entries],
            "line": {"width": 2},
        },
    )


def _zero() -> dict[str, object]:
    """Return the line of no gain."""
    return {
        "type": "line",
        "x0": 0,
        "x1": 0,
        "y0": 0,
        "y1": 1,
        "yref": "paper",
        "line": {"color": "var(--ink)", "width": 1},
    }


def _pairs(made: OverviewTable) -> Section:
    """Return what each pair's experiment says, with a link to its page."""
    parts: list[Content] = [
        Links(
            "The experiment of each pair has a page of its own beside this file:",
            tuple(
                (str(state.pair), f"../{state.pair.name}/{SearchFolder(state.pair.experiment.folder).report.name}")
                for state in made.states
                if state.figures
            ),
        )
    ]
    for state in made.states:
        said = [each.verdict for each in state.figures.strategies] if state.figures else []
        said += [f"{state.fault}."] if state.fault else []
        parts.append(Listing(str(state.pair), "\n\n".join(said), folded=True))
    return Section("pairs", "What each pair says", tuple(parts))


def _commands(overview: Overview) -> Section:
    again = [of(overview.name, overview.output_dir) for of in (resume_command, report_command)]
    return Section("commands", "Commands to repeat it", (Listing("Next", "\n".join(again)),))
