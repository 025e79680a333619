"""The Keeper writes trials' files for the workers that have them, and for no other."""

from pathlib import Path

import numpy as np
import pytest
import ray
from filelock import FileLock

from recmodels.data.cache import cached
from tuning.execution.ray_tune.keeper import Keeper, Superseded, content_of


@pytest.fixture
def trial(tmp_path: Path) -> str:
    return str(tmp_path)


def content(text: str) -> np.ndarray:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def test_files_are_written_whole_read_again_and_removed(trial: str, tmp_path: Path) -> None:
    keeper = Keeper()
    assert keeper.hold(trial, "a")
    keeper.write(trial, "a", {"last.pt": content("state"), "empty": content("")})
    keeper.append(trial, "a", {"epoch": 1})
    keeper.append(trial, "a", {"epoch": 2})
    (tmp_path / "trial.json").write_text("the driver's")
    files = keeper.files(trial, "a")
    assert {name: bytes(each) for name, each in files.items()} == {
        "last.pt": b"state",
        "empty": b"",
        "epochs.jsonl": b'{"epoch": 1}\n{"epoch": 2}\n',
    }
    keeper.write(trial, "a", {"last.pt": None, "never there": None})
    assert sorted(each.name for each in tmp_path.iterdir()) == [".lock", "empty", "epochs.jsonl", "trial.json"]


def test_a_worker_whose_trial_goes_on_elsewhere_writes_nothing_more(trial: str, tmp_path: Path) -> None:
    """Also not after the other one has ended it."""
    keeper = Keeper()
    keeper.hold(trial, "old")
    keeper.hold(trial, "new")
    for _ in range(2):
        for call in (
            lambda: keeper.write(trial, "old", {"result.json": content("{}")}),
            lambda: keeper.append(trial, "old", {"epoch": 9}),
            lambda: keeper.files(trial, "old"),
        ):
            with pytest.raises(Superseded, match="another worker goes on with it"):
                call()
        keeper.release(trial, "new")
    keeper.release(trial, "old")
    assert [each.name for each in tmp_path.iterdir()] == [".lock"]


def test_a_trial_waits_for_the_keeper_of_a_killed_driver(trial: str, tmp_path: Path) -> None:
    with FileLock(tmp_path / ".lock"):
        assert not Keeper().hold(trial, "a")
    keeper = Keeper()
    assert keeper.hold(trial, "a")
    assert not Keeper().hold(trial, "b")
    keeper.release(trial, "a")
    assert Keeper().hold(trial, "b")


def test_a_keeper_that_was_started_again_goes_on_with_who_comes_first(trial: str) -> None:
    keeper = Keeper()
    keeper.append(trial, "a", {"epoch": 1})
    with pytest.raises(Superseded):
        keeper.append(trial, "b", {"epoch": 1})
    assert not Keeper().hold(trial, "c")


def test_tables_are_those_of_the_drivers_cache_or_come_from_the_first_who_makes_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "put", lambda table: ("reference", table.tolist()))
    kept, made = np.arange(3), np.arange(5)
    cached(tmp_path / "kept.npz", lambda: kept)
    keeper, folder = Keeper(), str(tmp_path)
    assert keeper.table(folder, "kept") == [("reference", [0, 1, 2])]
    assert keeper.table(folder, "made") == keeper.table(None, "made") == []
    keeper.keep_table(folder, "made", made)
    keeper.keep_table(folder, "made", kept)  # by a worker that was slower
    assert keeper.table(folder, "made") == [("reference", [0, 1, 2, 3, 4])]
    assert Keeper().table(folder, "made") == [("reference", [0, 1, 2, 3, 4])]
    keeper.keep_table(None, "nowhere", made)
    assert keeper.table(None, "nowhere") == [("reference", [0, 1, 2, 3, 4])]
    assert sorted(each.name for each in tmp_path.iterdir()) == ["kept.npz", "made.npz"]


def test_the_content_of_a_file_is_its_bytes(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(range(256)))
    assert bytes(content_of(tmp_path / "file")) == bytes(range(256))
