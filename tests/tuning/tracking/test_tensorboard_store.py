"""Event files as TensorBoard reads them: whole epochs, each once, whatever was killed and when."""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from recmodels.errors import UserError
from tests.tuning.factories import end_trial, made_folder, made_row, made_spec, made_trial
from tests.tuning.tracking.test_delivery import new_delivery
from tuning.records.folder import SearchFolder
from tuning.tracking import tensorboard_store
from tuning.tracking.delivery import Ending
from tuning.tracking.points import Point
from tuning.tracking.stores import check_stores, tracking_uris
from tuning.tracking.tensorboard_store import TensorBoardStore, _Run, events
from tuning.tracking.tracker import Tracker


class Killed(OSError):
    pass


def store_of(folder: SearchFolder) -> TensorBoardStore:
    return TensorBoardStore(f"tensorboard:{folder.path / 'tensorboard'}", "mirrortune")


def scalars(run: Path) -> Counter[tuple[str, int]]:
    """(name, step) -> how often it is in the run's event files."""
    values = ((event.step, value) for event in events(run) for value in event.summary.value)
    return Counter((value.tag, step) for step, value in values if value.HasField("simple_value"))


def hyperparameters(run: Path) -> dict[str, Any]:
    """The starts and ends of a run on the page HPARAMS, by tag."""
    from tensorboardX.proto.plugin_hparams_pb2 import HParamsPluginData

    values = [value for event in events(run) for value in event.summary.value if value.tag.startswith("_hparams_")]
    assert all(value.metadata.plugin_data.plugin_name == "hparams" for value in values)
    return {value.tag[10:]: HParamsPluginData.FromString(value.metadata.plugin_data.content) for value in values}


def texts(run: Path) -> list[str]:
    values = [value for event in events(run) for value in event.summary.value if value.HasField("tensor")]
    return [value.tensor.string_val[0].decode() for value in values]


def state(run: Path) -> str:
    return json.loads((run / "run.json").read_text())["state"]


class Writer:
    """Delivers into event files, a new store after each failure, as the tracker does."""

    def __init__(self, folder: SearchFolder) -> None:
        self.folder = folder
        self.delivery: Any = None

    def sync(self, ending: Ending | None = None) -> bool:
        try:
            self.delivery = self.delivery or new_delivery(self.folder, store_of(self.folder))
            self.delivery.sync(ending)
        except Killed:
            self.delivery = None
        return self.delivery is not None


def a_search_with_an_interruption(tmp_path: Path) -> Path:
    """0000 finishes; 0001 reaches epoch 3, is restored at 1 after the interruption, and is pruned after 4."""
    folder = made_folder(tmp_path, trials=0)
    first = Writer(folder)
    made_trial(folder, "0000", epochs=2)
    made_trial(folder, "0001", epochs=3)
    first.sync()
    end_trial(folder, "0000")
    first.sync("interrupted")
    trial, second = folder.trial("0001"), Writer(folder)
    second.sync()
    trial.forget_epochs_after(1)
    for epoch in (2, 3, 4):
        trial.append_epoch(made_row("0001", epoch))
    end_trial(folder, "0001", "pruned", "asha")
    assert second.sync("finished") or second.sync("finished")
    return folder.path / "tensorboard"


def check(place: Path) -> None:
    assert {path.name for path in place.iterdir()} == {"search", "0000", "0001"}
    assert [state(place / name) for name in ("search", "0000", "0001")] == ["FINISHED"] * 3
    for name, last in (("0000", 2), ("0001", 4)):
        found = scalars(place / name)
        assert max(found.values()) == 1, name
        assert [step for tag, step in sorted(found) if tag == "valid/recall_at_20"] == list(range(1, last + 1))
        assert max(step for tag, step in found if tag == "best/valid/recall_at_20") == last
        assert set(hyperparameters(place / name)) == {"session_start_info", "session_end_info"}
    assert ("test/recall_at_20", 2) in scalars(place / "0000")  # the winner's, at the end
    assert not any("test" in tag for tag, _ in scalars(place / "0001"))
    assert texts(place / "search")[-1] == "# made"


@pytest.fixture
def breaking(monkeypatch: pytest.MonkeyPatch) -> dict[str, int]:
    """The number of the write that fails, `at`, and the writes so far, `done`; one that fails may have been made."""
    counts = {"at": 0, "done": 0, "after": 0}

    def wrapped(write: Any) -> Any:
        def counted(*args: Any, **options: Any) -> None:
            counts["done"] += 1
            broken = counts["done"] == counts["at"]
            if broken and not counts["after"]:
                raise Killed
            write(*args, **options)
            if broken:
                raise Killed

        return counted

    monkeypatch.setattr(_Run, "add", wrapped(_Run.add))
    monkeypatch.setattr(_Run, "flush", wrapped(_Run.flush))
    monkeypatch.setattr(tensorboard_store, "write_whole", wrapped(tensorboard_store.write_whole))
    return counts


@pytest.mark.parametrize("after", [0, 1], ids=["before", "after"])
def test_a_kill_at_any_write_counts_no_epoch_twice(tmp_path: Path, breaking: dict[str, int], after: int) -> None:
    check(a_search_with_an_interruption(tmp_path / "whole"))
    writes = breaking["done"]
    assert writes > 30
    for at in range(1 + after, writes + 1, 2):
        breaking |= {"done": 0, "at": at, "after": after}
        check(a_search_with_an_interruption(tmp_path / str(at)))


@pytest.mark.parametrize("lost", [1, 4, 100, 1500])
def test_a_record_that_a_crash_tore_is_written_again(tmp_path: Path, lost: int) -> None:
    folder = made_folder(tmp_path, trials=0)
    made_trial(folder, "0000", epochs=3)
    new_delivery(folder, store_of(folder)).sync(None)
    place = folder.path / "tensorboard" / "0000"
    (file,) = place.glob("events*")
    whole = [step for tag, step in sorted(scalars(place)) if tag == "epoch_seconds"]
    content = file.read_bytes()
    file.write_bytes(content[:-lost])
    torn = [step for tag, step in sorted(scalars(place)) if tag == "epoch_seconds"]
    assert torn == whole[: len(torn)] != whole
    new_delivery(folder, store_of(folder)).sync(None)
    found = scalars(place)
    assert [step for tag, step in sorted(found) if tag == "epoch_seconds"] == [1, 2, 3]
    assert max(found.values()) == 1


def test_a_changed_byte_ends_the_reading(tmp_path: Path) -> None:
    folder = made_folder(tmp_path, trials=1)
    new_delivery(folder, store_of(folder)).sync("finished")
    file = min((folder.path / "tensorboard" / "0000").glob("events*"))
    before, content = len(list(events(file.parent))), bytearray(file.read_bytes())
    content[-20] ^= 1
    file.write_bytes(content)
    assert len(list(events(file.parent))) == before - 1


def test_hyperparameters_are_numbers_where_they_read_as_such(tmp_path: Path) -> None:
    folder = made_folder(tmp_path, trials=1)
    made_trial(folder, "0001", epochs=1)
    end_trial(folder, "0001", "failed", "no")
    new_delivery(folder, store_of(folder)).sync("finished")
    place = folder.path / "tensorboard"
    found = hyperparameters(place / "0000")
    start = found["session_start_info"].session_start_info.hparams
    assert {name: start[name].number_value for name in ("alpha", "beta", "interval", "learning_rate")} == {
        "alpha": 1.0, "beta": 0.25, "interval": 3.0, "learning_rate": 0.001
    }  # fmt: skip
    assert [start[name].string_value for name in ("strategy", "model", "dataset")] == ["mg", "BPR", "demo"]
    ends = [hyperparameters(place / name)["session_end_info"].session_end_info for name in ("0000", "0001")]
    assert [end.status for end in ends] == [1, 2]  # success, failure
    assert hyperparameters(place / "search") == {}


def test_a_second_delivery_of_an_ended_search_writes_nothing(tmp_path: Path) -> None:
    folder = made_folder(tmp_path, trials=2)
    new_delivery(folder, store_of(folder)).sync("finished")
    before = {path: path.read_bytes() for path in folder.path.glob("tensorboard/*/events*")}
    assert before
    new_delivery(folder, store_of(folder)).sync("finished")
    assert {path: path.read_bytes() for path in folder.path.glob("tensorboard/*/events*")} == before


def test_a_moved_search_goes_on_in_its_new_place(tmp_path: Path) -> None:
    folder = made_folder(tmp_path, trials=1)
    new_delivery(folder, store_of(folder)).sync("finished")
    moved = SearchFolder((tmp_path / "searches").rename(tmp_path / "elsewhere") / "made")
    new_delivery(moved, store_of(moved)).sync("finished")
    assert {path.name for path in (moved.path / "tensorboard").iterdir()} == {"search", "0000"}
    assert max(scalars(moved.path / "tensorboard" / "0000").values()) == 1


def test_searches_that_share_a_place_have_a_folder_each(tmp_path: Path) -> None:
    store = TensorBoardStore(f"tensorboard:{tmp_path / 'all'}", "mirrortune")
    for place, name in (("a", "one"), ("a", "two"), ("b", "two")):
        folder = made_folder(tmp_path / place, trials=1, name=name)
        (folder.path / "environment.json").unlink()  # then a search is told from others by its place
        new_delivery(folder, store).sync("finished")
        new_delivery(folder, store).sync("finished")
    runs = {str(path.parent.relative_to(tmp_path / "all")) for path in tmp_path.glob("all/*/*/run.json")}
    assert runs == {"one/search", "one/0000", "two/search", "two/0000", "two/search-2", "two/0000-2"}


def test_equal_points_are_kept_once_and_others_follow(tmp_path: Path) -> None:
    folder = made_folder(tmp_path, trials=0)
    made_trial(folder, "0000", epochs=0)
    store = store_of(folder)
    new_delivery(folder, store).sync(None)
    for value in (0.1, 0.1, 0.2):
        store.log("0000", [Point("x", value, 1000, 1)], {}, {})
    assert scalars(folder.path / "tensorboard" / "0000") == {("x", 1): 2}


def test_a_tracker_delivers_into_the_search_s_folder(tmp_path: Path) -> None:
    folder = made_folder(tmp_path, trials=1)
    folder.write_spec(made_spec(tracking={"uri": None, "stores": ["tensorboard"]}, output_dir=str(folder.path.parent)))
    (uri,) = tracking_uris(folder.spec())
    assert uri == f"tensorboard:{folder.path / 'tensorboard'}"
    tracker = Tracker(folder, folder.spec(), print, lambda records, tests: "# page", uri)
    tracker.start()
    assert tracker.close(interrupted=False, timeout=900) == 0
    assert state(folder.path / "tensorboard" / "0000") == "FINISHED"


@pytest.mark.parametrize(
    ("stores", "uris"),
    [
        (["mlflow"], ["sqlite:///mlflow.db"]),
        ([], []),
        (["tensorboard"], ["tensorboard:/s/made/tensorboard"]),
        (["mlflow", "tensorboard"], ["sqlite:///mlflow.db", "tensorboard:/s/made/tensorboard"]),
        (["tensorboard", "tensorboard"], ["tensorboard:/s/made/tensorboard"]),
    ],
)
def test_each_store_of_a_search_has_its_uri(stores: list[str], uris: list[str]) -> None:
    assert tracking_uris(made_spec(tracking={"stores": stores}, output_dir="/s")) == uris


def test_a_store_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^here: there is no store 'tensorbord'; did you mean 'tensorboard'"):
        check_stores(made_spec(tracking={"stores": ["tensorbord"]}), "here", "there")
    for uri in ("tensorboard:", "tensorbord:x"):
        with pytest.raises(UserError, match=f"^{uri}: expected tensorboard:FOLDER$"):
            TensorBoardStore.resolve(uri)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match=r"is a file, expected a folder$"):
        TensorBoardStore.resolve(f"tensorboard:{tmp_path / 'file'}")
