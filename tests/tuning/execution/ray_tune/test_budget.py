"""When a search ends for its budget."""

import time
from pathlib import Path

import pytest

from tests.tuning.factories import made_spec, made_trial
from tuning.execution.ray_tune.budget import OutOfBudget
from tuning.records.folder import SearchFolder
from tuning.records.trials import BASELINE

REPORT = {"passes": 3}


def test_epochs_of_all_starts_count_against_the_budget(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path)
    made_trial(folder, "0000", epochs=3)
    made_trial(folder, BASELINE, epochs=2)
    budget = OutOfBudget(made_spec(budget={"epochs": 8}), folder)
    for _ in range(3):
        assert not budget.stop_all()
        assert not budget("ray-1", REPORT)
    assert budget.stop_all()
    assert OutOfBudget(made_spec(budget={"epochs": 5}), folder).stop_all()


def test_seconds_count_from_this_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr(time, "monotonic", lambda: now)
    budget = OutOfBudget(made_spec(budget={"seconds": 60}), SearchFolder(tmp_path))
    now = 1060.0
    assert not budget.stop_all()
    now = 1060.1
    assert budget.stop_all()


def test_without_a_budget_nothing_ends(tmp_path: Path) -> None:
    budget = OutOfBudget(made_spec(), SearchFolder(tmp_path))
    for _ in range(100):
        budget("ray-1", REPORT)
    assert not budget.stop_all()


def test_passes_of_all_starts_count_against_the_budget(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path)
    made_trial(folder, "0000", epochs=2)  # of 3 passes each
    budget = OutOfBudget(made_spec(budget={"passes": 12}), folder)
    budget("ray-1", REPORT)
    assert not budget.stop_all()
    budget("ray-1", REPORT)
    assert budget.stop_all()


def test_a_trial_that_ends_without_an_epoch_costs_no_passes(tmp_path: Path) -> None:
    budget = OutOfBudget(made_spec(budget={"passes": 3}), SearchFolder(tmp_path))
    assert not budget("ray-1", {"done": True})
    assert not budget.stop_all()
