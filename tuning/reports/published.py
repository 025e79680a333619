"""Figures that others published, as rows of a table of trials and as lines below one. They take part in no choice."""

from collections.abc import Sequence

from recmodels.data.published import difference
from tuning.records import Environment
from tuning.reports.columns import TrialRow
from tuning.space import GRADES, Figures, Pair
from tuning.spec import SearchSpec


def published_figures(spec: SearchSpec) -> Sequence[Figures]:
    """Return the published figures of a search's model and data set that have its metric."""
    figures = spec.pair.published if spec.pair else ()
    return [each for each in figures if spec.training.metric in {*each.valid, *each.test}]


def published_name(figures: Figures) -> str:
    """Return the name of the row of some figures."""
    return f"published ({figures.by})"


def published_rows(spec: SearchSpec) -> list[TrialRow]:
    """Return a row for each source of figures in the search's metric."""
    metric = spec.training.metric
    return [
        TrialRow(published_name(each), value=each.valid.get(metric), test=each.test) for each in published_figures(spec)
    ]


def published_lines(spec: SearchSpec, environment: Environment | None) -> list[str]:
    """Return where each row of published figures comes from, one line each.

    `environment`: of the search, None before its first start. If its data has not the sizes of the published split, a
    line says so.
    """
    lines = [
        f"{published_name(each)}: {each.source}; for reference, it takes part in no choice"
        for each in published_figures(spec)
    ]
    if lines and environment:
        data = environment.data
        sizes = data.users, data.items, [data.train, data.valid, data.test]
        if differs := difference(spec.dataset, *sizes):
            lines.append(f"the published figures are of another split than this data: {differs}")
    return lines


def origin_line(pair: Pair) -> str:
    """Return the line that says where the values of a model on a data set come from."""
    grade = f", grade {pair.grade}: {GRADES[pair.grade]}" if pair.grade else ""
    source = f" ({pair.source})" if pair.source else ""
    return f"values for this data set: {pair.file}{grade}{source}"
