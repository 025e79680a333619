"""Gains, their means and marks follow from the results of the experiments; what is missing is named."""

from typing import Any

import pytest

from tests.tuning.overview.factories import made_overview, write_figures
from tuning.overview import Overview, OverviewTable, read_table, run_overview
from tuning.overview.grid import grid
from tuning.overview.remarks import remarks

DATA: Any = object()


def made_table(overview: Overview, without: str = "", **figures: Any) -> OverviewTable:
    """The table of an overview whose gains are +50 %, +100 %, +150 %, ... in the order of its pairs; the pair of the
    name `without` fails."""

    def run(pair: Any, _: Any) -> bool:
        if pair.name == without:
            raise ValueError("no room_left & no hope")
        place = overview.pairs.index(pair)
        plain = [0.1, 0.2, 0.3]
        mg = {"mg": [value * (1.5 + 0.5 * place) for value in plain]}
        write_figures(pair, {"plain": plain} | mg, **figures)
        return True

    run_overview(overview, lambda pair: DATA, run, lambda pair: None)
    return read_table(overview)


def cells(table: OverviewTable) -> dict[tuple[str, str], list[str]]:
    """Group and label of each row -> its cells."""
    return {(row.group, row.label): [str(cell) for cell in row.cells] for group in grid(table).groups for row in group}


@pytest.fixture(autouse=True)
def no_faults(monkeypatch: pytest.MonkeyPatch) -> None:
    """The folders of the searches are not there."""
    monkeypatch.setattr("tuning.overview.runner.fault_of", lambda pair: None)


def test_rows_are_models_and_columns_are_data_sets_with_mean_gains_at_their_ends() -> None:
    table = made_table(made_overview(), popularity=0.19)
    found = grid(table)
    assert found.columns == [
        ("demo", "recall@20"),
        ("demo", "ndcg@20"),
        ("synthetic:tiktok", "recall@20"),
        ("synthetic:tiktok", "ndcg@20"),
        ("mean gain", "recall@20"),
        ("mean gain", "ndcg@20"),
    ]
    assert cells(table) == {
        ("LightGCN", "plain"): ["0.2", "0.1", "0.2", "0.1", "", ""],
        ("LightGCN", "mg"): ["0.3", "0.15", "0.4", "0.2", "", ""],
        ("LightGCN", "mg gain"): ["+50.0% *", "+50.0%", "+100.0% *", "+100.0%", "+75.0%", "+75.0%"],
        ("BPR", "plain"): ["0.2", "0.1", "0.2", "0.1", "", ""],
        ("BPR", "mg"): ["0.5", "0.25", "0.6", "0.3", "", ""],
        ("BPR", "mg gain"): ["+150.0% *", "+150.0%", "+200.0% *", "+200.0%", "+175.0%", "+175.0%"],
        ("mean gain", "mg gain"): ["+100.0%", "+100.0%", "+150.0%", "+150.0%", "+125.0%", "+125.0%"],
        ("popularity", ""): ["0.19", "0.095", "0.19", "0.095", "", ""],
    }


def test_a_single_pair_has_no_means() -> None:
    table = made_table(made_overview(models="LightGCN", datasets="demo"))
    assert list(cells(table)) == [
        ("LightGCN", "plain"),
        ("LightGCN", "mg"),
        ("LightGCN", "mg gain"),
        ("popularity", ""),
    ]
    assert grid(table).columns == [("demo", "recall@20"), ("demo", "ndcg@20")]


def test_a_gain_that_the_experiment_does_not_tell_apart_has_no_mark() -> None:
    table = made_table(made_overview(), decision="not told apart from plain")
    assert not [row for row in cells(table).values() if any("*" in cell for cell in row)]


def test_levels_below_popularity_are_marked_and_named() -> None:
    table = made_table(made_overview(models="LightGCN"), popularity=0.35)
    assert cells(table)["LightGCN", "mg"][:4] == ["0.3 †", "0.15 †", "0.4", "0.2"]
    (line,) = [remark for remark in remarks(table) if remark.startswith("†")]
    assert "LightGCN on demo (mg), popularity has recall@20 0.35, ndcg@20 0.175" in line
    assert "LightGCN on synthetic:tiktok (mg)" not in line


def test_a_pair_that_failed_stands_in_the_table_with_its_reason() -> None:
    table = made_table(made_overview(), without="o-BPR-demo")
    found = cells(table)
    assert found["BPR", "plain"][:3] == ["failed [1]", "failed [1]", "0.2"]
    assert found["BPR", "mg gain"][:2] == ["-", "-"]
    assert found["mean gain", "mg gain"][4] == "+116.7%"
    lines = list(remarks(table))
    (reason,) = [line for line in lines if line.startswith("[1] ")]
    assert reason.startswith("[1] BPR on demo: ValueError: no room_left & no hope (searches/o/o-BPR-demo.error.txt)")
    assert "The mean gain of mg in recall@20, ndcg@20 is over 3 of 4 pairs." in lines


def test_a_table_before_anything_ran() -> None:
    table = read_table(made_overview(models="LightGCN"))
    assert cells(table)["LightGCN", "plain"] == ["not run"] * 4 + ["", ""]
    assert list(remarks(table)) == [
        "No pair has a result yet.",
        "Not run yet: LightGCN on demo, LightGCN on synthetic:tiktok.",
    ]


def test_what_bare_searches_lack_is_said() -> None:
    overview = made_overview(datasets="demo", confirm_top=0)
    assert [spec.strategy for spec in overview.pairs[0].experiment.searches] == ["mg"]
    for pair in overview.pairs:
        write_figures(pair, {"mg": [0.2]})
    run_overview(overview, lambda pair: DATA, lambda pair, data: True, lambda pair: None)
    table = read_table(overview)
    assert cells(table) == {
        ("LightGCN", "mg"): ["0.2", "0.1"],
        ("LightGCN", "mg gain"): ["-", "-"],
        ("BPR", "mg"): ["0.2", "0.1"],
        ("BPR", "mg gain"): ["-", "-"],
        ("mean gain", "mg gain"): ["-", "-"],
        ("popularity", ""): ["0.01", "0.005"],
    }
    lines = list(remarks(table))
    assert lines[0] == "Means on test over 1 seed; gain: over plain, as a share of it."
    assert lines[-1] == "LightGCN on demo, BPR on demo: no plain training beside it, so there is no gain."


def test_holm_corrects_for_the_strategies_of_a_pair_in_every_metric() -> None:
    overview = made_overview(models="LightGCN", datasets="demo", compare="mg,sam")
    (pair,) = overview.pairs
    write_figures(pair, {"plain": [0.1, 0.2, 0.3], "mg": [0.2, 0.3, 0.5], "sam": [0.1, 0.2, 0.31]})
    alone = made_overview(models="LightGCN", datasets="demo", name="p")
    write_figures(alone.pairs[0], {"plain": [0.1, 0.2, 0.3], "mg": [0.2, 0.3, 0.5]})
    for metric in ("recall@20", "ndcg@20"):
        two, one = (read_table(each).entries["LightGCN", "demo", "mg", metric] for each in (overview, alone))
        assert two.seeds is not None
        assert one.seeds is not None
        assert two.seeds.p == pytest.approx(2 * one.seeds.p)
        assert (two.users is None) == (metric == "ndcg@20")
