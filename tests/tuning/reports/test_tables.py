"""Tables have one look, and nothing in a cell is markup."""

import subprocess
import sys
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

import tuning
from tuning.reports.tables import Column, markdown_table, plain_columns, say, shown, table


@pytest.mark.parametrize(
    ("value", "text"), [(None, "-"), (0.123456, "0.1235"), (1.0, "1"), (2048, "2048"), ("adam", "adam"), (True, "True")]
)
def test_a_value_as_text(value: Any, text: str) -> None:
    assert shown(value) == text


def test_a_cell_is_plain_text_and_groups_stand_apart() -> None:
    console = Console(file=StringIO(), width=60, color_system=None)
    columns = (*plain_columns("[b]name"), Column("size", lambda row: row[1], "{:.2f}".format))
    console.print(table(columns, [("[i]a", 1.0)], [("b", None)]))
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == [
        "[b]name   size",
        "──────────────",
        "[i]a      1.00",
        "",
        "b            -",
    ]


def test_bars_are_escaped_in_markdown() -> None:
    assert markdown_table(plain_columns("a", "b"), [("x|y", 0.5)]) == "| a | b |\n| --- | --- |\n| x\\|y | 0.5 |"


def test_a_line_is_said_as_it_is() -> None:
    console = Console(file=StringIO(), width=20, color_system=None)
    say(console, "[b]careful[/b] " + "x" * 40)
    assert console.file.getvalue() == "[b]careful[/b] " + "x" * 40 + "\n"


def test_results_are_printed_without_ray() -> None:
    """A reader of results needs neither Ray nor Optuna nor MLflow."""
    script = """
import sys
for name in ("ray", "optuna", "mlflow"):
    sys.modules[name] = None  # importing it fails
import tuning.reports.live
import tuning.experiments, tuning.experiments.experiment_report as report
from tuning.reports.search_report import best_table, summary_markdown
from tuning.spec import SearchSpec
spec = SearchSpec(name="s", model="BPR", dataset="demo", space={})
result = tuning.experiments.StrategyResult("plain")
print(best_table(spec, []).row_count, len(summary_markdown(spec, [], None, None)) > 0)
print(report.result_table([result], None, "recall@20").row_count)
"""
    root = Path(tuning.__file__).parents[1]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("0 True\n1\n", "")
