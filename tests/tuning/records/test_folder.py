"""What a search leaves on disk is whole, in order, and written by one process at a time."""

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from recmodels.errors import UserError
from tests.tuning.factories import ENVIRONMENT, end_trial, made_folder, made_row, made_spec, made_trial
from tuning.records.environment import Start
from tuning.records.folder import SearchFolder, TrialFolder
from tuning.records.trials import BASELINE, TrialPlan, TrialResult

ROOT = Path(__file__).parents[3]


def trial_folder(tmp_path: Path, epochs: int) -> TrialFolder:
    folder = SearchFolder(tmp_path)
    made_trial(folder, "0003", epochs)
    return folder.trial("0003")


def test_no_file_no_lines(tmp_path: Path) -> None:
    assert SearchFolder(tmp_path).ledger() == {}
    assert SearchFolder(tmp_path).trials() == []
    assert SearchFolder(tmp_path).environment() is None
    assert SearchFolder(tmp_path).popularity() is None
    trial = SearchFolder(tmp_path).trial("0000")
    assert (trial.epochs(), trial.result()) == ([], None)
    with pytest.raises(UserError, match=r"0000/trial.json: No such file"):
        trial.plan()


def test_the_ledger_reads_back_in_the_order_in_which_trials_ended(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path)
    records = []
    for name, status in (("0001", "finished"), (BASELINE, "finished"), ("0000", "failed"), ("0002", "pruned")):
        made_trial(folder, name, epochs=2)
        records.append(end_trial(folder, name, status, reason="line 1\nline 2 ü"))
    records.append(replace(records[0], trial="0003", epochs=0, best_epoch=None, value=None, valid={}))
    folder.append_record(records[-1])
    assert list(folder.ledger().values()) == records
    assert list(folder.ledger()) == ["0001", BASELINE, "0000", "0002", "0003"]


def test_a_torn_ledger_line_leaves_its_trial_unfinished(tmp_path: Path) -> None:
    folder = made_folder(tmp_path, trials=3)
    ledger = folder.path / "ledger.jsonl"
    ledger.write_bytes(ledger.read_bytes()[:-20])
    assert list(folder.ledger()) == ["0000", "0001"]
    assert [plan.trial for plan in folder.unfinished()] == ["0002"]
    end_trial(folder, "0002")
    assert list(folder.ledger()) == ["0000", "0001", "0002"]


def test_trials_are_those_with_a_plan_the_baseline_last(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path)
    for name in (BASELINE, "0010", "0002"):
        made_trial(folder, name, epochs=0)
    folder.trial("0011").path.mkdir()  # killed before the plan was written
    assert [trial.name for trial in folder.trials()] == ["0002", "0010", BASELINE]


def test_an_epoch_written_twice_counts_once_and_the_last_word_holds(tmp_path: Path) -> None:
    trial = trial_folder(tmp_path, epochs=3)
    trial.append_epoch(made_row("0003", 2, loss=-1.0))
    assert [(row.epoch, row.loss) for row in trial.epochs()] == [(1, 1.0), (2, -1.0), (3, 1 / 3)]


@pytest.mark.parametrize("epoch", [0, 2, 5])
def test_forgets_exactly_the_epochs_after_a_checkpoint(tmp_path: Path, epoch: int) -> None:
    trial = trial_folder(tmp_path, epochs=4)
    before = trial.epochs()
    trial.forget_epochs_after(epoch)
    assert trial.epochs() == before[:epoch]
    trial.append_epoch(made_row("0003", 9))
    assert trial.epochs() == [*before[:epoch], made_row("0003", 9)]


def test_forgetting_drops_a_torn_line_for_good(tmp_path: Path) -> None:
    trial = trial_folder(tmp_path, epochs=2)
    path = trial.path / "epochs.jsonl"
    with open(path, "a") as file:
        file.write('{"epoch": 3, "lo')
    trial.forget_epochs_after(2)
    assert [json.loads(line)["epoch"] for line in path.read_text().splitlines()] == [1, 2]


def test_plan_result_spec_and_environment_read_back(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path / "s")
    assert not folder.exists()
    spec = made_spec(budget={"trials": 3})
    folder.write_spec(spec)
    environment = replace(ENVIRONMENT, starts=[Start("2026", ["--set", "ü"], "here", 1)])
    folder.write_environment(environment)
    folder.write_popularity({"valid": {"recall@20": 0.1 + 0.2}})
    trial, result = folder.trial("0000"), TrialResult("finished", "all")
    plan = TrialPlan(
        trial="0000",
        role="search",
        strategy="mg",
        params={"strategy": {}},
        point={"alpha": 0.1 + 0.2},
        seed=1,
        threads=1,
        device="cpu",
        time=0.5,
    )
    trial.write_plan(plan)
    trial.write_result(result)
    assert folder.exists()
    assert folder.spec() == spec
    assert folder.environment() == environment
    assert folder.popularity() == {"valid": {"recall@20": 0.1 + 0.2}}
    assert trial.plan() == plan
    assert trial.result() == result


def test_the_lock_refuses_a_second_process_and_opens_again(tmp_path: Path) -> None:
    attempt = f"""
from pathlib import Path
from tuning.records.folder import SearchFolder
with SearchFolder(Path({str(tmp_path)!r})).locked():
    print("held")
"""

    def other() -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-c", attempt], cwd=ROOT, capture_output=True, text=True)

    folder = SearchFolder(tmp_path)
    with folder.locked():
        refused = other()
        with pytest.raises(UserError, match=r"running in another process$"), SearchFolder(tmp_path).locked():
            pass
    assert refused.returncode == 1
    assert f"UserError: {tmp_path}: this search is running in another process" in refused.stderr
    assert other().stdout == "held\n"


def test_the_lock_opens_when_its_holder_fails(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), SearchFolder(tmp_path).locked():
        raise ZeroDivisionError
    with SearchFolder(tmp_path).locked():
        pass


def test_a_search_that_never_began_leaves_no_folder_but_those_that_were_there(tmp_path: Path) -> None:
    with SearchFolder(tmp_path / "searches" / "s").locked():
        pass
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "searches").mkdir()
    with SearchFolder(tmp_path / "searches" / "s").locked():
        (tmp_path / "searches" / "s" / "notes.txt").touch()
    assert [path.name for path in tmp_path.rglob("*")] == ["searches", "s", "notes.txt"]
    begun = made_folder(tmp_path, name="begun")
    with begun.locked():
        pass
    assert begun.exists()
