"""`analyze flatness` over the trials of a small real experiment on the demo data: two strategies, three seeds."""

import csv
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import run_search
from recmodels.data import load_dataset
from tests.tuning.cli.conftest import here
from tests.tuning.cli.helpers import refused
from tests.tuning.experiments.factories import Driver, made_experiment
from tests.tuning.factories import ENVIRONMENT, end_trial, made_trial
from tuning.analyses import runs as runs_of
from tuning.analyses.runs import read_runs
from tuning.experiments import conclude, read_results, run_experiment
from tuning.pages import page_of
from tuning.pages.content import Table
from tuning.records import SearchFolder
from tuning.records.analyses import analyses_of
from tuning.records.environment import DataFacts

__all__ = ["here"]
QUICK = ("--sharpness", "adaptive,gradient", "--measures", "embedding,mix", "--levels", "1", "--repeats", "2")
NAMES = ["c-plain-seeds", "c-mg-seeds"]


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an experiment that has ended, trained in this process without Ray."""
    folder, data = tmp_path_factory.mktemp("trained"), load_dataset("demo")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        asked = made_experiment(
            compare="mg",
            confirm_seeds=3,
            max_epochs="2",
            metric="recall@20",
            tracking_uri=None,
            set=["embedding_size=4"],
        )
        for path in asked.search_folders():
            SearchFolder(path).write_environment(replace(ENVIRONMENT, data=DataFacts.of(data)))
        assert run_experiment(asked, Driver(data))
        conclude(asked, read_results(asked, data), lambda spec: None)  # type: ignore[arg-type,return-value]
    return folder


@pytest.fixture
def searched(here: Path, trained: Path) -> Path:
    shutil.copytree(trained / "searches", here / "searches")
    return here


def analyze(*arguments: str) -> int:
    return run_search.main(["analyze", "flatness", *arguments])


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_an_experiment_stands_for_its_runs_on_fresh_seeds(
    searched: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Every file is there, a table for each question, the clean metric is the recorded one; nothing is measured twice,
    and the weights have the same bits."""
    files = sorted(searched.glob("searches/*-seeds/trials/*/best-*.safetensors"))
    before = [file.read_bytes() for file in files]
    assert analyze("c", *QUICK) == 0
    assert "flatness: analyses/c/flatness.html" in capsys.readouterr().out
    folder = searched / "analyses" / "c"
    for end in ("csv", "json", "html", "md", "png", "pdf"):
        assert (folder / f"flatness.{end}").stat().st_size > 500
    trials = rows(folder / "flatness.csv")
    assert [(row["search"], row["seed"]) for row in trials] == [
        (name, f"{1000 + n}") for name in NAMES for n in range(3)
    ]
    for row in trials:
        record = SearchFolder(searched / "searches" / row["search"]).ledger()[row["trial"]]
        assert float(row["valid"]) == record.valid["recall@20"]
        assert float(row["adaptive_max"]) > 0
        assert 0 < float(row["recall@20, embedding 1"]) != float(row["valid"])
        assert row["recall@20, mix 1"] == ""  # LightGCN reads no features
        assert float(row["test"]) > 0  # the choice is made
    found = json.loads((folder / "flatness.json").read_text())
    assert {each["among"] for each in found["correlations"]} == {
        "all trials", "within strategies", "plain", "mg"}  # fmt: skip
    text = (folder / "flatness.md").read_text()
    assert text.startswith(
        "# Does flatness predict robustness? LightGCN on demo\n\n- command: python run_search.py analyze"
    )
    assert str(searched) not in text
    assert found["verdicts"][0] in text

    monkeypatch.setattr(runs_of, "load_planned", lambda *_: pytest.fail("measured twice"))
    assert analyze("c", *QUICK) == 0
    assert rows(folder / "flatness.csv") == trials
    assert [file.read_bytes() for file in files] == before

    for name in ("c-plain", "c-mg"):
        (note,) = analyses_of(SearchFolder(searched / "searches" / name))
        assert (note.kind, note.exports, note.verdict) == ("flatness", ("c",), found["verdicts"][0])
    sections = [section for section in page_of(searched / "searches" / "c").sections if section.name == "analyses"]
    assert [row[1] for part in sections[0].parts if isinstance(part, Table) for row in part.rows] == ["plain", "mg"]


def test_an_interrupted_analysis_goes_on(searched: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the numbers of one that was not; what was measured is not measured again."""
    monkeypatch.setattr("tuning.analyses.flatness_figure.save_figure", lambda *_: None)  # it takes seconds
    assert analyze("c-mg-seeds", *QUICK, "--output", "whole") == 0
    load, loaded = runs_of.load_planned, list[Path]()

    def killed(plan: Any, model: str, data: Any, path: Path) -> Any:
        loaded.append(path)
        if len(loaded) == 3:
            raise KeyboardInterrupt
        return load(plan, model, data, path)

    monkeypatch.setattr(runs_of, "load_planned", killed)
    assert analyze("c-mg-seeds", *QUICK, "--output", "parts") == 130
    assert not (searched / "parts" / "flatness.csv").exists()
    assert analyze("c-mg-seeds", *QUICK, "--output", "parts") == 0
    assert len(loaded) == 4  # the third trial once more
    whole, parts = (
        [{name: value for name, value in row.items() if not name.startswith("seconds")} for row in rows(path)]
        for path in (searched / "whole" / "flatness.csv", searched / "parts" / "flatness.csv")
    )
    assert whole == parts


def test_what_is_left_out_is_named(searched: Path) -> None:
    folder = SearchFolder(searched / "searches" / "c-mg-seeds")
    for file in folder.trial("0001").path.glob("best-*"):
        file.unlink()
    made_trial(folder, "0007", 1)
    made_trial(folder, "0008", 1)
    end_trial(folder, "0008", "failed", "no number")
    shutil.rmtree(searched / "searches" / "c-plain-seeds")
    found = read_runs(["c"], searched / "searches")
    assert [run.record.trial for run in found.runs] == ["0000", "0002"]
    assert found.left_out == (
        "c-plain-seeds: no runs on fresh seeds",
        "c-mg-seeds: 1 left out as not ended: 0007",
        "c-mg-seeds: 1 left out as without the weights of their best epoch: 0001",
        "c-mg-seeds: 1 left out as failed: 0008",
    )
    assert found.origin.searches == (searched / "searches" / "c-mg",)


def test_searches_by_name_and_by_folder(searched: Path) -> None:
    found = read_runs(["searches/c-mg", "c-plain-seeds"], searched / "searches")
    assert [run.label for run in found.runs] == ["c-mg 0000", *(f"c-plain-seeds 000{n}" for n in range(3))]
    assert found.origin.labels == ("c-mg", "c-plain-seeds")


def test_sealed_test_metrics_stay_sealed(searched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Before the choice is made no run's test metric is seen, nor noise measured on the test split."""
    for path in searched.glob("searches/*/confirmation.yaml"):
        path.unlink()
    assert all(not run.test for run in read_runs(["c"], searched / "searches").runs)
    said = refused(capsys, "analyze", "flatness", "c", "--split", "test")
    assert said.startswith("--split test: the test metrics of 6 trials are sealed: c-plain-seeds 0000, ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("c-mgs",), "c-mgs: no such search or experiment in searches; did you mean 'c-mg"),
        (("c", "c-mg-seeds"), "searches/c-mg-seeds: given twice, expected different searches"),
        (("c", "--sharpness", "adaptiv"), "--sharpness adaptiv: expected some of gradient, "),
        (("c", "--measures", "nois"), "--measures: measure 'nois': expected one of embedding,"),
        (("c", "--levels", "2"), "--levels: expected at most 1 for mix, but got 2"),
        (("c", "--batches", "0"), "--batches: expected at least 1, but got 0"),
        (("c", "--repeats", "0"), "--repeats: expected at least 1, but got 0"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(
    searched: Path, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert refused(capsys, "analyze", "flatness", *arguments).startswith(message)
    assert not (searched / "analyses").exists()


def test_other_data_are_refused(searched: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of two searches, and of the data set as it is now."""
    folder = SearchFolder(searched / "searches" / "c-mg-seeds")
    environment = folder.environment()
    assert environment is not None
    folder.write_environment(replace(environment, data=replace(environment.data, fingerprint="other")))
    said = refused(capsys, "analyze", "flatness", "c")
    assert said.startswith("searches/c-mg-seeds: expected searches of one data set, but got other and ")
    assert refused(capsys, "analyze", "flatness", "c-mg-seeds").startswith(
        "demo: expected the data of the searches, other"
    )
