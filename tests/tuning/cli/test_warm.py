"""--warm-start on a command line: what is refused, what --dry-run shows, what the search begins with."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import run_search
from recmodels.data import load_dataset
from tests.tuning.cli.helpers import BARE, NEW, refused
from tests.tuning.factories import ENVIRONMENT, earlier_search
from tuning.cli import search as cli_search
from tuning.records.environment import DataFacts
from tuning.records.folder import SearchFolder
from tuning.spec import KnownPoint, SearchSpec

pytestmark = pytest.mark.usefixtures("here")


def shown(capsys: Any, *arguments: str) -> list[str]:
    """What --dry-run prints below the space."""
    assert run_search.main([*NEW, *BARE, *arguments, "--dry-run"]) == 0
    return capsys.readouterr().out.partition("grid points: ")[2].splitlines()[1:]


def test_dry_run_lists_the_first_points_and_where_they_come_from(capsys: Any) -> None:
    lines = shown(capsys)
    assert lines[0] == "first trials, before those of the sampler:"
    assert [line.split() for line in lines[3:]] == [
        ["default", "1", "0.2", "3"],
        ["strategies/mg.yaml:14", "1", "0.1", "3"],
        ["strategies/mg.yaml:14", "1", "0.3", "3"],
    ]
    assert [line.split()[0] for line in shown(capsys, "--trials", "2")[3:]] == ["default", "strategies/mg.yaml:14"]


def test_dry_run_lists_what_is_taken_over(capsys: Any) -> None:
    earlier_search(Path("searches"))
    assert [line.split() for line in shown(capsys, "--warm-start", "old")[6:-2]] == [["old/0001", "0.7", "0.5", "3"]]
    assert shown(capsys, "--warm-start", "old")[-2:] == [
        "values that the sampler is told: 2",
        "warm start: old: 2 of 2 values told to the sampler",
    ]
    lines = shown(capsys, "--warm-start", "auto", "--set", "reg_weight=0.1")
    assert [line.split()[0] for line in lines[6:8]] == ["old/0001", "old/0000"]
    assert lines[-1] == "warm start: old: 2 of 2 points trained first; no values, they are of another base"


def test_first_points_that_are_left_out_are_counted(capsys: Any) -> None:
    assert shown(capsys, "--set", "interval=1")[-1] == (
        "3 of 3 first points are not in this space: strategies/mg.yaml:14: interval: expected 1, but got 3"
    )
    assert shown(capsys, "--space", "paper-grid") == []


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--warm-start", "odl"), "--warm-start odl: no such search in searches; did you mean 'old'?"),
        (("--warm-start", "old", "--strategy", "sam"), "--warm-start old: expected strategy plain or sam, but got"),
        (("--warm-start", "x.yaml"), "--warm-start: expected the export of a search: x.yaml: No such file"),
        (("--warm-start", "odl", "--compare", "mg,sam"), "--warm-start odl: no such search in searches"),
        (("--warm-start", "old", "--compare", "sam,ema"), "--warm-start old: expected strategy plain or sam or ema"),
    ],
)
def test_a_source_that_does_not_do(capsys: Any, arguments: tuple[str, ...], message: str) -> None:
    earlier_search(Path("searches"))
    assert refused(capsys, *NEW, *arguments).startswith(message)


def test_a_search_that_goes_on_begins_with_nothing_new(capsys: Any) -> None:
    earlier_search(Path("searches"))
    assert refused(capsys, "--resume", "old", "--warm-start", "old").startswith("--warm-start: cannot be changed by")


def test_the_search_has_the_points_in_its_spec_and_looks_nothing_up_again(
    capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[SearchSpec] = []
    monkeypatch.setattr(cli_search, "search", lambda spec, *_: started.append(spec) or 0)
    folder = earlier_search(Path("searches"))
    assert run_search.main([*NEW, *BARE, "--warm-start", "old", "--name", "new"]) == 0
    assert "warm start: old: 2 of 2 values told to the sampler" in capsys.readouterr().out
    (spec,) = started
    point = {"alpha": 0.7, "beta/alpha": 0.5, "interval": 3}
    first, value = spec.warm_start.points[0], folder.ledger()["0001"].value
    assert first == KnownPoint(point=point, source="old/0001")
    assert spec.warm_start.points[1] == KnownPoint(point=point, source="old/0001", value=value)
    new = SearchFolder(Path("searches/new"))
    new.write_spec(spec)
    assert new.spec() == spec

    folder.path.rename("gone")
    new.write_environment(replace(ENVIRONMENT, data=DataFacts.of(load_dataset("demo"))))
    assert run_search.main(["--resume", "new", "--trials", "50"]) == 0
    assert started[1].warm_start == spec.warm_start


def test_each_strategy_of_a_comparison_takes_what_is_of_it(capsys: Any) -> None:
    earlier_search(Path("searches"))
    earlier_search(Path("searches"), "sam-1", "sam", alphas=(1.0,))
    arguments = ("--compare", "mg,sam", "--warm-start", "old", "--warm-start", "sam-1")
    assert run_search.main([*NEW, *arguments, "--dry-run"]) == 0
    lines = [line for line in capsys.readouterr().out.splitlines() if line.startswith("warm start: ")]
    assert lines == [
        "warm start: nothing is taken over: no earlier search or export of plain",
        "warm start: old: 2 of 2 values told to the sampler",
        "warm start: sam-1: 1 of 1 values told to the sampler",
    ]
