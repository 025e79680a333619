"""How trials end: the ledger's line, and the order in which the rest of the world hears of it."""

import pickle
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.tuning.factories import end_trial, made_metrics, made_row, made_spec, made_trial
from tuning.execution.ray_tune.recorder import Recorder, record_of, recover
from tuning.records.folder import BASELINE, SearchFolder, TrialRecord

FINISHED = {"status": "finished", "reason": "all 4 epochs", "test": {"recall@20": 0.5}}


class Witness:
    """A study and an observer in one that note what they hear, and what stood in the ledger by then."""

    def __init__(self, folder: SearchFolder):
        self.folder, self.heard = folder, []

    def tell(self, record: TrialRecord) -> None:
        assert self.folder.ledger()[record.trial] == record
        self.heard.append(("study", record.trial))

    def ended(self, record: TrialRecord) -> None:
        self.heard.append(("observer", record.trial))

    def report(self, name: str, epoch: int, best: float) -> None:
        self.heard.append(("study", name, epoch, best))

    def running(self, trial: str, params: dict[str, Any], epoch: int, best: float | None) -> None:
        self.heard.append(("observer", trial, epoch, best))

    def run_id(self, trial: str) -> str | None:
        return f"run of {trial}"

    def reconcile(self, ledger: dict[str, TrialRecord], left: dict[str, dict[str, Any]]) -> None:
        self.reconciled = sorted(ledger), left


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    return SearchFolder(tmp_path)


def recorder(folder: SearchFolder, stopped: dict[str, int] | None = None) -> tuple[Any, Witness]:
    witness = Witness(folder)
    made: Any = Recorder(made_spec(), folder, witness, SimpleNamespace(stopped=stopped or {}), witness)
    return made, witness


def ray_trial(name: str, error: str | None = None) -> SimpleNamespace:
    return SimpleNamespace(config={"trial": name, "params": {"model": {}}}, get_error=lambda: error)


def test_the_line_of_a_trial_comes_from_its_files(folder: SearchFolder) -> None:
    made_trial(folder, "0003", epochs=3)
    trial = folder.trial("0003")
    trial.append_epoch(made_row("0003", 4, best_epoch=2, best=made_metrics("0003", 2)["recall@20"]))
    trial.write_result(FINISHED)
    plan = trial.plan() or {}
    assert record_of(trial, None, "abc") == TrialRecord(
        trial="0003",
        status="finished",
        reason="all 4 epochs",
        params=plan["params"],
        point=plan["point"],
        seed=7,
        threads=1,
        device="cpu",
        epochs=4,
        best_epoch=2,
        value=made_metrics("0003", 2)["recall@20"],
        valid=made_metrics("0003", 2),
        test={"recall@20": 0.5},
        seconds=4.0,
        run_id="abc",
    )


def test_a_trial_without_epochs_has_no_value(folder: SearchFolder) -> None:
    made_trial(folder, "0000", epochs=0)
    record = record_of(folder.trial("0000"), ("failed", "out of memory"), None)
    assert (record.status, record.reason) == ("failed", "out of memory")
    assert (record.epochs, record.best_epoch, record.value, record.valid, record.test) == (0, None, None, {}, {})


@pytest.mark.parametrize(
    ("result", "stopped", "error", "status", "reason"),
    [
        (FINISHED, None, None, "finished", "all 4 epochs"),
        (
            {"status": "failed", "reason": "the loss became nan", "test": {}},
            None,
            None,
            "failed",
            "the loss became nan",
        ),
        ({"status": "failed", "reason": "KeyError: 'x'", "test": {}}, None, "a\ntrace", "failed", "KeyError: 'x'"),
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
    assert (record.status, record.reason, record.run_id) == (status, reason, f"run of {name}")
    assert (record.epochs, record.value) == (2, made_metrics(name, 2)["recall@20"])
    assert record.test == (result or {"test": {}})["test"]
    assert witness.heard == [("study", name), ("observer", name)]


def test_a_trial_that_only_stopped_running_has_not_ended(folder: SearchFolder) -> None:
    made_trial(folder, "0000", epochs=2)
    made, witness = recorder(folder, {"0001": 1})
    assert not made.close("0000", None)
    assert folder.ledger() == {}
    assert witness.heard == []


def test_ray_s_calls_reach_the_study_and_the_table(folder: SearchFolder) -> None:
    made, witness = recorder(folder)
    for name in ("0000", BASELINE):
        made_trial(folder, name, epochs=1)
        made.on_trial_start(1, [], ray_trial(name))
        made.on_trial_result(1, [], ray_trial(name), {"epoch": 1, "best": 0.5})
    assert witness.heard == [
        ("observer", "0000", 0, None),
        ("study", "0000", 1, 0.5),
        ("observer", "0000", 1, 0.5),
        ("observer", BASELINE, 0, None),
        ("study", BASELINE, 1, 0.5),  # which does not know it
        ("observer", BASELINE, 1, 0.5),
    ]
    folder.trial("0000").write_result(FINISHED)
    made.on_trial_complete(1, [], ray_trial("0000"))
    made.on_trial_error(1, [], ray_trial(BASELINE))
    assert [(r.trial, r.status, r.reason) for r in folder.ledger().values()] == [
        ("0000", "finished", "all 4 epochs"),
        (BASELINE, "failed", "the worker died"),
    ]


def test_a_snapshot_of_ray_s_holds_nothing_of_it(folder: SearchFolder) -> None:
    made, _ = recorder(folder)
    made.observer = lambda: "cannot be pickled"
    assert vars(pickle.loads(pickle.dumps(made))) == {}


def test_recover_enters_results_that_never_reached_the_ledger_once(folder: SearchFolder) -> None:
    for name in ("0000", "0001", "0002", "0003", BASELINE):
        made_trial(folder, name, epochs=2)
    end_trial(folder, "0000")
    failed = {"status": "failed", "reason": "the loss became inf", "test": {}}
    for name, result in (("0000", FINISHED), ("0002", FINISHED), ("0003", failed)):
        folder.trial(name).write_result(result)
    before = folder.ledger()["0000"]

    witness = Witness(folder)
    for _ in range(2):
        recover(folder, witness, witness)
        lines = (folder.path / "ledger.jsonl").read_text().splitlines()
        assert len(lines) == 3
    ledger = folder.ledger()
    assert ledger["0000"] == before
    assert ledger["0002"] == record_of(folder.trial("0002"), None, "run of 0002")
    assert ledger["0003"].reason == "the loss became inf"
    assert witness.reconciled == (["0000", "0002", "0003"], {"0001": {"ratio": 0.25}})


def test_recover_repairs_a_line_that_a_crash_tore(folder: SearchFolder) -> None:
    for name in ("0000", "0001"):
        made_trial(folder, name, epochs=2)
        folder.trial(name).write_result(FINISHED)
        end_trial(folder, name)
    ledger = folder.path / "ledger.jsonl"
    ledger.write_text(ledger.read_text()[:-9])
    witness = Witness(folder)
    recover(folder, witness, witness)
    assert list(folder.ledger()) == ["0000", "0001"]
    assert folder.ledger()["0001"] == record_of(folder.trial("0001"), None, "run of 0001")
    assert witness.reconciled == (["0000", "0001"], {})
