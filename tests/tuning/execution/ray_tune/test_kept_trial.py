"""A trial whose files are kept on another machine leaves there what it would have left in its own folder."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ray.exceptions import RayTaskError

from recmodels.data.dataset import RecDataset
from recmodels.graphs.items import nearest_items
from tests.recmodels.factories import checkerboard
from tests.tuning.execution.ray_tune.direct_keeper import DirectKeeper
from tests.tuning.factories import made_plan
from tuning.execution import storage as storage_module
from tuning.execution import trial as trial_module
from tuning.execution.place_fault import PlaceFault
from tuning.execution.ray_tune.kept_trial import Home, KeptTables, bring_home, bring_weights_home, trial_folder
from tuning.execution.ray_tune.nodes import Versions
from tuning.execution.storage import STORED, Storage
from tuning.execution.trial import run_trial
from tuning.records import EpochRow, SearchFolder
from tuning.spec import Training

TRAINING = Training(max_epochs=6, metric="ndcg@5", ks=(5,))
PLAN = made_plan(
    params={
        "strategy": {"alpha": 1.0, "beta": 0.2, "interval": 3},
        "train": {"optimizer": "adam", "learning_rate": 0.05, "batch_size": 64, "weight_decay": 0.0},
        "model": {"embedding_size": 4},
    }
)


@pytest.fixture(scope="module")
def data() -> RecDataset:
    return checkerboard()


@pytest.fixture
def keeper(monkeypatch: pytest.MonkeyPatch) -> DirectKeeper:
    monkeypatch.setattr(trial_module, "CHECKPOINT_SECONDS", -1.0)
    monkeypatch.setattr(trial_module, "SAVING_SHARE", float("inf"))
    return DirectKeeper(monkeypatch)


Report = Callable[[EpochRow], None]


def train(folder: SearchFolder, data: RecDataset, home: Home | None, report: Report, by: str) -> None:
    folder.trial("0000").path.mkdir(parents=True, exist_ok=True)
    with trial_folder(folder, "0000", home, by) as trial:
        run_trial(PLAN, model="BPR", data=data, training=TRAINING, folder=trial, report=report)


def left(folder: SearchFolder) -> dict[str, Any]:
    """What a trial has left, without what a clock says and how it was kept."""
    path = folder.trial("0000").path
    rows = [replace(row, time=0.0, seconds=0.0, valid_seconds=0.0) for row in folder.trial("0000").epochs()]
    kept = {each.name for each in path.iterdir()} - {".lock", STORED, "last.pt"}
    same = {name: (path / name).read_bytes() for name in kept if name != "epochs.jsonl"}
    return {"rows": rows, "files": kept, **same}


def ignore(row: EpochRow) -> None:
    pass


@pytest.fixture
def expected(tmp_path: Path, data: RecDataset, keeper: DirectKeeper) -> dict[str, Any]:
    train(SearchFolder(tmp_path / "usual"), data, None, ignore, "")
    return left(SearchFolder(tmp_path / "usual"))


class Lost(BaseException):
    """The node is gone: no handler of the trial runs, and nothing of its folder is left."""


@pytest.mark.parametrize("stored", [False, True])
@pytest.mark.parametrize("method", ["append", "write", "files", "release"])
def test_a_trial_that_loses_its_node_goes_on_from_its_last_checkpoint(
    tmp_path: Path, data: RecDataset, keeper: DirectKeeper, expected: dict[str, Any], method: str, stored: bool
) -> None:
    """At every call of the first worker's, and of those of the workers after it."""
    storage = Storage.of(str(tmp_path / "checkpoints")) if stored else None
    home, folder = Home(keeper, storage, Versions.here()), SearchFolder(tmp_path / "search")
    trained: list[int] = []
    for attempt in range(40):
        calls, original = iter(range(attempt + 1)), getattr(keeper.keeper, method)

        def fatal(*arguments: Any, calls: Any = calls, original: Any = original) -> Any:
            if next(calls, None) is None:
                raise Lost
            return original(*arguments)

        setattr(keeper.keeper, method, fatal)
        try:
            train(folder, data, home, lambda row: trained.append(row.epoch), f"worker {attempt}")
            break
        except Lost:
            assert folder.trial("0000").result() is None or method in ("write", "release")
        finally:
            setattr(keeper.keeper, method, original)
    assert left(folder) == expected
    assert len(trained) < 6 * (attempt + 1) or attempt < 2  # not each time from the start
    if storage:
        blobs = {each.name for each in Path(storage.place).rglob("*") if each.is_file()}
        places = json.loads((folder.trial("0000").path / STORED).read_text())
        assert {Path(place).name for place in places.values()} <= blobs


def test_with_a_storage_weights_come_home_when_the_trial_ends_and_only_the_last_checkpoint_stays(
    tmp_path: Path, data: RecDataset, keeper: DirectKeeper, expected: dict[str, Any]
) -> None:
    storage = Storage.of(str(tmp_path / "checkpoints"))
    home, folder = Home(keeper, storage, Versions.here()), SearchFolder(tmp_path / "search")
    trial = folder.trial("0000")

    def look(row: EpochRow) -> None:
        assert not list(trial.path.glob("best-*"))
        if row.epoch == 4:
            raise SystemExit

    with pytest.raises(SystemExit):
        train(folder, data, home, look, "first")
    (weights,) = trial.path.glob("best-*")
    weights.unlink()
    trial.write_plan(PLAN)
    bring_weights_home(folder, pytest.fail)
    assert weights.exists()
    assert not (trial.path / "last.pt").exists()
    train(folder, data, home, ignore, "second")
    (trial.path / "trial.json").unlink()
    assert left(folder) == expected
    places = json.loads((trial.path / STORED).read_text())
    assert set(places) == {"last.pt", *(each.name for each in trial.path.glob("best-*"))}
    assert {str(each) for each in Path(storage.place).rglob("*") if each.is_file()} == set(places.values())


def test_a_search_that_goes_on_without_its_storage_brings_checkpoints_home(
    tmp_path: Path, data: RecDataset, keeper: DirectKeeper, expected: dict[str, Any]
) -> None:
    storage = Storage.of(str(tmp_path / "checkpoints"))
    folder, trained = SearchFolder(tmp_path / "search"), list[int]()

    def stop(row: EpochRow) -> None:
        if row.epoch == 3:
            raise SystemExit

    with pytest.raises(SystemExit):
        train(folder, data, Home(keeper, storage, Versions.here()), stop, "first")
    bring_home(folder.trial("0000"))
    assert not [each for each in Path(storage.place).rglob("*") if each.is_file()]
    assert not (folder.trial("0000").path / STORED).exists()
    train(folder, data, None, lambda row: trained.append(row.epoch), "")
    assert trained == [4, 5, 6]
    assert left(folder) == expected


def test_weights_that_cannot_be_brought_home_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_module, "PAUSES", ())
    folder, said = SearchFolder(tmp_path / "search"), list[str]()
    for name in ("0000", "0001"):
        folder.trial(name).write_plan(replace(PLAN, trial=name))
        (folder.trial(name).path / STORED).write_text(json.dumps({"best-0001.safetensors": str(tmp_path / "gone")}))
    bring_weights_home(folder, said.append)
    (line,) = said
    assert line.startswith(
        f"weights of trials that have not ended stay where they are: --storage {tmp_path / 'gone'}: "
    )


def test_a_storage_that_is_gone_is_a_fault_of_the_place_and_no_result(
    tmp_path: Path, data: RecDataset, keeper: DirectKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage_module, "PAUSES", (0.0,))
    (tmp_path / "file").write_text("")
    home = Home(keeper, Storage.of(str(tmp_path / "file" / "below")), Versions.here())
    folder = SearchFolder(tmp_path / "search")
    with pytest.raises(PlaceFault, match=r"^--storage .*file/below/search/0000/"):
        train(folder, data, home, ignore, "first")
    assert folder.trial("0000").result() is None
    assert not (folder.trial("0000").path / "error.txt").exists()


def test_a_full_disk_of_the_drivers_machine_is_no_result(
    tmp_path: Path, data: RecDataset, keeper: DirectKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = OSError(28, "No space left on device")

    def append(*arguments: Any) -> None:
        raise RayTaskError("append", f"a\ntrace\nOSError: {full}", full)

    monkeypatch.setattr(keeper.keeper, "append", append)
    folder = SearchFolder(tmp_path / "search")
    with pytest.raises(PlaceFault, match=r"/0000: cannot be kept on the driver's machine \(OSError: .* No space left"):
        train(folder, data, Home(keeper, None, Versions.here()), ignore, "first")
    assert folder.trial("0000").result() is None


def test_tables_of_a_data_set_are_made_once_for_all_workers(
    tmp_path: Path, data: RecDataset, keeper: DirectKeeper
) -> None:
    """They go into the driver's cache, and come from there in the next search."""
    shelf = KeptTables(keeper, str(tmp_path))
    for _ in range(2):
        one, other = (replace(data, shelf=shelf, fingerprint=f"{data.fingerprint}{number}") for number in range(2))
        keeper.calls.clear()
        expected = nearest_items(data, "image", 2)
        assert np.array_equal(nearest_items(one, "image", 2), expected)
        assert np.array_equal(nearest_items(other, "image", 2), expected)
        del one, other
    assert keeper.calls == ["table", "table"]
    assert len(list(tmp_path.iterdir())) == 2
