"""What is said of a front: what is searched, its points, and how much they are worth."""

from dataclasses import replace
from io import StringIO

import pytest
from rich.console import Console

from tests.tuning.factories import made_confirmation, made_spec
from tests.tuning.records.test_front import LEDGER, SPEC
from tuning.records import Spread
from tuning.records.confirmation import FrontPoint
from tuning.records.front import chosen_trial, front_of
from tuning.reports.front import front_lines, front_table, searched_lines
from tuning.reports.search_report import summary_markdown

KNEE = "the knee, which is nearest to the best of all objectives at once"
FRONT = front_of(SPEC.objectives, LEDGER)


def test_a_search_says_what_it_looks_for_and_that_no_scheduler_stops_its_trials() -> None:
    first, second = searched_lines(SPEC)
    assert first.startswith("objectives: recall@20 (larger is better: ")
    assert "no trial is stopped by a scheduler" in second
    assert searched_lines(made_spec()) == []


def test_the_table_has_the_points_of_the_front_and_no_test_metric_that_is_sealed() -> None:
    console = Console(width=200, record=True, file=StringIO())
    console.print(front_table(SPEC, FRONT, LEDGER[2], {"0002": {"recall@20": 0.123456}}))
    rows = [line.split() for line in console.export_text().splitlines()]
    names = [row[0] for row in rows if row and row[0].isdecimal()]
    assert names == ["0003", "0002", "0004", "0000"]
    (picked,) = (row for row in rows if row and row[-1] == "picked")
    assert (picked[0], "0.1235" in picked, "0.75" in picked) == ("0002", True, True)


def test_what_was_left_out_is_named_and_what_measuring_cost_is_said() -> None:
    timed = [replace(each, seconds=9.0, measured_seconds=1.0) for each in LEDGER]
    lines = front_lines(SPEC, FRONT, chosen_trial(SPEC, LEDGER, None), timed)
    assert lines[0].startswith("front: 4 of 5 trials, ")
    assert lines[1] == f"picked: 0002, {KNEE}"
    assert lines[2] == "not compared: 0005 (no robustness), 0006 (failed: None)"
    assert lines[3] == "measuring robustness took 1 s a trial, 10.0 % of it"


@pytest.mark.parametrize(
    ("pick", "trial", "why"),
    [
        ("robustness", "0000", "as --pick robustness asks"),
        ("0004", "0004", "as --pick 0004 asks"),
        (
            "0001",
            "0002",
            "the knee, which is nearest to the best of all objectives at once, as 0001 is not on the front",
        ),
        ("knee", "0003", "chosen on fresh seeds"),
    ],
)
def test_why_a_point_was_picked(pick: str, trial: str, why: str) -> None:
    chosen = next(each for each in LEDGER if each.trial == trial)
    spec = SPEC.model_copy(update={"pick": pick})
    assert front_lines(spec, FRONT, chosen, LEDGER)[1] == f"picked: {trial}, {why}"


def test_the_page_of_markdown_has_the_front_and_its_means() -> None:
    spread = Spread(values=(0.4, 0.6), mean=0.5, deviation=0.1)
    points = (FrontPoint(trial="0002", values=dict.fromkeys(SPEC.objectives, spread), stays=True, alike=("0003",)),)
    confirmed = made_confirmation("0002").model_copy(update={"front": points})
    page = summary_markdown(SPEC, LEDGER, None, None, confirmation=confirmed)
    assert "### Front of recall@20, robustness" in page
    assert "| 0002 | 0.5 ± 0.1 | 0.5 ± 0.1 | stays | 0003 |" in page
    assert "### Winner: trial 0002" in page
    assert "### Front" not in summary_markdown(made_spec(), LEDGER, None, None)
