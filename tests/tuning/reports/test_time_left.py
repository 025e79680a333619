"""Time left: nothing before there is evidence, then a range that holds what comes."""

import random
from pathlib import Path

import pytest

from tests.tuning.factories import made_spec
from tests.tuning.reports.factories import record
from tuning.reports.stages import place_of, stages_of, time_of, what_comes
from tuning.reports.time_left import TimeLeft, by_budget, by_trials, soonest, span


@pytest.mark.parametrize("ended", [[], [10.0], [10.0, 10.0]])
def test_two_trials_say_nothing(ended: list[float]) -> None:
    assert by_trials(ended, 5, [], 1) is None


def test_trials_that_all_take_the_same_leave_no_doubt() -> None:
    assert by_trials([60.0] * 3, 10, [], 1) == TimeLeft(600.0, 600.0)
    assert by_trials([60.0] * 3, 10, [], 4) == TimeLeft(150.0, 150.0)
    assert by_trials([60.0] * 3, 10, [20.0, 100.0], 1) == TimeLeft(520.0, 520.0)  # the second takes longer than usual
    assert by_trials([60.0] * 3, 2, [], 8) == TimeLeft(60.0, 60.0)  # no more at a time than there are
    assert by_trials([60.0] * 3, 0, [], 1) is None


def test_the_range_holds_four_of_five_ends() -> None:
    """Trials are stopped early, two of three of them, or take ten times as long."""
    draws = random.Random(1)
    held = 0
    for _ in range(1000):
        times = [draws.choice([10.0, 10.0, 100.0]) * draws.uniform(0.8, 1.2) for _ in range(40)]
        left = by_trials(times[:20], 20, [], 1)
        assert left is not None
        held += left.low <= sum(times[20:]) <= left.high
    assert 730 <= held <= 870


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (TimeLeft(600, 700), "about 11 min"),
        (TimeLeft(600, 1200), "10 min to 20 min"),
        (TimeLeft(2, 4), "about 5 s"),
        (TimeLeft(0, 7200), "at most 2 h"),
        (TimeLeft(1800, 8000), "30 min to 2 h 10 min"),
    ],
)
def test_a_range_reads_as_a_person_would_say_it(left: TimeLeft, text: str) -> None:
    assert str(left) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "5 s"), (42, "40 s"), (56, "1 min"), (750, "12 min"), (5399, "1 h 30 min"), (12_050, "3 h 20 min"),
        (36_000, "10 h"), (200_000, "2 d 8 h"), (172_800, "2 d"),
    ],
)  # fmt: skip
def test_a_span_is_no_more_exact_than_an_estimate(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_a_budget_of_epochs_ends_at_the_speed_of_this_start() -> None:
    left = by_budget(done=600, since_start=100, total=1000, seconds=50)
    assert left is not None
    assert (left.low, left.high) == pytest.approx((170, 230))
    assert by_budget(done=600, since_start=100, total=None, seconds=50) is None
    assert by_budget(done=600, since_start=9, total=1000, seconds=50) is None


def test_whatever_ends_first_counts() -> None:
    assert soonest(None, None) is None
    assert soonest(TimeLeft(0, 60), None) == TimeLeft(0, 60)
    assert soonest(TimeLeft(10, 90), TimeLeft(0, 60)) == TimeLeft(10, 60)
    assert soonest(TimeLeft(100, 200), TimeLeft(0, 60)) == TimeLeft(60, 60)
    assert soonest(TimeLeft(100, 200), TimeLeft(50, 300)) == TimeLeft(50, 200)


def test_an_experiment_has_its_searches_and_confirmations_as_stages() -> None:
    space = {"train": {"lr": {"type": "uniform", "low": 0.1, "high": 1.0}}}
    plans = (("e-plain", 10), ("e-mg", 2))
    searches = [made_spec(name=name, space=space, budget={"trials": trials}) for name, trials in plans]
    stages = stages_of(searches, 3, 5)
    assert [(stage.name, stage.confirms) for stage in stages] == [
        ("e-plain", False), ("e-plain-seeds", True), ("e-mg", False), ("e-mg-seeds", True)
    ]  # fmt: skip
    assert [stage.trials for stage in stages] == [10, 15, 2, 10]
    place = place_of("e-plain-seeds", stages, Path())
    assert (str(place), [stage.name for stage in place.later]) == ("search 2 of 4", ["e-mg", "e-mg-seeds"])
    assert [stage.name for stage in stages_of(searches, 0, 5)] == ["e-plain", "e-mg"]


def test_the_time_of_later_stages_is_judged_by_trials_of_this_one() -> None:
    searches = [made_spec(name=name, role="confirmation", budget={"trials": 10}) for name in ("a", "b")]
    later = place_of("a", stages_of(searches, 1, 2), Path()).later
    assert [stage.trials for stage in later] == [2, 10, 2]
    ended = [
        record("0000", 0.1, "finished", seconds=100.0),
        *(record(f"000{n}", 0.1, "pruned", seconds=10.0) for n in (1, 2)),
    ]
    left = time_of(later, ended, at_once=1)
    assert left is not None
    assert (left.low, left.high) == pytest.approx((0.6 * 800, 1.6 * 800))  # 4 whole trainings and 10 usual ones, 40 s
    assert time_of(later, ended[:2], at_once=1) is None
    assert time_of((), ended, at_once=1) == TimeLeft(0.0, 0.0)


def test_what_comes_is_said_in_one_sentence() -> None:
    space = {"train": {"lr": {"type": "uniform", "low": 0.1, "high": 1.0}}}
    searches = [made_spec(name=name, space=space, budget={"trials": 40}) for name in ("e-plain", "e-mg")]
    names = ["plain", "mg"]
    assert what_comes(stages_of(searches, 3, 5), names) == (
        "at most 80 trainings in 2 searches (plain, mg), and 30 of the best configurations on fresh seeds"
    )
    assert what_comes(stages_of(searches[:1], 0, 0), names[:1]) == "at most 40 trainings"
    assert what_comes(stages_of([made_spec()], 0, 0), names[:1]) == "at most 1 training"


def test_a_time_budget_ends_a_later_search() -> None:
    searches = [made_spec(name=name, role="confirmation", budget={"trials": 10, "seconds": 50}) for name in ("a", "b")]
    later = place_of("a", stages_of(searches, 0, 0), Path()).later
    left = time_of(later, [record(f"000{number}", 0.1, seconds=10.0) for number in range(3)], at_once=1)
    assert left is not None
    assert (left.low, left.high) == pytest.approx((0.6 * 50, 1.6 * 50))
