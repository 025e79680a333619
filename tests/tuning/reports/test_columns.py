"""One definition of the columns: every table has them, and a new one is one value."""

import re
from io import StringIO
from typing import Any

import pytest
from rich.console import Console

from tests.tuning.factories import made_spec
from tests.tuning.reports.factories import POPULARITY, epoch, plan, record
from tuning.records.trials import BASELINE
from tuning.reports import columns
from tuning.reports.columns import TrialRow, ended_row, popularity_row, running_row, shown_parameters, trial_columns
from tuning.reports.live import LiveTable
from tuning.reports.search_report import best_table, summary_markdown
from tuning.reports.tables import Column

RANGE = {"type": "uniform", "low": 0.1, "high": 0.2}
SPEC = made_spec(space={"strategy": {"alpha": 1.0, "beta": 0.2, "interval": 3}})


@pytest.mark.parametrize(
    ("strategy", "space", "names"),
    [
        ("mg", {"strategy": {"alpha": 1.0, "beta": 0.2, "interval": 3}}, ["alpha", "beta", "interval"]),
        ("mg", {"strategy": {"alpha": 1.0, "beta": 0.2, "compose": "two_step"}}, ["alpha", "beta"]),
        ("sam", {"strategy": {"rho": 0.1}}, []),
        ("sam", {"strategy": {"rho": RANGE}, "train": {"lr": 0.1}, "model": {"reg": RANGE}}, ["rho", "reg"]),
        ("plain", {"train": {"lr": RANGE, "floor": {"type": "fixed", "value": 0.5, "of": "lr"}}}, ["lr", "floor"]),
        ("plain", {"train": {"lr": 0.1, "floor": RANGE | {"type": "fraction", "of": "lr"}}}, ["floor"]),
    ],
)
def test_a_parameter_has_a_column_if_it_differs_between_trials_or_its_strategy_says_so(
    strategy: str, space: dict[str, Any], names: list[str]
) -> None:
    assert [parameter.name for parameter in shown_parameters(made_spec(strategy=strategy, space=space))] == names


def test_every_kind_of_row_has_a_cell_in_every_column() -> None:
    baseline = record(BASELINE, 0.5, params={}, best_epoch=None)
    rows = [
        running_row(plan("0003", {"strategy": {"alpha": 1.5}}), epoch(2, best=0.25)),
        ended_row(baseline, {"recall@20": 0.125}),
        ended_row(baseline),
        popularity_row(POPULARITY, "recall@20"),
    ]
    assert [[column.cell(row) for column in trial_columns(SPEC)] for row in rows] == [
        ["0003", "running", "2", "-", "1.5", "-", "-", "0.25", "-"],
        [BASELINE, "finished", "9", "-", "-", "-", "-", "0.5", "0.125"],
        [BASELINE, "finished", "9", "-", "-", "-", "-", "0.5", "-"],
        ["popularity", *["-"] * 6, "0.375", "0.1875"],
    ]


def test_a_new_column_is_in_the_live_table_the_final_table_and_markdown(monkeypatch: pytest.MonkeyPatch) -> None:
    passes = Column[TrialRow]("passes", lambda row: row.record and row.record.passes, "{:,}".format)
    monkeypatch.setattr(columns, "trial_columns", lambda spec: (*trial_columns(spec), passes))
    records = [record("0000", 0.5, passes=1234), record(BASELINE, 0.5, passes=5)]

    final = best_table(SPEC, records, POPULARITY).columns[-1]
    assert (final.header, list(final.cells)) == ("passes", ["1,234", "5", "-"])

    page = summary_markdown(SPEC, records, None, None)
    lines = [line for line in page.splitlines() if line.startswith(("| trial", "| 0000", f"| {BASELINE}"))]
    assert [line.split(" | ")[-1] for line in lines] == ["passes |", "1,234 |", "5 |"]

    console = Console(file=StringIO(), force_terminal=True, width=120, color_system=None)
    table = LiveTable(3, SPEC, console=console)
    table.begins([])
    table.running(plan("0001", {}), None)
    table.ended(records[0])
    table.ends()
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", console.file.getvalue())
    header, _, first, second, *_ = text.rstrip().splitlines()[-7:]
    assert [line.split()[-1] for line in (header, first, second)] == ["passes", "1,234", "-"]

    log = Console(file=StringIO(), width=120)
    table = LiveTable(3, SPEC, console=log)
    table.begins([])
    table.ended(records[0])
    assert "valid recall@20 0.5, passes 1,234; 1/3 trials" in log.file.getvalue()
