"""`analyze robustness` on a command line: bad input, files, and weights that are trained once."""

import json
from pathlib import Path

import pytest

import run_search
from tests.tuning.cli.helpers import refused
from tests.tuning.cli.test_recommend import here
from tuning.cli import analyzed

__all__ = ["here"]
QUICK = ("--measures", "embedding,noise", "--levels", "0.5", "--repeats", "2")


def test_each_file_is_there_and_the_clean_metrics_are_the_exported_ones(
    here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    arguments = ("analyze", "robustness", "x.yaml", *QUICK)
    assert run_search.main(arguments) == 0
    said = capsys.readouterr().out
    assert "not applicable" in said  # the data have no features
    folder = here / "analyses/x"
    for kind in ("csv", "json", "html", "png", "pdf"):
        assert (folder / f"robustness.{kind}").stat().st_size > 500
    content = json.loads((folder / "robustness.json").read_text())
    curve = content["comparisons"][0]["curves"][0]
    exported = run_search_export(here)
    assert {name: curve["clean"][name] for name in exported} == exported
    assert all(curve["levels"][0]["metrics"][0][name] == value for name, value in exported.items())
    table = (folder / "robustness.csv").read_bytes()

    monkeypatch.setattr(analyzed, "with_progress", lambda *_: pytest.fail("trained twice"))
    assert run_search.main(arguments) == 0
    assert (folder / "robustness.csv").read_bytes() == table
    elsewhere = ("--weights", "best.safetensors", "--output", "given")
    assert run_search.main([*arguments, *elsewhere]) == 0
    capsys.readouterr()
    again = json.loads((here / "given/robustness.json").read_text())
    assert again["exports"][0]["weights"]["source"] == "of a file"
    assert again["comparisons"][0]["curves"][0]["levels"][1]["drop"] == curve["levels"][1]["drop"]


def run_search_export(folder: Path) -> dict[str, float]:
    from tuning.export import Export

    return Export.read(folder / "x.yaml").metrics.test


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--measures", "embeding"), "--measures: measure 'embeding': expected one of embedding,"),
        (("--measures", "mix,mix"), "--measures: mix is given twice"),
        (("--measures", "mix.text"), "measure mix.text: expected a modality of own, which has no features"),
        (("--levels", "0.1,x"), "--levels: expected numbers above 0, separated by commas, but got '0.1,x'"),
        (("--levels", "0"), "--levels: expected numbers above 0"),
        (("--levels", "2"), "--levels: expected at most 1 for mix, but got 2"),
        (("--repeats", "0"), "--repeats: expected at least 1, but got 0"),
        (("--drop", "100"), "--drop: expected more than 0 and less than 100 percent, but got 100"),
        (("--seed", "-1"), "--seed: expected a whole number from 0 to 2147483647, but got -1"),
        (("--metric", "recall"), "--metric: expected one of recall,"),
        (("--weights", "a", "--weights", "b"), "--weights: expected a file for each of 1 exports, in their order"),
        (("--weights", "a"), "--weights a: no such file"),
        (("--output", "x.yaml"), "--output x.yaml: x.yaml is not a folder to write to"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], said: str
) -> None:
    assert refused(capsys, "analyze", "robustness", "x.yaml", *arguments).startswith(said)
