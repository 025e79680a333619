"""The values of users are written whole, read back exactly, and refused in one line if they are damaged."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recmodels.errors import UserError
from tuning.records import SearchFolder
from tuning.records.user_values import read_user_values, write_user_values

VALUES = np.array([0.0, 1 / 3, 1.0])


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    """A search with two trials that have values and one that was stopped."""
    made = SearchFolder(tmp_path)
    for name in ("0000", "0001", "0002"):
        made.trial(name).path.mkdir(parents=True)
    write_user_values(made.trial("0000"), VALUES)
    write_user_values(made.trial("0002"), VALUES[::-1])
    return made


def test_values_read_back_to_float32_and_stopped_trials_have_none(folder: SearchFolder) -> None:
    found = read_user_values(folder, ["0002", "0001", "0000"])
    assert list(found) == ["0002", "0000"]
    assert np.array_equal(found["0000"], VALUES.astype(np.float32))
    assert np.array_equal(found["0002"], VALUES[::-1].astype(np.float32))
    assert [path.name for path in folder.trial("0000").path.iterdir()] == ["users.npy"]
    assert read_user_values(folder, []) == {}


def test_a_write_that_fails_leaves_what_was_there(folder: SearchFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    def torn(file: Any, values: Any) -> None:
        file.write(b"half")
        raise OSError("no space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "save", torn)
        with pytest.raises(OSError, match="no space"):
            write_user_values(folder.trial("0000"), VALUES + 1)
    assert np.array_equal(read_user_values(folder, ["0000"])["0000"], VALUES.astype(np.float32))


@pytest.mark.parametrize(
    ("content", "fault"),
    [
        (b"", "not the values of users"),
        (b"hello", "not the values of users"),
        (np.array([{"a": 1}], dtype=object), "not the values of users"),
        (np.zeros((3, 1), dtype=np.float32), "expected a list of float32"),
        (np.zeros(3), "expected a list of float32"),
        (np.zeros(4, dtype=np.float32), "4 users, expected 3 as of trial 0000"),
    ],
    ids=["empty", "text", "pickle", "matrix", "float64", "other users"],
)
def test_a_damaged_file_is_one_line(folder: SearchFolder, content: Any, fault: str) -> None:
    path = folder.trial("0002").user_values
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content, allow_pickle=True)
    with pytest.raises(UserError, match=fault) as raised:
        read_user_values(folder, ["0000", "0002"])
    assert str(raised.value).startswith(f"{path}: ")
    assert "\n" not in str(raised.value)


def test_half_a_file_is_damaged(folder: SearchFolder) -> None:
    path = folder.trial("0002").user_values
    path.write_bytes(path.read_bytes()[:-3])
    with pytest.raises(UserError, match="not the values of users"):
        read_user_values(folder, ["0002"])


def test_an_archive_is_not_a_list(folder: SearchFolder) -> None:
    path = folder.trial("0002").user_values
    with path.open("wb") as file:
        np.savez(file, values=VALUES)
    with pytest.raises(UserError, match="expected a list of float32"):
        read_user_values(folder, ["0002"])
