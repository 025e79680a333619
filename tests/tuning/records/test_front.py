"""The front of a search's trials and what is picked of it: by validation, status and nothing else."""

from typing import Any

import pytest

from tests.tuning.factories import made_confirmation, made_spec
from tests.tuning.records.test_selection import record
from tuning.records.front import chosen_trial, front_of
from tuning.records.trials import BASELINE, TrialRecord

NAMES = ("recall@20", "robustness")
SPEC = made_spec(objectives=NAMES, scheduler={"name": "none"})


def trial(name: str, value: float | None, robustness: float | None, status: Any = "finished") -> TrialRecord:
    measured = {} if robustness is None else {"robustness": robustness}
    return record(name, value, status, measured=measured)


LEDGER = [
    trial("0000", 0.1, 0.9),
    trial("0001", 0.5, 0.5),
    trial("0002", 0.8, 0.75),
    trial("0003", 1.0, 0.1),
    trial("0004", 0.8, 0.75),
    trial("0005", 2.0, None),
    trial("0006", 2.0, 2.0, "failed"),
    record(BASELINE, 3.0, measured={"robustness": 3.0}),
]


def test_trials_that_failed_or_lack_an_objective_are_no_points_but_are_named() -> None:
    front = front_of(NAMES, LEDGER)
    assert [each.trial for each in front.points] == ["0003", "0002", "0004", "0000"]
    assert front.left_out == {"0005": "no robustness", "0006": "failed: None"}


def test_of_a_smaller_is_better_objective_the_smaller_one_is_on_the_front() -> None:
    records = [record("0000", 0.5, seconds=9.0), record("0001", 0.5, seconds=3.0), record("0002", 0.4, seconds=5.0)]
    assert [each.trial for each in front_of(["recall@20", "seconds"], records).points] == ["0001"]


@pytest.mark.parametrize(
    ("pick", "trial"),
    [("knee", "0002"), ("recall@20", "0003"), ("robustness", "0000"), ("0004", "0004"), ("0001", "0002")],
)
def test_a_pick_is_the_knee_the_best_of_an_objective_or_a_trial_of_the_front(pick: str, trial: str) -> None:
    spec = SPEC.model_copy(update={"pick": pick})
    for records in (LEDGER, LEDGER[::-1]):
        found = chosen_trial(spec, records, None)
        assert found is not None
        assert found.trial == trial


def test_what_was_confirmed_counts_and_without_a_front_the_metric_does() -> None:
    assert chosen_trial(SPEC, LEDGER, made_confirmation("0001")) == LEDGER[1]
    bare = [trial("0000", 0.2, None), trial("0001", 0.4, None)]
    assert front_of(NAMES, bare).points == []
    assert chosen_trial(SPEC, bare, None) == bare[1]
    assert chosen_trial(SPEC, [], None) is None
    assert chosen_trial(made_spec(), LEDGER, None) == LEDGER[5]
