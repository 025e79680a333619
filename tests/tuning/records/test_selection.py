"""The winner is chosen by validation and status; the order of the ledger and the test split change nothing."""

import random
from typing import Any

import pytest

from tuning.records.selection import baseline, ranked, winner
from tuning.records.trials import BASELINE, TrialRecord


def record(trial: str, value: float | None, status: Any = "finished", **more: Any) -> TrialRecord:
    fields = {
        "role": "baseline" if trial == BASELINE else "search",
        "reason": None,
        "params": {},
        "point": {},
        "seed": 1,
        "threads": 1,
        "device": "cpu",
        "epochs": 9,
        "best_epoch": 5,
    } | more
    return TrialRecord(trial=trial, status=status, value=value, **fields)


LEDGER = [
    record("0000", 0.1),
    record("0001", 0.3),
    record("0002", 0.3),
    record("0003", 0.9, "failed"),
    record("0004", 0.8, "pruned"),
    record("0005", None, "failed"),
    record(BASELINE, 0.7),
]


@pytest.mark.parametrize("records", [LEDGER, LEDGER[::-1], random.Random(1).sample(LEDGER, len(LEDGER))])
def test_ranks_by_status_then_value_then_name_in_any_order(records):
    assert [each.trial for each in ranked(records)] == ["0001", "0002", "0000", "0004", "0003", "0005"]
    assert winner(records).trial == "0001"
    assert baseline(records).value == 0.7


def test_a_pruned_trial_wins_only_where_none_finished():
    pruned = [record("0000", 0.1, "pruned"), record("0001", 0.2, "pruned"), record("0002", 0.9, "failed")]
    assert winner(pruned).trial == "0001"
    assert winner([*pruned, record("0003", 0.01)]).trial == "0003"


def test_no_winner_without_a_score():
    assert winner([]) is None
    assert winner([record(BASELINE, 0.5), record("0000", 0.5, "failed"), record("0001", None, "pruned")]) is None
    assert baseline([record("0000", 0.5)]) is None
