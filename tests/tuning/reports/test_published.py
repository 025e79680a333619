"""Figures that others published stand beside results, with their source, and never among what is chosen from."""

from dataclasses import replace
from typing import Any

import pytest

from tests.tuning.reports.factories import POPULARITY, record
from tests.tuning.reports.test_search_report import ENVIRONMENT, KNOBS, a_spec, printed
from tuning.records import winner
from tuning.reports.published import origin_line, published_figures, published_lines, published_rows
from tuning.reports.search_report import best_table, summary_markdown
from tuning.space import Figures, Pair
from tuning.spec import SearchSpec

FIGURES = (
    Figures("Runs", "github some/runs @c0ffee, log", {"recall@20": 0.75}, {"recall@20": 0.625, "ndcg@20": 0.5}),
    Figures("Paper", "a paper, Table 2", {}, {"recall@20": 0.875}),
    Figures("Other", "a paper, Table 3", {}, {"recall@5": 0.125}),
)
PAIR = Pair("pairs/GRCN-tiktok.yaml", "C", "github some/runs @c0ffee, log", FIGURES)
AS_PUBLISHED = replace(ENVIRONMENT.data, users=9_308, items=6_710, train=59_541, valid=3_046, test=6_125)


def with_figures(**fields: Any) -> SearchSpec:
    return a_spec(**{"space": {"strategy": KNOBS}, "pair": PAIR} | fields)


def test_a_row_for_each_source_that_has_the_searchs_metric() -> None:
    rows = published_rows(with_figures())
    assert [(row.name, row.value, row.test["recall@20"]) for row in rows] == [
        ("published (Runs)", 0.75, 0.625),
        ("published (Paper)", None, 0.875),
    ]
    ndcg = with_figures(training={"metric": "ndcg@20"})
    assert [(row.name, row.value) for row in published_rows(ndcg)] == [("published (Runs)", None)]
    assert published_rows(with_figures(training={"metric": "hit@1"})) == []
    assert published_rows(a_spec()) == []


def test_the_table_of_the_best_and_the_page_have_the_figures_last() -> None:
    records = [record("0000", 0.25)]
    lines = printed(best_table(with_figures(), records, POPULARITY))
    assert [line[0] for line in lines[1:]] == ["0000", "popularity", "published", "published"]
    assert lines[-2] == ["published", "(Runs)", *["-"] * 6, "0.75", "0.625"]
    page = summary_markdown(with_figures(), records, ENVIRONMENT, POPULARITY)
    assert "| published (Paper) | - | - | - | - | - | - | - | 0.875 |" in page
    assert "- published (Paper): a paper, Table 2; for reference, it takes part in no choice" in page
    assert "published" not in summary_markdown(a_spec(), records, ENVIRONMENT, POPULARITY)


def test_a_published_figure_is_never_the_winner() -> None:
    """All figures are above the one trial's, which wins nevertheless."""
    records = [record("0000", 0.25)]
    best = winner(records)
    assert best
    assert best.trial == "0000"
    assert "### Winner: trial 0000" in summary_markdown(with_figures(), records, None, None)


def test_figures_of_another_split_are_called_so() -> None:
    sources = published_lines(with_figures(), None)
    assert [line.partition(":")[0] for line in sources] == ["published (Runs)", "published (Paper)"]
    assert published_lines(with_figures(), replace(ENVIRONMENT, data=AS_PUBLISHED)) == sources
    *same, differs = published_lines(with_figures(), ENVIRONMENT)
    assert same == sources
    assert differs.startswith(
        "the published figures are of another split than this data: tiktok is not as published: 9,319 users, not 9,308"
    )
    assert published_lines(a_spec(), ENVIRONMENT) == []


def test_a_line_says_where_the_values_come_from_and_that_grade_c_is_weak() -> None:
    assert origin_line(PAIR) == (
        "values for this data set: pairs/GRCN-tiktok.yaml, grade C: weak, one setting that somebody published, "
        "or a grid that was not finished (github some/runs @c0ffee, log)"
    )
    assert origin_line(Pair("pairs/GRCN-mine.yaml", None, None, ())) == (
        "values for this data set: pairs/GRCN-mine.yaml"
    )


def test_the_spec_keeps_the_figures(tmp_path: Any) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(with_figures().to_yaml())
    read = SearchSpec.read(path)
    assert read.pair == PAIR
    assert published_figures(read) == published_figures(with_figures())


@pytest.mark.parametrize(("content", "place"), [("pair: 3", "pair"), ("pair: {grade: A}", "pair")])
def test_a_damaged_pair_in_a_spec_is_one_line(tmp_path: Any, content: str, place: str) -> None:
    path = tmp_path / "spec.yaml"
    path.write_text(f"name: s\nmodel: GRCN\ndataset: tiktok\nspace: {{}}\n{content}\n")
    with pytest.raises(Exception, match=place) as error:
        SearchSpec.read(path)
    assert type(error.value).__name__ == "UserError"
    assert "\n" not in str(error.value)
