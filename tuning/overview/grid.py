"""The table of an overview in the layout of papers: rows of models and strategies, columns of data sets and metrics."""

from collections.abc import Iterator
from dataclasses import dataclass

from recmodels.metric import Metric
from tuning.experiments.experiment import REFERENCE
from tuning.overview.remarks import DAGGER, STAR
from tuning.overview.table import NOT_RUN, OverviewTable
from tuning.reports.tables import shown

MEAN, POPULARITY = "mean gain", "popularity"
"""Name of the columns and rows of means, and of the last row."""


@dataclass(frozen=True)
class Cell:
    """`mark`: STAR, DAGGER or none."""

    text: str = ""
    mark: str = ""

    def __str__(self) -> str:
        return f"{self.text} {self.mark}".strip()


@dataclass(frozen=True)
class GridRow:
    """A row: `group` is the model, MEAN or POPULARITY; `label` the strategy, or its gain."""

    group: str
    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Grid:
    """`columns`: data set, or MEAN, and metric of each column. `groups`: the rows, those of a model together."""

    columns: list[tuple[str, Metric]]
    groups: list[list[GridRow]]


def grid(table: OverviewTable) -> Grid:
    """Return the grid: for each model its strategies and their gains, then mean gains, then popularity.

    Mean gains over data sets are columns, those over models rows, where there is more than one.
    """
    columns = [(dataset, metric) for dataset in table.datasets for metric in table.metrics]
    if len(table.datasets) > 1 and _rivals(table):
        columns += [(MEAN, metric) for metric in table.metrics]
    groups = [list(_of_model(table, model, columns)) for model in table.models]
    if len(table.models) > 1:
        groups.append([_means(table, strategy, None, columns) for strategy in _rivals(table)])
    if table.floors:
        floors = tuple(_level(table.floors.get(column)) for column in columns)
        groups.append([GridRow(POPULARITY, "", floors)])
    return Grid(columns, [group for group in groups if group])


def _rivals(table: OverviewTable, model: str | None = None) -> list[str]:
    """Return the strategies that may have a gain."""
    return [strategy for strategy in table.strategies(model) if strategy != REFERENCE]


def _of_model(table: OverviewTable, model: str, columns: list[tuple[str, Metric]]) -> Iterator[GridRow]:
    for strategy in table.strategies(model):
        yield GridRow(model, strategy, tuple(_figure(table, model, strategy, *column) for column in columns))
        if strategy != REFERENCE:
            yield _means(table, strategy, model, columns)


def _means(table: OverviewTable, strategy: str, model: str | None, columns: list[tuple[str, Metric]]) -> GridRow:
    """Return the gains of a strategy: those of a model, or, without one, their means over the models."""
    cells = []
    for dataset, metric in columns:
        place = None if dataset == MEAN else dataset
        mean = table.mean_gain(strategy, metric, model, place)
        entry = table.entries.get((model or "", dataset, strategy, metric))
        cells.append(Cell(f"{mean.gain:+.1%}", STAR if entry and entry.survives else "") if mean else Cell("-"))
    return GridRow(model or MEAN, f"{strategy} gain", tuple(cells))


def _figure(table: OverviewTable, model: str, strategy: str, dataset: str, metric: Metric) -> Cell:
    if dataset == MEAN:
        return Cell()
    if entry := table.entries.get((model, dataset, strategy, metric)):
        return Cell(shown(entry.mean), DAGGER if entry.below_popularity else "")
    state = table.state(model, dataset)
    if state is None or strategy not in [spec.strategy for spec in state.pair.experiment.searches]:
        return Cell("-")
    if state.fault == NOT_RUN:
        return Cell("not run")
    return Cell(f"failed [{table.failed.index(state) + 1}]" if state.fault else "-")


def _level(value: float | None) -> Cell:
    return Cell() if value is None else Cell(shown(value))
