"""--register of an experiment: the best strategy by validation, and a store that fails harms no result."""

from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

import run_search
from tests.tuning.cli.helpers import BARE, NEW
from tests.tuning.factories import made_plan, made_row, made_spec
from tuning.cli import register, search
from tuning.experiments import StrategyResult
from tuning.records.trials import TrialRecord, TrialResult, record_of
from tuning.search import Outcome
from tuning.spec import SearchSpec


def record(value: float | None, seed: int = 1) -> TrialRecord:
    made = record_of(made_plan(seed=seed), [made_row("0000", 1)], TrialResult("finished", ""))
    return replace(made, value=value)


def result(strategy: str, searched: float, seeds: tuple[float, ...] = (), test: float = 0.0) -> StrategyResult:
    confirmed: Any = object() if seeds else None
    tested = [record(value, seed) for seed, value in enumerate(seeds)]
    tests = {seed: {"recall@20": test} for seed in range(len(seeds))}
    return StrategyResult(strategy, chosen=record(searched), confirmed=confirmed, tested=tested, tests=tests)


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ([result("plain", 0.5), result("mg", 0.6)], 1),
        ([result("plain", 0.6), result("mg", 0.6)], 0),
        ([result("plain", 0.5, (0.4, 0.6), test=0.1), result("mg", 0.9, (0.4, 0.5), test=0.9)], 0),
        ([result("plain", 0.5, (0.9, 0.9)), result("mg", 0.6)], 1),  # a mean and a single value do not compare
        ([StrategyResult("plain"), result("mg", 0.1)], 1),
        ([StrategyResult("plain")], None),
    ],
    ids=["by value", "equal", "by fresh seeds", "not all confirmed", "no result", "none at all"],
)
def test_the_winner_of_an_experiment_is_the_best_on_validation(
    results: list[StrategyResult], expected: int | None
) -> None:
    assert register.best_result(results) == expected


def test_a_store_that_fails_is_told_in_a_line_and_how_to_try_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*_: Any) -> str:
        raise OSError("no answer from\nhttp://me:secret@h")

    monkeypatch.setattr(register, "register", fails)
    spec = made_spec(tracking={"uri": "http://me:secret@h", "registered_as": "songs"})
    data: Any = None
    assert not register.register_winner(spec, record(0.5), data, Console(width=200))
    again = "python run_search.py --resume made tries again"
    assert capsys.readouterr().out == f"--register songs: not registered (no answer from http://h); {again}\n"
    monkeypatch.setattr(register, "register", lambda *_: "models:/songs/1")
    assert register.register_winner(spec, record(0.5), data, Console(width=200))
    said, command = capsys.readouterr().out.splitlines()
    assert said == "registered: trial 0000 of made, mg, is models:/songs/1; it is served by:"
    assert command == (
        "  env MLFLOW_TRACKING_URI=http://h mlflow models serve -m models:/songs/1 --env-manager local --port 5001"
    )
    assert register.register_winner(made_spec(), record(0.5), data, Console())
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("here")
def test_a_search_whose_winner_is_not_registered_ends_with_1(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str | None] = []

    def fails(spec: SearchSpec, *_: Any) -> bool:
        asked.append(spec.tracking.registered_as)
        return False

    ended = Outcome([], record(0.5), None, interrupted=False, waiting=0, popularity=None)
    monkeypatch.setattr(search, "run_search", lambda *_: ended)
    monkeypatch.setattr(search, "register_winner", fails)
    for shown, code in ((0, 1), (130, 130)):
        monkeypatch.setattr(search, "show", lambda *_, shown=shown: shown)
        assert run_search.main([*NEW, *BARE, "--name", f"s{code}", "--register", "songs"]) == code
    assert asked == ["songs"]  # not of a search that was interrupted
