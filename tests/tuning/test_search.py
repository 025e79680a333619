"""What a start of a search does before any trial runs."""

from pathlib import Path
from typing import Any

import pytest

from tests.tuning.factories import end_trial, made_trial
from tuning.records.folder import SearchFolder
from tuning.records.trials import BASELINE, TrialPlan, TrialRecord, TrialResult, record_of
from tuning.search import recover

FINISHED = TrialResult("finished", "all 4 epochs", {"recall@20": 0.5})


class Witness:
    """A study that notes what it is brought up to."""

    def reconcile(self, ledger: dict[str, TrialRecord], left: list[TrialPlan]) -> None:
        self.reconciled = sorted(ledger), [plan.trial for plan in left]


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    return SearchFolder(tmp_path)


def expected(folder: SearchFolder, name: str) -> TrialRecord:
    trial = folder.trial(name)
    return record_of(trial.plan(), trial.epochs(), FINISHED)


def test_recover_enters_results_that_never_reached_the_ledger_once(folder: SearchFolder) -> None:
    for name in ("0000", "0001", "0002", "0003", BASELINE):
        made_trial(folder, name, epochs=2)
    end_trial(folder, "0000")
    failed = TrialResult("failed", "the loss became inf")
    for name, result in (("0000", FINISHED), ("0002", FINISHED), ("0003", failed)):
        folder.trial(name).write_result(result)
    before = folder.ledger()["0000"]

    witness: Any = Witness()
    for _ in range(2):
        recover(folder, witness)
        lines = (folder.path / "ledger.jsonl").read_text().splitlines()
        assert len(lines) == 3
    ledger = folder.ledger()
    assert ledger["0000"] == before
    assert ledger["0002"] == expected(folder, "0002")
    assert ledger["0003"].reason == "the loss became inf"
    assert witness.reconciled == (["0000", "0002", "0003"], ["0001", BASELINE])


def test_recover_repairs_a_line_that_a_crash_tore(folder: SearchFolder) -> None:
    for name in ("0000", "0001"):
        made_trial(folder, name, epochs=2)
        folder.trial(name).write_result(FINISHED)
        end_trial(folder, name)
    ledger = folder.path / "ledger.jsonl"
    ledger.write_text(ledger.read_text()[:-9])
    witness: Any = Witness()
    recover(folder, witness)
    assert list(folder.ledger()) == ["0000", "0001"]
    assert folder.ledger()["0001"] == expected(folder, "0001")
    assert witness.reconciled == (["0000", "0001"], [])
