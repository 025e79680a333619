"""The plan of an overview: what it keeps, its order, and the shares of a budget."""

import pytest

from recmodels.errors import UserError
from tests.tuning.overview.factories import made_overview
from tuning.overview import Overview
from tuning.overview.plan import with_share


def test_the_plan_is_kept_whole() -> None:
    asked = made_overview(trials="12", share_budget=True, compare="mg,sam", pass_budget="5000")
    asked.write()
    again = Overview.in_folder(asked.folder)
    assert again == asked
    assert again.options["pass_budget"] == "5000"
    assert again.shares == 4


def test_a_folder_that_was_moved_goes_on_where_it_is() -> None:
    asked = made_overview()
    asked.write()
    asked.folder.parent.rename("elsewhere")
    moved = Overview.in_folder(asked.folder.parent.with_name("elsewhere") / "o")
    assert moved.output_dir == "elsewhere"
    assert {str(pair.experiment.folder.parent) for pair in moved.pairs} == {"elsewhere"}


def test_a_damaged_plan_is_refused_in_one_line() -> None:
    asked = made_overview()
    asked.write()
    path = asked.folder / "overview.yaml"
    path.write_text(path.read_text().replace("shares: 0", "shares: -1"))
    with pytest.raises(UserError, match=r"overview\.yaml:\d+: shares: Input should be greater than or equal to 0"):
        Overview.in_folder(asked.folder)


def test_the_pairs_of_a_data_set_run_together_whatever_their_order() -> None:
    asked = made_overview()
    shuffled = asked.model_copy(update={"pairs": [asked.pairs[place] for place in (0, 1, 2, 3)]})
    assert [str(pair) for pair in shuffled.pairs] == [
        "LightGCN on demo",
        "LightGCN on synthetic:tiktok",
        "BPR on demo",
        "BPR on synthetic:tiktok",
    ]
    assert [[pair.model for pair in group] for group in shuffled.by_data(shuffled.pairs[1:])] == [
        ["BPR"],
        ["LightGCN", "BPR"],
    ]


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ({}, ["recall@20", "ndcg@20"]),
        ({"metric": "ndcg@10"}, ["ndcg@10", "recall@10"]),
        ({"table_metrics": "hit@5, map@20"}, ["hit@5", "map@20"]),
    ],
)
def test_the_metrics_of_the_table(given: dict[str, str], shown: list[str]) -> None:
    assert list(made_overview(**given).shown_metrics) == shown


def test_a_budget_for_all_is_shared_equally_and_the_rest_is_nobodys() -> None:
    """Four pairs of three searches."""
    asked = made_overview(
        share_budget=True, compare="mg,sam", trials="40", pass_budget="1000", time_budget=36.0, confirm_top=0
    )
    budgets = [spec.budget for pair in asked.pairs for spec in pair.experiment.searches]
    assert len(budgets) == 12
    assert {(each.trials, each.passes, each.seconds, each.epochs) for each in budgets} == {(3, 83, 3.0, None)}


def test_a_pair_with_fewer_searches_has_the_same_share_for_them_together() -> None:
    experiment = made_overview(models="LightGCN", compare="mg,sam", trials="60").pairs[0].experiment
    alone = experiment.model_copy(update={"searches": experiment.searches[:1]})
    totals = [
        sum(spec.budget.trials for spec in with_share(each, 2, ["trials"]).searches) for each in (experiment, alone)
    ]
    assert totals == [30, 30]


def test_a_budget_that_is_too_small_to_be_shared() -> None:
    with pytest.raises(UserError, match="--share-budget: trials 7 for 4 pairs of 2 searches: expected at least 8"):
        made_overview(share_budget=True, trials="7")
