"""Files are replaced whole or not at all, and lines torn by a crash are left out."""

import os
from pathlib import Path
from typing import Any

import pytest

from recmodels.files import append_line, read_lines, write_whole


def test_a_file_is_replaced_whole_and_nothing_else_is_left(tmp_path: Path) -> None:
    path = tmp_path / "new" / "spec.yaml"
    write_whole(path, "old\n" * 1000)
    write_whole(path, "new\n")
    assert path.read_text() == "new\n"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_a_failed_write_leaves_the_old_file_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*_: Any) -> None:
        raise OSError("no space left")

    path = tmp_path / "spec.yaml"
    write_whole(path, "old")
    monkeypatch.setattr(os, step, full)
    with pytest.raises(OSError, match="no space"):
        write_whole(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("kept", range(1, len('{"epoch": 2}')))
def test_a_torn_last_line_is_left_out_and_closed_off(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "epochs.jsonl"
    append_line(path, {"epoch": 1})
    with open(path, "a") as file:
        file.write('{"epoch": 2}'[:kept])
    assert read_lines(path) == [{"epoch": 1}]
    append_line(path, {"epoch": 2})
    append_line(path, {"epoch": 3})
    assert read_lines(path) == [{"epoch": 1}, {"epoch": 2}, {"epoch": 3}]


def test_a_line_that_lacks_only_its_end_counts(tmp_path: Path) -> None:
    path = tmp_path / "epochs.jsonl"
    path.write_text('{"epoch": 1}')
    append_line(path, {"epoch": 2})
    assert read_lines(path) == [{"epoch": 1}, {"epoch": 2}]


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_json_cannot_say_is_refused_before_it_reaches_the_file(tmp_path: Path, value: float) -> None:
    path = tmp_path / "epochs.jsonl"
    append_line(path, {"epoch": 1})
    with pytest.raises(ValueError, match="JSON"):
        append_line(path, {"loss": value})
    assert read_lines(path) == [{"epoch": 1}]


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    assert read_lines(tmp_path / "absent.jsonl") == []
