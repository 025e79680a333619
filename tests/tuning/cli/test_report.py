"""`report NAME`, and the page that a search makes of itself at its end."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock
from rich.console import Console

import run_search
import tuning.pages
from recmodels.data import load_dataset
from tests.tuning.cli.helpers import refused
from tests.tuning.factories import ENVIRONMENT, made_confirmation
from tests.tuning.pages.factories import made_experiment, made_search, made_spec
from tuning.cli import report
from tuning.cli.report import LiveTableAndReport, traces
from tuning.records import SearchFolder
from tuning.records.environment import DataFacts
from tuning.search import Search

pytestmark = pytest.mark.usefixtures("here")


def test_the_page_goes_into_the_folder_or_where_it_is_asked_for(capsys: Any) -> None:
    made_experiment(Path("searches"), trials=4)
    assert run_search.main(["report", "e"]) == 0
    assert run_search.main(["report", "e-mg", "--output", "mg.html"]) == 0
    assert capsys.readouterr().out.splitlines() == ["report: searches/e/report.html", "report: mg.html"]
    assert "<title>LightGCN on demo</title>" in Path("searches/e/report.html").read_text()
    assert "<title>LightGCN on demo, mg</title>" in Path("mg.html").read_text()
    assert not Path("searches/e-mg/report.html").exists()


def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    made_search(made_spec(Path("searches"), "mine"), trials=1)
    assert refused(capsys, "report", "mime") == "mime: no such search in searches; did you mean 'mine'?"
    assert refused(capsys, "report", "mine", "--output-dir", "x") == "mine: no such search in x; it has none"
    expected = "expected the name of a file in a folder that exists"
    for output in ("nowhere/r.html", "searches"):
        assert refused(capsys, "report", "mine", "--output", output) == f"--output {output}: {expected}"
    assert refused(capsys, "report", "mine", "--interval", "5") == "--interval: only with --watch"
    interval = refused(capsys, "report", "mine", "--watch", "--interval", "0")
    assert interval == "--interval: expected more than 0 s, but got 0"
    Path("searches/mine/ledger.jsonl").write_text('{"format": 99}\n')
    assert refused(capsys, "report", "mine").startswith(f"{Path('searches/mine/ledger.jsonl').resolve()}: written")


def test_a_search_that_runs_is_reported_as_one_that_runs() -> None:
    path = made_search(made_spec(Path("searches"), "s"), trials=3, running=1)
    with FileLock(path / ".lock"):
        assert run_search.main(["report", "s"]) == 0
    assert "the search is running" in (path / "report.html").read_text()
    assert "data-renewed" not in (path / "report.html").read_text()[:200]
    assert run_search.main(["report", "s"]) == 0
    assert "the search is running" not in (path / "report.html").read_text()


def test_a_watched_page_is_renewed_when_something_changed_until_the_search_ends(monkeypatch: Any) -> None:
    path = made_search(made_spec(Path("searches"), "s"), trials=3, running=1)
    written: list[tuple[bool, float | None]] = []
    lock = FileLock(path / ".lock")
    lock.acquire()
    rounds = iter(range(100))

    def write_page(*_: Any, running: bool = False, renewed: float | None = None) -> None:
        written.append((running, renewed))

    def sleep(seconds: float) -> None:
        assert seconds == 7
        match next(rounds):
            case 1:
                (path / "trials/0003/epochs.jsonl").open("a").write("\n")
            case 3:
                lock.release()

    monkeypatch.setattr(tuning.pages, "write_page", write_page)
    monkeypatch.setattr(report.time, "sleep", sleep)
    assert run_search.main(["report", "s", "--watch", "--interval", "7"]) == 0
    assert written == [(True, 7), (True, 7), (False, None)]  # at first, after the change, at the end
    assert next(rounds) == 4


def test_an_interruption_ends_the_watching_with_a_page_that_stays(monkeypatch: Any) -> None:
    path = made_search(made_spec(Path("searches"), "s"), trials=3, running=1)

    def interrupt(_: float) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(report.time, "sleep", interrupt)
    with FileLock(path / ".lock"):
        assert run_search.main(["report", "s", "--watch"]) == 0
    text = (path / "report.html").read_text()
    assert "data-renewed" not in text[:200]
    assert "the search is running" in text


def test_traces_see_the_searches_of_an_experiment() -> None:
    path = made_experiment(Path("searches"), trials=4)
    before = traces(path)
    with Path("searches/e-mg-seeds/trials/0001/epochs.jsonl").open("a") as file:
        file.write("\n")
    assert len(traces(path) - before) == 1


@pytest.fixture
def ended() -> SearchFolder:
    """A search of three trials that comes to its end once more."""
    spec = made_spec(Path("searches"), "s", budget={"trials": 3})
    folder = SearchFolder(made_search(spec, trials=3, statuses=["finished"]))
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(load_dataset("demo"))))
    return folder


def conclude(folder: SearchFolder, **changes: Any) -> str:
    console = Console(record=True, width=200)
    spec = folder.spec().model_copy(update=changes)
    Search(spec, observer=LiveTableAndReport(3, spec, console=console)).conclude()
    return console.export_text()


def test_a_search_makes_its_page_at_its_end(ended: SearchFolder) -> None:
    conclude(ended)
    text = ended.report.read_text()
    assert "Winner: trial 0002" in text
    assert "0.7531" in text  # its test metrics, opened a moment before


def test_without_a_wish_for_it_there_is_no_page(ended: SearchFolder) -> None:
    conclude(ended, no_report=True)
    assert not ended.report.exists()
    assert "no_report" not in (ended.path / "spec.yaml").read_text()


def test_the_page_of_a_search_waits_for_the_confirmation_and_its_runs_have_none(ended: SearchFolder) -> None:
    conclude(ended, awaits_confirmation=True)
    assert not ended.report.exists()
    ended.confirmation.write_text(made_confirmation("0001").to_yaml())
    conclude(ended, role="confirmation")
    assert not ended.report.exists()
    conclude(ended, awaits_confirmation=True)
    assert "Winner: trial 0001" in ended.report.read_text()


def test_a_page_that_cannot_be_made_is_one_line_and_the_search_ends_well(ended: SearchFolder, monkeypatch: Any) -> None:
    def broken(_: Path) -> None:
        raise ZeroDivisionError("of\nnothing")

    monkeypatch.setattr(tuning.pages, "write_page", broken)
    said = conclude(ended)
    assert said.splitlines()[-1] == "report: report.html was not made: of nothing"
    assert ended.best.exists()


def test_no_report_is_an_option_of_every_start(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["--model", "LightGCN", "--dataset", "demo", "--no-report", "--dry-run"]
    assert run_search.main(words) == 0
    assert "no_report" not in capsys.readouterr().out
