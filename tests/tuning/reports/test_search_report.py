"""Tables and pages show what the records say, and no more than they can say."""

from dataclasses import replace
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.table import Table

from tests.tuning.factories import made_confirmation
from tests.tuning.reports.factories import METRIC, POPULARITY, halves, record
from tuning.records.environment import Cpu, DataFacts, Environment, GitState, Gpu
from tuning.records.trials import BASELINE
from tuning.reports import search_report
from tuning.reports.search_report import baseline_gain, below_popularity, best_table, summary_markdown
from tuning.spec import SearchSpec

ENVIRONMENT = Environment(
    versions={"python": "3.11.9"},
    platform="Linux",
    cpu=Cpu("Some CPU", 4),
    gpus=[Gpu("Some GPU", "1")],
    git=GitState("0123456789abcdef", dirty=True),
    data=DataFacts("tiktok", "f00df00df00df00d", users=9319, items=6710, train=5, valid=3, test=2),
    starts=[],
)


def a_spec(**fields: Any) -> SearchSpec:
    return SearchSpec(**{"name": "s", "model": "GRCN", "dataset": "tiktok", "space": {}} | fields)


KNOBS = {"alpha": 1.0, "beta": 0.2, "interval": 3}
SPEC = a_spec(space={"strategy": KNOBS, "train": {"lr": 0.1}, "model": {"reg": 0.5}})


def printed(table: Table) -> list[list[str]]:
    """The table's lines as words."""
    console = Console(file=StringIO(), width=200, color_system=None)
    console.print(table)
    lines = console.file.getvalue().translate(str.maketrans("┃│", "  ")).splitlines()
    return [words for line in lines if (words := line.split()) and words[0][0].isalnum()]


def test_best_first_test_only_where_opened_baseline_below(monkeypatch):
    monkeypatch.setattr(search_report, "BEST", 3)
    records = [
        record("0000", 0.25),
        record("0001", 0.125, "pruned"),
        record("0002", 0.5),
        record("0003", None, "failed", best_epoch=None),
        record(BASELINE, 0.4375, params={"strategy": {}, "train": {"lr": 0.1}, "model": {}}),
    ]
    opened = halves(records[0], records[2], records[-1])
    assert printed(best_table(SPEC, records, tests=opened))[1:] == [
        ["0002", "finished", "9", "5", "1", "0.2", "3", "0.5", "0.25"],
        ["0000", "finished", "9", "5", "1", "0.2", "3", "0.25", "0.125"],
        ["0001", "pruned", "9", "5", "1", "0.2", "3", "0.125", "-"],
        ["baseline", "finished", "9", "5", "-", "-", "-", "0.4375", "0.2188"],
    ]
    assert [words[-1] for words in printed(best_table(SPEC, records))[1:]] == ["-"] * 4
    monkeypatch.undo()
    assert ["0003", "failed", "9", "-", "1", "0.2", "3", "-", "-"] in printed(best_table(SPEC, records))


def test_a_page_says_what_was_taken_over():
    said = ("old: 2 of 2 values told to the sampler", "nothing from older (no finished trial)")
    page = summary_markdown(a_spec(warm_start={"said": said}), [], None, None)
    assert (
        "Warm start:\n\n- old: 2 of 2 values told to the sampler\n- nothing from older (no finished trial)\n\n" in page
    )
    assert "Warm start" not in summary_markdown(SPEC, [], None, None)


def test_popularity_is_the_last_row():
    records = [record("0000", 0.25), record(BASELINE, 0.125, params={"strategy": {}, "train": {}, "model": {}})]
    lines = printed(best_table(SPEC, records, POPULARITY))
    assert lines[-1] == ["popularity", *["-"] * 6, "0.375", "0.1875"]
    assert [line[0] for line in lines[1:]] == ["0000", "baseline", "popularity"]


def test_a_model_below_popularity_is_called_so():
    warning = "warning: the items with most training interactions are a better ranking than this model's, recall@20: "
    below, above = 0.25, 0.5
    scores = {"valid": {METRIC: below}, "test": {METRIC: below / 2}}
    assert below_popularity(scores, POPULARITY, METRIC) == (
        f"{warning}valid 0.25 against 0.375, test 0.125 against 0.1875"
    )
    better_on_test = scores | {"test": {METRIC: above}}
    assert below_popularity(better_on_test, POPULARITY, METRIC) == f"{warning}valid 0.25 against 0.375"
    assert below_popularity(scores | {"test": {}}, POPULARITY, METRIC) == f"{warning}valid 0.25 against 0.375"
    for good in ({"valid": {METRIC: above}, "test": {METRIC: above}}, POPULARITY, {}):
        assert below_popularity(good, POPULARITY, METRIC) is None
    assert below_popularity(scores, None, METRIC) is None


def test_an_empty_search_has_an_empty_table():
    assert best_table(SPEC, []).row_count == 0


def test_the_gain_is_absolute_and_relative_on_both_splits():
    best, plain = record("0001", 0.0812), record(BASELINE, 0.08)
    text = baseline_gain(best, plain, METRIC, halves(best, plain))
    assert "on validation 0.0812 instead of 0.08, +0.0012 (+1.5%)" in text
    assert "on test 0.0406 instead of 0.04, +0.0006 (+1.5%)" in text
    assert "one seed" in text
    for sealed in ({}, halves(best), halves(plain)):
        assert "on test" not in baseline_gain(best, plain, METRIC, sealed)


def test_a_loss_has_its_sign_and_a_zero_baseline_no_percentage():
    assert "-0.02 (-20.0%)" in baseline_gain(record("0001", 0.08), record(BASELINE, 0.1), METRIC)
    text = baseline_gain(record("0001", 0.1), record(BASELINE, 0.0), METRIC)
    assert "on validation 0.1 instead of 0, +0.1. This" in text


@pytest.mark.parametrize(
    ("best", "plain"),
    [
        (None, record(BASELINE, 0.1)),
        (record("0001", 0.1), None),
        (record("0001", 0.1), record(BASELINE, 0.1, "pruned")),
        (record("0001", 0.1, "pruned"), record(BASELINE, 0.1)),
        (record("0001", 0.1), record(BASELINE, None, "failed")),
    ],
)
def test_nothing_is_compared_with_half_a_training(best, plain):
    assert baseline_gain(best, plain, METRIC) is None


def test_the_page_has_counts_winner_metrics_gain_machine_and_commands():
    records = [record("0000", 0.25), record("0001", 0.5), record("0002", 0.1, "pruned"), record(BASELINE, 0.4)]
    page = summary_markdown(SPEC, records, ENVIRONMENT, None, halves(records[1]))
    assert page.startswith("## GRCN on tiktok, strategy mg\n")
    assert "3 trials ended (2 finished, 1 pruned, 0 failed)" in page
    assert "### Winner: trial 0001\n\nBest epoch 5 of 9, seed 7.\n" in page
    assert "| parameter | value |\n| --- | --- |\n| strategy.alpha | 1 |\n| strategy.beta | 0.2 |" in page
    assert "| metric | validation | test |\n| --- | --- | --- |\n| recall@20 | 0.5 | 0.25 |" in page
    assert "| epochs | best epoch | alpha | beta | interval | valid recall@20 | test recall@20 |" in page
    assert "| 0001 | finished | 9 | 5 | 1 | 0.2 | 3 | 0.5 | 0.25 |\n| 0000 | finished |" in page
    assert "| 0.25 | - |\n| 0002 | pruned |" in page
    assert page.count("| baseline | finished |") == 1
    assert "on validation 0.5 instead of 0.4, +0.1 (+25.0%)" in page
    assert "9,319 users, 6,710 items, 5 / 3 / 2 interactions, fingerprint `f00df00df00d`" in page
    assert "Some CPU, 4 cores, Some GPU" in page
    assert "commit `0123456789ab` with local changes" in page
    assert "```sh\nmlflow ui --backend-store-uri sqlite:///mlflow.db\n" in page
    assert f"--replay searches/{SPEC.name}/best.yaml" in page


def test_the_page_has_popularity_beside_the_winner():
    best = record("0000", 0.5)
    page = summary_markdown(a_spec(), [best], ENVIRONMENT, POPULARITY, halves(best))
    assert "| metric | validation | test | popularity, validation | popularity, test |" in page
    assert "| recall@20 | 0.5 | 0.25 | 0.375 | 0.1875 |" in page
    assert "warning" not in page
    assert "**warning: the items with most" in summary_markdown(
        a_spec(), [record("0000", 0.25)], ENVIRONMENT, POPULARITY
    )


def test_a_page_before_any_result_offers_no_replay():
    page = summary_markdown(a_spec(), [], None, None)
    assert "No trial has a result yet." in page
    assert "--replay" not in page
    assert "### Ran on" not in page


def test_a_pruned_winner_is_called_so_and_bars_are_escaped():
    odd = record("0000", 0.5, "pruned", params={"model": {"kind": "a|b"}})
    page = summary_markdown(a_spec(), [odd], replace(ENVIRONMENT, git=None, gpus=[]), None)
    assert "No trial finished: this one had been stopped early." in page
    assert r"| model.kind | a\|b |" in page
    assert "| recall@20 | 0.5 | - |" in page
    assert "source: no checkout" in page


def test_the_page_of_fresh_seeds_names_no_winner():
    page = summary_markdown(a_spec(role="confirmation"), [record("0000", 0.5, role="confirmation")], None, None)
    assert "Winner" not in page
    assert "the page of the search that they are from says what was chosen" in page


def test_a_page_shows_what_was_chosen_on_fresh_seeds_and_why():
    best, chosen = record("0000", 0.5), record("0001", 0.25)
    confirmation = made_confirmation("0001")
    page = summary_markdown(a_spec(), [best, chosen], None, None, halves(chosen), confirmation=confirmation)
    assert "### Winner: trial 0001" in page
    assert f"### On fresh seeds\n\n{confirmation.choice}\n\n{confirmation.verdict}\n\n" in page
    assert "### On fresh seeds" not in summary_markdown(a_spec(), [best, chosen], None, None)
