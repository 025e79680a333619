"""Objectives that are measured at the end of a trial, at the weights of its best epoch."""

from pathlib import Path

import pytest

from recmodels.analysis import robust_score, sharp_score
from recmodels.metric import Metric
from recmodels.training.checkpoint import load_weights
from tests.recmodels.factories import held_out
from tests.tuning.execution.test_trial import TRAINING, ignore, plan
from tuning.execution import trial
from tuning.execution.trial import run_trial, trained_model
from tuning.records.folder import TrialFolder
from tuning.records.trials import TrialResult, record_of

DATA = held_out()
NAMES = ("ndcg@5", "robustness", "sharpness", "seconds")


def run(folder: TrialFolder, objectives: tuple[str, ...]) -> TrialResult:
    training = TRAINING.model_copy(update={"seed": 21, "max_epochs": 5})
    run_trial(
        plan(), model="LightGCN", data=DATA, training=training, folder=folder, report=ignore, objectives=objectives
    )
    result = folder.result()
    assert result is not None
    return result


def test_they_are_those_of_the_best_weights_by_the_numbers_of_the_search(tmp_path: Path) -> None:
    """The search's seed decides what is drawn, and not the trial's, so that all trials are measured alike."""
    folder = TrialFolder(tmp_path)
    result = run(folder, NAMES)
    best = folder.epochs()[-1].best_epoch or 0
    assert best < len(folder.epochs())
    model = trained_model(plan(), "LightGCN", DATA, load_weights(folder.best_weights(best)))
    assert plan().seed != 21
    assert result.measured == {
        "robustness": robust_score(model, DATA, Metric("ndcg@5"), 21),
        "sharpness": sharp_score(model, DATA, 64, 21),
    }
    assert result.measured_seconds > 0
    record = record_of(plan(), folder.epochs(), result)
    assert (record.measured, record.measured_seconds) == (result.measured, result.measured_seconds)


def test_a_trial_of_one_objective_measures_nothing_and_is_trained_alike(tmp_path: Path) -> None:
    with_them, without = TrialFolder(tmp_path / "a"), TrialFolder(tmp_path / "b")
    for folder, names in ((with_them, NAMES), (without, ())):
        folder.path.mkdir()
        run(folder, names)
    result = without.result()
    assert result is not None
    assert (result.measured, result.measured_seconds) == ({}, 0.0)
    assert [row.valid for row in with_them.epochs()] == [row.valid for row in without.epochs()]
    assert (with_them.path / "test.json").read_bytes() == (without.path / "test.json").read_bytes()


def test_a_kill_while_they_are_measured_changes_nothing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    whole, killed = TrialFolder(tmp_path / "a"), TrialFolder(tmp_path / "b")
    for folder in (whole, killed):
        folder.path.mkdir()
    expected = run(whole, NAMES)

    def die(*_: object) -> None:
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(trial._Run, "_measured", die)
        with pytest.raises(SystemExit):
            run(killed, NAMES)
    assert killed.result() is None
    assert run(killed, NAMES).measured == expected.measured
