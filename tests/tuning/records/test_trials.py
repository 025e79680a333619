"""The values that are written down about a trial, and the ledger's line that follows from them."""

from pathlib import Path
from typing import Any

import pytest

from recmodels.errors import UserError
from tests.tuning.factories import made_metrics, made_row, made_trial
from tuning.checked_file import FORMAT
from tuning.records.folder import SearchFolder
from tuning.records.trials import EpochRow, TrialPlan, TrialRecord, TrialResult, record_of, until_evaluated

FINISHED = TrialResult("finished", "all 4 epochs")


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    return SearchFolder(tmp_path)


def test_the_line_of_a_trial_comes_from_its_files(folder: SearchFolder) -> None:
    made_trial(folder, "0003", epochs=3)
    trial = folder.trial("0003")
    trial.append_epoch(made_row("0003", 4, best_epoch=2, best=made_metrics("0003", 2)["recall@20"]))
    plan = trial.plan()
    assert record_of(plan, trial.epochs(), FINISHED) == TrialRecord(
        trial="0003",
        role="search",
        status="finished",
        reason="all 4 epochs",
        params=plan.params,
        point=plan.point,
        seed=7,
        threads=1,
        device="cpu",
        epochs=4,
        best_epoch=2,
        value=made_metrics("0003", 2)["recall@20"],
        valid=made_metrics("0003", 2),
        seconds=4.0,
        passes=12,
    )


def test_a_trial_without_epochs_has_no_value(folder: SearchFolder) -> None:
    made_trial(folder, "0000", epochs=0)
    record = record_of(folder.trial("0000").plan(), [], TrialResult("failed", "out of memory"))
    assert (record.status, record.reason) == ("failed", "out of memory")
    assert (record.epochs, record.best_epoch, record.value, record.valid) == (0, None, None, {})


def unevaluated(name: str, epoch: int, best_epoch: int | None) -> EpochRow:
    best = made_metrics(name, best_epoch)["recall@20"] if best_epoch else None
    return made_row(name, epoch, valid={}, valid_seconds=0.0, best=best, best_epoch=best_epoch)


def test_epochs_that_were_not_evaluated_count_as_epochs_and_have_no_score(folder: SearchFolder) -> None:
    made_trial(folder, "0000", epochs=0)
    trial, lost = folder.trial("0000"), TrialResult("failed", "the loss became nan")
    for epoch in (1, 2):
        trial.append_epoch(unevaluated("0000", epoch, None))
    assert until_evaluated(trial.epochs()) == []
    record = record_of(trial.plan(), trial.epochs(), lost)
    assert (record.epochs, record.best_epoch, record.value, record.valid, record.passes) == (2, None, None, {}, 6)
    trial.append_epoch(made_row("0000", 3))
    trial.append_epoch(unevaluated("0000", 4, 3))
    assert [row.epoch for row in until_evaluated(trial.epochs())] == [1, 2, 3]
    record = record_of(trial.plan(), trial.epochs(), lost)
    assert (record.epochs, record.best_epoch, record.value) == (4, 3, made_metrics("0000", 3)["recall@20"])
    assert (record.valid, record.seconds) == (made_metrics("0000", 3), 4 * 0.75 + 0.25)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"format": 99}, f"written by another version of MirrorTune (format 99, this one reads {FORMAT})"),
        ({"format": None}, "written by another version"),
        ({"strategey": "mg"}, "not a TrialPlan: got an unexpected keyword argument 'strategey'"),
    ],
)
def test_a_plan_of_another_version_or_shape_is_one_line(folder: SearchFolder, change: Any, fault: str) -> None:
    made_trial(folder, "0000", epochs=0)
    content = folder.trial("0000").plan().to_json()
    assert TrialPlan.from_json(content, Path("trial.json")) == folder.trial("0000").plan()
    with pytest.raises(UserError) as error:
        TrialPlan.from_json(content | change, Path("trial.json"))
    assert str(error.value).startswith(f"trial.json: {fault}")


def test_a_plan_from_before_versions_is_one_line(folder: SearchFolder) -> None:
    made_trial(folder, "0000", epochs=0)
    old = folder.trial("0000").plan().to_json()
    del old["format"]
    with pytest.raises(UserError, match=r"^trial.json: written by another version of MirrorTune \(format 0"):
        TrialPlan.from_json(old, Path("trial.json"))
