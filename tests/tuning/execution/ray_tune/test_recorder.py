"""How trials end: the ledger's line, and the order in which the rest of the world hears of it."""

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from ray import cloudpickle
from ray.exceptions import ActorDiedError, RayTaskError

from tests.tuning.factories import made_metrics, made_row, made_spec, made_trial
from tuning.execution.place_fault import PlaceFault
from tuning.execution.ray_tune.keeper import Superseded
from tuning.execution.ray_tune.recorder import MOST_LOSSES, Recorder
from tuning.records.folder import SearchFolder
from tuning.records.trials import BASELINE, EpochRow, TrialPlan, TrialRecord, TrialResult

FINISHED = TrialResult("finished", "all 4 epochs")


class Witness:
    """A study and an observer in one that note what they hear, and what stood in the ledger by then."""

    def __init__(self, folder: SearchFolder):
        self.folder, self.heard = folder, []

    def tell(self, record: TrialRecord) -> None:
        assert self.folder.ledger()[record.trial] == record
        self.heard.append(("study", record.trial))

    def ended(self, record: TrialRecord) -> None:
        self.heard.append(("observer", record.trial))

    def interrupt(self, name: str) -> None:
        self.heard.append(("study, interrupted", name))

    def lost(self, plan: TrialPlan, reason: str) -> None:
        self.heard.append(("observer, lost", plan.trial, reason))

    def report(self, name: str, epoch: int, best: float) -> None:
        self.heard.append(("study", name, epoch, best))

    def say(self, text: str) -> None:
        self.heard.append(("observer, said", text))

    def running(self, plan: TrialPlan, row: EpochRow | None) -> None:
        self.heard.append(("observer", plan.trial, row.epoch if row else 0, row.best if row else None))


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    return SearchFolder(tmp_path)


def recorder(folder: SearchFolder, stopped: dict[str, int] | None = None) -> tuple[Any, Witness]:
    witness = Witness(folder)
    made: Any = Recorder(made_spec(), folder, witness, SimpleNamespace(stopped=stopped or {}), witness)
    return made, witness


def ray_trial(folder: SearchFolder, name: str, raised: Exception | None = None) -> SimpleNamespace:
    file = folder.path / "error.pkl"
    file.unlink(missing_ok=True)
    if raised:
        file.write_bytes(cloudpickle.dumps(raised))
    config = folder.trial(name).plan().to_json()
    return SimpleNamespace(config=config, pickled_error_file=str(file))


@pytest.mark.parametrize(
    ("result", "stopped", "error", "status", "reason"),
    [
        (FINISHED, None, None, "finished", "all 4 epochs"),
        (
            TrialResult("failed", "the loss became nan"),
            None,
            None,
            "failed",
            "the loss became nan",
        ),
        (TrialResult("failed", "KeyError: 'x'"), None, "a\ntrace", "failed", "KeyError: 'x'"),
        (None, 2, None, "pruned", "asha at epoch 2"),
        (None, None, "ray.exceptions\n  at\nThe actor died.\n", "failed", "The actor died."),
    ],
)
@pytest.mark.parametrize("name", ["0000", BASELINE])
def test_an_end_enters_the_ledger_then_the_study_then_the_table(
    folder: SearchFolder, name: str, result: Any, stopped: int | None, error: str | None, status: str, reason: str
) -> None:
    made_trial(folder, name, epochs=2)
    if result:
        folder.trial(name).write_result(result)
    made, witness = recorder(folder, {name: stopped} if stopped else None)
    assert made.close(name, error)
    record = folder.ledger()[name]
    assert (record.status, record.reason) == (status, reason)
    assert (record.epochs, record.value) == (2, made_metrics(name, 2)["recall@20"])
    assert witness.heard == [("study", name), ("observer", name)]


def test_a_trial_that_only_stopped_running_has_not_ended(folder: SearchFolder) -> None:
    made_trial(folder, "0000", epochs=2)
    made, witness = recorder(folder, {"0001": 1})
    assert not made.close("0000", None)
    assert folder.ledger() == {}
    assert witness.heard == []


def test_a_lack_of_memory_is_no_result_and_is_told_once(folder: SearchFolder) -> None:
    """The study forgets the point, and the folder keeps the trial for a resume."""
    made_trial(folder, "0000", epochs=2)
    folder.trial("0000").write_out_of_memory("out of memory of the GPU")
    made, witness = recorder(folder)
    made.on_trial_error(1, [], ray_trial(folder, "0000", raised_by_trial(MemoryError("CUDA"))))
    assert not made.close("0000", None)  # as at the end of every start
    assert witness.heard == [("study, interrupted", "0000"), ("observer, lost", "0000", "out of memory of the GPU")]
    assert folder.ledger() == {}
    assert [plan.trial for plan in folder.unfinished()] == ["0000"]
    assert folder.out_of_memory() == {"0000": "out of memory of the GPU"}


def test_an_epoch_that_was_not_evaluated_reaches_the_table_alone(folder: SearchFolder) -> None:
    made, witness = recorder(folder)
    made_trial(folder, "0000", epochs=0)
    for epoch, best in ((1, None), (4, 0.5)):
        row = made_row("0000", epoch, valid={}, best=best, best_epoch=best and 3)
        made.on_trial_result(1, [], ray_trial(folder, "0000"), {"epoch": epoch, "best": best, "row": row.to_json()})
    assert witness.heard == [("observer", "0000", 1, None), ("observer", "0000", 4, 0.5)]


def test_ray_s_calls_reach_the_study_and_the_table(folder: SearchFolder) -> None:
    made, witness = recorder(folder)
    for name in ("0000", BASELINE):
        made_trial(folder, name, epochs=1)
        made.on_trial_start(1, [], ray_trial(folder, name))
        made.on_trial_result(
            1, [], ray_trial(folder, name), {"epoch": 1, "best": 0.5, "row": made_row(name, 1, best=0.5).to_json()}
        )
    assert witness.heard == [
        ("observer", "0000", 0, None),
        ("study", "0000", 1, 0.5),
        ("observer", "0000", 1, 0.5),
        ("observer", BASELINE, 0, None),
        ("study", BASELINE, 1, 0.5),  # which does not know it
        ("observer", BASELINE, 1, 0.5),
    ]
    folder.trial("0000").write_result(FINISHED)
    made.on_trial_complete(1, [], ray_trial(folder, "0000"))
    made.on_trial_error(1, [], ray_trial(folder, BASELINE, raised_by_trial(KeyError("x"))))
    assert [(r.trial, r.status, r.reason) for r in folder.ledger().values()] == [
        ("0000", "finished", "all 4 epochs"),
        (BASELINE, "failed", "KeyError('x')"),
    ]


def raised_by_trial(cause: Exception) -> RayTaskError:
    return RayTaskError("train", f"a\ntrace\n{cause!r}", cause)


@pytest.mark.parametrize(
    "error", [ActorDiedError(), None, raised_by_trial(ActorDiedError()), raised_by_trial(Superseded("elsewhere"))]
)
def test_a_trial_that_loses_its_worker_goes_on_as_long_as_it_gets_on(
    folder: SearchFolder, error: Exception | None
) -> None:
    made_trial(folder, "0000", epochs=2)
    made, witness = recorder(folder)
    for _ in range(MOST_LOSSES):
        made.on_trial_error(1, [], ray_trial(folder, "0000", error))
    folder.trial("0000").append_epoch(made_row("0000", 3))
    for _ in range(MOST_LOSSES):
        made.on_trial_error(1, [], ray_trial(folder, "0000", error))
    assert [plan.trial for plan in made.again] == ["0000"] * 2 * MOST_LOSSES
    assert folder.ledger() == {}
    said = "trial 0000 has lost its worker after epoch {}: it goes on from its last checkpoint"
    assert witness.heard == [("observer, said", said.format(epoch)) for epoch in [2] * MOST_LOSSES + [3] * MOST_LOSSES]
    made.on_trial_error(1, [], ray_trial(folder, "0000", error))
    reason = str(error or "the worker died").strip().splitlines()[-1]
    assert (folder.ledger()["0000"].status, folder.ledger()["0000"].reason) == ("failed", reason)
    assert len(made.again) == 2 * MOST_LOSSES


def test_a_worker_that_is_lost_after_the_result_takes_nothing_away(folder: SearchFolder) -> None:
    made_trial(folder, "0000", epochs=2)
    folder.trial("0000").write_result(FINISHED)
    made, _ = recorder(folder)
    made.on_trial_error(1, [], ray_trial(folder, "0000", ActorDiedError()))
    assert folder.ledger()["0000"].status == "finished"
    assert not made.again


def test_an_error_of_its_own_ends_a_trial(folder: SearchFolder) -> None:
    made_trial(folder, "0000", epochs=2)
    made, _ = recorder(folder)
    made.on_trial_error(1, [], ray_trial(folder, "0000", raised_by_trial(KeyError("x"))))
    assert folder.ledger()["0000"].reason == "KeyError('x')"
    assert not made.again


def test_a_place_that_is_not_fit_is_no_trials_end(folder: SearchFolder) -> None:
    made_trial(folder, "0000", epochs=2)
    made, witness = recorder(folder)
    fault = raised_by_trial(PlaceFault("node 10.0.0.7 (b): torch 2.12.0, expected 2.13.0"))
    made.on_trial_error(1, [], ray_trial(folder, "0000", fault))
    assert made.faults == ["node 10.0.0.7 (b): torch 2.12.0, expected 2.13.0"]
    assert (folder.ledger(), list(made.again), witness.heard) == ({}, [], [])


def test_a_snapshot_of_ray_s_holds_nothing_of_it(folder: SearchFolder) -> None:
    made, _ = recorder(folder)
    made.observer = lambda: "cannot be pickled"
    assert vars(pickle.loads(pickle.dumps(made))) == {}
