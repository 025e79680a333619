"""A robustness analysis of a search's winner, in the report of that search."""

from pathlib import Path

import pytest

from tests.tuning.analyses.factories import analyze, made_search_of
from tests.tuning.analyses.test_analyze import board, exports, here
from tuning.analyses.subjects import read_subjects
from tuning.records import SearchFolder
from tuning.records.analyses import analyses_of

__all__ = ["board", "exports", "here"]


def test_the_search_is_told_of_robustness(
    exports: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("tuning.analyses.robustness_figure.write_figures", lambda *_: [])  # they take seconds
    export = read_subjects([Path("plain.yaml")])[0].export
    weights = made_search_of(export, exports / "searches")
    before = weights.read_bytes()
    command = ("analyze", "robustness", "plain.yaml", "mg.yaml", "--measures", "embedding", "--levels", "0.5")
    assert analyze(*command, "--repeats", "2", "--output", "out") == 0
    (note,) = analyses_of(SearchFolder(weights.parents[2]))
    assert (note.kind, note.exports, note.page) == (
        "robustness",
        ("plain", "mg"),
        str(exports / "out" / "robustness.html"),
    )
    assert note.verdict.startswith("embedding at 0.5: ")
    assert [row[:2] for row in note.rows[:2]] == [("embedding 0.5", "plain"), ("embedding 0.5", "mg")]
    assert "plain: weights of the search s" in capsys.readouterr().out
    assert weights.read_bytes() == before
