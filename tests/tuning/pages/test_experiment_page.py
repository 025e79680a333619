"""The page of an experiment: its sentence first, strategies side by side, one of them in full."""

from pathlib import Path

import pytest

from recmodels.errors import UserError
from tests.tuning.pages.factories import SEALED, made_experiment
from tests.tuning.pages.test_search_page import ORDER, figures, section, words
from tuning.experiments import Experiment
from tuning.experiments.experiment_report import verdicts
from tuning.experiments.results import saved_results
from tuning.pages import page_of
from tuning.pages.content import Links, Table


@pytest.fixture(scope="module")
def experiment(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_experiment(tmp_path_factory.mktemp("made"))


def test_the_sentence_of_the_experiment_comes_first(experiment: Path) -> None:
    page, asked = page_of(experiment), Experiment.in_folder(experiment)
    results = saved_results(asked)
    assert results is not None
    assert page.verdict == "mg: better than plain."
    assert list(page.evidence) == verdicts(asked, results)
    assert page.tiles[1].value == "+12.3 %"  # 0.091 against 0.081
    assert tuple(each.name for each in page.sections) == ("strategies", *ORDER)
    assert figures(page) == ["cost", "map", "values", "parallel", "importance", "curves", "seeds"]


def test_plain_and_mg_are_drawn_beside_each_other(experiment: Path) -> None:
    page = page_of(experiment)
    cost, curves, seeds = (next(f for f in page.figures if f.name == name) for name in ("cost", "curves", "seeds"))
    assert [trace.name for trace in cost.plot.data] == ["plain", "mg"]
    assert [trace.name for trace in curves.plot.data] == ["plain", "mg"]
    assert curves.plot.data[0].y.count(None) == 2  # three fresh seeds
    assert [view.label for view in curves.views] == ["passes", "epochs"]
    assert seeds.plot.data[0].y == (0.08, 0.081, 0.082)
    looks = {(trace.line.color, trace.line.dash) for trace in curves.plot.data}
    assert len(looks) == len({dash for _, dash in looks}) == 2  # not by colour alone


def test_only_the_chosen_and_the_confirmed_are_opened(experiment: Path) -> None:
    table = section(page_of(experiment), "trials").parts[0]
    assert isinstance(table, Table)
    opened = [row[:2] for row in table.rows if row[-1] != "-"]
    assert opened == [("plain", "0005"), ("mg", "0005")]
    assert len(table.rows) == 24


def test_each_search_has_its_page_beside_this_one(experiment: Path) -> None:
    (links,) = [part for part in section(page_of(experiment), "strategies").parts if isinstance(part, Links)]
    assert links.links == (("e-plain", "../e-plain/report.html"), ("e-mg", "../e-mg/report.html"))


def test_a_moved_experiment_is_read_where_it_is(experiment: Path, tmp_path: Path) -> None:
    experiment.parent.rename(tmp_path / "moved")
    try:
        assert figures(page_of(tmp_path / "moved/e"))[-1] == "seeds"
    finally:
        (tmp_path / "moved").rename(experiment.parent)


def test_an_experiment_that_runs_has_no_verdict_and_opens_nothing(tmp_path: Path) -> None:
    path = made_experiment(tmp_path)
    for file in (path / "result.json", tmp_path / "e-plain/confirmation.yaml", tmp_path / "e-mg/confirmation.yaml"):
        file.unlink()
    page = page_of(path, running=True)
    assert page.verdict == "No verdict yet: it is running."
    assert page.evidence[0] == "plain: 12 of 40 trials ended (9 finished, 2 pruned, 1 failed)"
    assert str(SEALED) not in words(page)
    assert "seeds" not in figures(page)


def test_many_strategies_are_counted_by_their_decision(tmp_path: Path) -> None:
    page = page_of(made_experiment(tmp_path, strategies=("plain", "mg", "sam", "ema", "gnp"), trials=6))
    assert page.verdict == "mg, sam, ema, gnp: better than plain."
    assert page.evidence[0].startswith("mg (")
    assert len(page.evidence) == 4
    curves = next(f for f in page.figures if f.name == "curves")
    assert [trace.visible for trace in curves.plot.data] == [True, True, "legendonly", "legendonly", "legendonly"]
    assert "a click on the name draws" in curves.caption


def test_an_experiment_that_has_not_begun_has_a_page(tmp_path: Path) -> None:
    path = made_experiment(tmp_path / "whole")
    text = (path / "experiment.yaml").read_text()
    fresh = tmp_path / "fresh/e"
    fresh.mkdir(parents=True)
    (fresh / "experiment.yaml").write_text(text)
    page = page_of(fresh)
    assert page.verdict.startswith("No verdict yet")
    assert figures(page) == []


def test_a_damaged_result_is_named(tmp_path: Path) -> None:
    path = made_experiment(tmp_path)
    (path / "result.json").write_text('{"strategies": [{"strategy": 3}]}')
    with pytest.raises(UserError, match=r"result\.json: not the result of an experiment"):
        page_of(path)
    (path / "result.json").write_text("[]")
    with pytest.raises(UserError, match=r"result\.json: not the result of an experiment"):
        page_of(path)
