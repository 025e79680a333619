"""Correlations, tables and verdicts of trials with made numbers."""

from statistics import fmean, stdev

import numpy as np
import pytest

from tests.tuning.analyses.flat_factories import ASKED, made_trial
from tuning.analyses.flatness import Row, tasks_at_one_level
from tuning.analyses.flatness_correlations import BETWEEN, POOLED, WITHIN, Correlated, correlations, verdicts
from tuning.analyses.flatness_numbers import accuracies, headline, quantities, sharpness_of, summaries
from tuning.analyses.flatness_tables import difference, level, main_columns, main_correlations, strategy_table
from tuning.reports.tables import markdown_table

DROP = "drop, embedding 1"
SEEDS = (1000, 1001, 1002)
STRATEGIES = ("mg", "plain", "sam")
PREDICTS = [
    made_trial(name, seed, sharpness=1.0 + place + number / 10, lost=10.0 * place + number)
    for place, name in enumerate(STRATEGIES)
    for number, seed in enumerate(SEEDS)
]
"""Sharper trials lose more, among strategies and within each."""


def one(found: list[Correlated], among: str, sharpness: str = "adaptive_max", outcome: str = DROP) -> Correlated:
    (match,) = [each for each in found if (each.among, each.sharpness, each.outcome) == (among, sharpness, outcome)]
    return match


def test_flatness_that_predicts_perfectly_is_found_to() -> None:
    found = correlations(ASKED, PREDICTS)
    pooled = one(found, POOLED)
    assert (pooled.found.n, pooled.found.spearman.value, pooled.found.kendall.value) == (9, 1.0, 1.0)
    assert one(found, BETWEEN).found.n == 3
    assert one(found, BETWEEN).found.spearman.value == 1.0
    assert one(found, WITHIN).found.spearman.value == pytest.approx(1.0)
    assert one(found, "mg").found.n == 3
    (said,) = verdicts(ASKED, PREDICTS, found)
    assert said.startswith("BPR, 9 trials of 3 strategies: adaptive_max and the drop under embedding 1 have the rank")
    assert said.endswith("1.00]: the sharper minima lose more.")
    assert one(found, POOLED, outcome="recall@20, embedding 1").found.spearman.value == -1.0


def test_flatness_that_says_nothing_is_found_to() -> None:
    rng = np.random.default_rng(3)
    rows = [made_trial(name, seed, *rng.uniform(1, 2, 2)) for name in STRATEGIES for seed in range(6)]
    found = correlations(ASKED, rows)
    rank = one(found, POOLED).found.spearman
    assert rank.low is not None
    assert rank.high is not None
    assert rank.low < 0 < rank.high
    (said,) = verdicts(ASKED, rows, found)
    assert said.endswith("sharpness does not tell who loses more.")


def test_a_relation_among_strategies_alone_is_none_within_them() -> None:
    """Each strategy is sharper and loses more than the one before; within a strategy it is the other way round."""
    rows = [
        made_trial(name, seed, sharpness=10.0 * place + number, lost=10.0 * place - number)
        for place, name in enumerate(("plain", "mg", "sam", "asam"))
        for number, seed in enumerate(SEEDS)
    ]
    found = correlations(ASKED, rows)
    assert one(found, BETWEEN).found.spearman.value == 1.0
    assert one(found, WITHIN).found.spearman.value == pytest.approx(-1.0)
    assert one(found, POOLED).found.spearman.value > 0.5
    (said,) = verdicts(ASKED, rows, found)
    assert "12 trials of 4 strategies" in said
    assert said.endswith("the sharper minima lose more.")
    turned = [made_trial("plain", seed, sharpness=20.0 - seed, lost=float(seed)) for seed in range(9)]
    assert verdicts(ASKED, turned, correlations(ASKED, turned))[0].endswith("the sharper minima lose less.")


def test_p_values_are_corrected_for_all_that_were_looked_at() -> None:
    found = correlations(ASKED, PREDICTS)
    tested = sorted((each for each in found if each.found.p is not None), key=lambda each: each.found.p or 0)
    assert len(tested) > 20
    first = tested[0]
    assert first.p == pytest.approx(min(1.0, len(tested) * (first.found.p or 0)))
    assert all((each.p or 0) >= (each.found.p or 0) for each in tested)
    assert all(each.p is None for each in found if each.found.p is None)


def test_models_are_kept_apart() -> None:
    """A model that is sharper and loses more says nothing of the other's trials."""
    other = [made_trial("plain", seed, 100.0 - seed / 100, lost=60.0 + seed / 1000, model="VBPR") for seed in SEEDS]
    found = correlations(ASKED, [*PREDICTS, *other])
    wanted = (POOLED, "adaptive_max", DROP)
    pooled = {each.model: each.found for each in found if (each.among, each.sharpness, each.outcome) == wanted}
    assert {model: each.n for model, each in pooled.items()} == {"BPR": 9, "VBPR": 3}
    assert pooled["VBPR"].spearman.value == -1.0
    said = verdicts(ASKED, [*PREDICTS, *other], found)
    assert said[1] == (
        "VBPR, 3 trials of 1 strategy: too few of them for an interval; adaptive_max and the drop under embedding 1 "
        "have the rank correlation -1.00."
    )


def test_what_no_noise_reaches_is_said() -> None:
    rows = [made_trial("plain", seed, 1.0 + seed, 5.0, embedding=False) for seed in SEEDS]
    assert headline(ASKED, rows) is None
    found = correlations(ASKED, rows)
    assert {each.outcome for each in found} <= {"valid"}
    assert verdicts(ASKED, rows, found) == ["BPR: no perturbation that was asked for reaches it."]
    _, lines = strategy_table(ASKED, rows, summaries(ASKED, rows), level)
    assert lines[0]["noise"] == "-"
    assert "drop %" not in lines[0]


def test_trials_alike_have_no_correlation() -> None:
    rows = [made_trial("plain", seed, 1.0, 5.0) for seed in SEEDS]
    assert correlations(ASKED, rows) == []
    assert "too few of them, or too much alike" in verdicts(ASKED, rows, [])[0]


def test_the_test_metric_counts_where_it_may_be_seen() -> None:
    rows = [made_trial("plain", seed, float(seed), 5.0, test=seed / 2000 if seed else None) for seed in (0, *SEEDS)]
    valid, test = accuracies(ASKED)
    assert [test.of(row) for row in rows] == [None, 0.5, 0.5005, 0.501]
    assert [valid.of(row) for row in rows] == [0.5] * 4
    assert one(correlations(ASKED, rows), POOLED, outcome="test").found.n == 3
    assert "test" not in strategy_table(ASKED, rows[:1], summaries(ASKED, rows[:1]), level)[1][0]
    assert strategy_table(ASKED, rows, summaries(ASKED, rows), level)[1][0]["test"] == "0.5005 ± 0.0005 (n 3)"


def test_strategies_stand_beside_plain_paired_by_seed() -> None:
    """A seed that only one of them has is in its mean, and in no difference."""
    rows = [
        *(made_trial("mg", seed, 2.0, lost=10.0 + 2 * place) for place, seed in enumerate((1000, 1001, 1002))),
        *(made_trial("plain", seed, 1.0, lost=4.0 + place) for place, seed in enumerate((1000, 1001, 1002, 1003))),
    ]
    found = {(each.strategy, each.quantity): each for each in summaries(ASKED, rows)}
    plain, mg = found["plain", DROP], found["mg", DROP]
    assert (plain.n, plain.mean, plain.deviation) == (4, pytest.approx(5.5), pytest.approx(stdev([4, 5, 6, 7])))
    assert plain.difference is None
    assert (mg.n, mg.mean) == (3, pytest.approx(12))
    assert mg.difference is not None
    assert mg.difference.n == 3
    assert mg.difference.difference == pytest.approx(fmean([6, 7, 8]))
    assert mg.difference.low == pytest.approx(7 - 4.302653 / 3**0.5)
    columns, lines = strategy_table(ASKED, rows, list(found.values()), level)
    assert [line["strategy"] for line in lines] == ["plain", "mg"]
    assert [column.heading for column in columns][:4] == ["model", "strategy", "noise", "runs"]
    assert lines[1] | {"runs": "3", "noise": "embedding 1", "drop %": "12 ± 2", "adaptive_max": "2 ± 0"} == lines[1]
    _, apart = strategy_table(ASKED, rows, list(found.values()), difference)
    assert [line["strategy"] for line in apart] == ["mg"]
    assert apart[0]["drop %"] == "+7 [+4.5, +9.5] *"


def test_runs_of_one_seed_count_by_their_mean() -> None:
    plain = [made_trial("plain", seed, 1.0, lost) for seed, lost in ((1, 1.0), (2, 2.0))]
    rows = [*plain, *(made_trial("mg", seed, 1.0, lost) for seed, lost in ((1, 5.0), (1, 7.0), (2, 4.0)))]
    (found,) = [each for each in summaries(ASKED, rows) if (each.strategy, each.quantity) == ("mg", DROP)]
    assert found.difference is not None
    assert found.difference.difference == pytest.approx(fmean([6 - 1, 4 - 2]))


def test_each_measure_is_one_quantity_and_the_primary_one_is_first() -> None:
    rows: list[Row] = PREDICTS[:1]
    names = [each.name for each in sharpness_of(ASKED, rows)]
    assert names == ["adaptive_max", "adaptive_max / loss", "gradient_norm", "loss", "norm of weights", "best_epoch"]
    values = {each.name: each.of(rows[0]) for each in quantities(ASKED, rows)}
    assert values["adaptive_max / loss"] == pytest.approx(1.0 / 0.25)
    assert values["norm of weights"] == 3.0
    assert values["best_epoch"] == rows[0].run.record.best_epoch
    assert values["recall@20, mix 1"] is None


def test_the_short_table_has_a_row_for_each_pair() -> None:
    found = correlations(ASKED, PREDICTS)
    main = main_correlations(ASKED, PREDICTS, found)
    assert len(main) == 3 * 2  # the loss, the norm and the clean metric are the same for all
    text = markdown_table(main_columns(), main).splitlines()
    assert text[2].startswith("| BPR | adaptive_max | drop, embedding 1 | 9 | 1.00 [0.9")


def test_each_measure_is_taken_at_one_level() -> None:
    made = tasks_at_one_level(["gradient", "one_step", "max", "adaptive", "average", "trace"])
    assert [(task.measure, task.level) for task in made] == [
        ("gradient", None),
        ("one_step", 0.1),
        ("max", 0.1),
        ("adaptive", 0.5),
        ("average", 0.1),
        ("trace", None),
    ]
