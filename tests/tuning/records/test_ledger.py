"""The ledger, read while it grows."""

import json
from pathlib import Path
from typing import Any

import pytest

from recmodels.errors import UserError
from recmodels.files import append_line
from tests.tuning.factories import made_folder
from tuning.records import TrialRecord
from tuning.records.ledger import Ledger


@pytest.fixture
def lines(tmp_path: Path) -> list[dict[str, Any]]:
    folder = made_folder(tmp_path, trials=4)
    return [record.to_json() for record in folder.ledger().values()]


def test_reads_each_line_once(tmp_path: Path, lines: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    ledger, read = Ledger(tmp_path / "ledger.jsonl"), []
    from_json = TrialRecord.from_json
    monkeypatch.setattr(TrialRecord, "from_json", lambda row, path: read.append(row["trial"]) or from_json(row, path))
    assert ledger.records() == {}
    for number, line in enumerate(lines, start=1):
        append_line(tmp_path / "ledger.jsonl", line)
        assert list(ledger.records()) == list(ledger.records()) == [each["trial"] for each in lines[:number]]
    assert read == ["0000", "0001", "0002", "0003"]


def test_a_line_that_is_being_written_is_read_when_it_is_whole(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    path, line = tmp_path / "ledger.jsonl", json.dumps(lines[0]).encode()
    ledger = Ledger(path)
    for part in (line[:10], line[10:20]):
        with path.open("ab") as file:
            file.write(part)
        assert ledger.records() == {}
    with path.open("ab") as file:
        file.write(line[20:])  # without its end, as a crash may leave it
    assert list(ledger.records()) == ["0000"]
    append_line(path, lines[1])
    assert list(ledger.records()) == ["0000", "0001"]


def test_a_torn_line_is_left_out(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    path = tmp_path / "ledger.jsonl"
    path.write_bytes(b'{"trial": "00')
    ledger = Ledger(path)
    assert ledger.records() == {}
    append_line(path, lines[1])
    append_line(path, lines[2])
    assert list(ledger.records()) == ["0001", "0002"]


def test_a_line_of_another_shape_is_refused_every_time(tmp_path: Path, lines: list[dict[str, Any]]) -> None:
    path = tmp_path / "ledger.jsonl"
    append_line(path, lines[0])
    append_line(path, {**lines[1], "format": 99})
    ledger = Ledger(path)
    for _ in range(2):
        with pytest.raises(UserError, match=r"ledger\.jsonl"):
            ledger.records()
