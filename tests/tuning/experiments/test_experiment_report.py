"""The result of an experiment is one table, for people and for programs."""

import json
import shutil
from dataclasses import asdict

import pytest

from tests.recmodels.factories import checkerboard
from tests.tuning.experiments.factories import Driver, made_experiment
from tuning.experiments import experiment_report
from tuning.experiments.experiment_report import COLUMNS, remarks, result_table, rows, verdicts, write_result
from tuning.experiments.results import read_results
from tuning.experiments.runner import run_experiment
from tuning.records.folder import SearchFolder
from tuning.reports.tables import Column
from tuning.space import Figures, Pair

pytestmark = pytest.mark.usefixtures("here")
POPULARITY = {split: {"recall@1": 0.125} for split in ("valid", "test")}


def test_the_result_is_written_for_people_and_programs() -> None:
    data, asked = checkerboard(), made_experiment(compare="bsam", controls=True)
    assert run_experiment(asked, Driver(data))
    results = read_results(asked, data)
    write_result(asked, results, POPULARITY)
    text = (asked.folder / "result.md").read_text()
    first, second = (page for page in text.split("\n\n") if page.startswith("|"))
    header, _, *lines = first.splitlines()
    assert header.split(" | ")[0] == "| strategy"
    assert [line.split(" | ")[0] for line in lines] == [
        "| plain", "| bsam*", "| plain_lr", "| plain_repeat", "| popularity",
    ]  # fmt: skip
    assert [line.split(" | ")[0] for line in second.splitlines()[2:]] == [
        "| plain", "| bsam", "| plain_lr", "| plain_repeat",
    ]  # fmt: skip
    assert lines[-1] == "| popularity | - | - | 0.125 | 0.125 | - | - | - | - | - | - |"
    assert "Reconstructions, not to be taken for the results of their papers: bsam." in text
    assert "bsam: " in text
    for floor, weak in ((0.0, False), (1.5, True)):
        said = remarks(asked, results, {"test": {"recall@1": floor}})
        assert any("Below popularity on test (1.5): plain, bsam, plain_lr" in remark for remark in said) == weak
    content = json.loads((asked.folder / "result.json").read_text())
    assert content["strategies"][1]["best"] == json.loads(json.dumps(asdict(results[1])))["best"]
    assert content["strategies"][1]["users"]["n"] == 10


def test_published_figures_are_rows_below_with_their_source_in_a_remark() -> None:
    data, asked = checkerboard(), made_experiment(compare="mg")
    figures = Figures("Paper", "a paper, Table 2", {}, {"recall@1": 0.875})
    pair = Pair("pairs/LightGCN-demo.yaml", "A", "a paper", (figures, Figures("Other", "here", {}, {"hit@1": 0.5})))
    searches = [spec.model_copy(update={"pair": pair}) for spec in asked.searches]
    asked = asked.model_copy(update={"searches": searches})
    assert run_experiment(asked, Driver(data))
    results = read_results(asked, data)
    write_result(asked, results, POPULARITY)
    lines = (asked.folder / "result.md").read_text().splitlines()
    assert "| published (Paper) | - | - | - | 0.875 | - | - | - | - | - | - |" in lines
    assert any(line.startswith("- published (Paper): a paper, Table 2; for reference") for line in lines)
    assert not any("Other" in line for line in lines)
    table = result_table(results, POPULARITY, "recall@1", searches[0].pair.published[:1])
    assert list(table.columns[0].cells) == ["plain", "mg", "popularity", "published (Paper)"]
    content = json.loads((asked.folder / "result.json").read_text())
    assert content["published"] == [asdict(figures)]


def test_a_strategy_whose_trials_all_failed_has_a_line_without_figures() -> None:
    data, asked = checkerboard(), made_experiment(compare="mg")
    run_experiment(asked, Driver(data))
    spec = asked.searches[1]
    for folder in (SearchFolder.of(spec), SearchFolder(SearchFolder.of(spec).path.with_name("c-mg-seeds"))):
        (folder.path / "ledger.jsonl").unlink()
        shutil.rmtree(folder.path / "trials")
    results = read_results(asked, data)
    assert (results[1].best, results[1].tested, results[1].users, results[1].seeds) == (None, [], None, None)
    mg = rows(results, None, "recall@1")[1]
    assert [column.cell(mg) for column in COLUMNS][3:] == ["-"] * 8
    assert verdicts(asked, results) == ["mg: no result on test."]


def test_a_new_column_is_one_value_and_every_row_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    data, asked = checkerboard(), made_experiment(compare="mg")
    run_experiment(asked, Driver(data))
    results = read_results(asked, data)
    runs = Column[experiment_report.ResultRow]("runs", lambda row: row.result and len(row.result.tested))
    monkeypatch.setattr(experiment_report, "COLUMNS", (*COLUMNS, runs))
    assert list(result_table(results, POPULARITY, "recall@1").columns[-1].cells) == ["2", "2", "-"]
    write_result(asked, results, POPULARITY)
    pages = (asked.folder / "result.md").read_text().split("\n\n")
    lines = next(page for page in pages if page.startswith("|")).splitlines()
    assert [line.split(" | ")[-1] for line in lines] == ["runs |", "--- |", "2 |", "2 |", "- |"]
