"""Rules that hold interactions out: how many of a user's rows, and which."""

from typing import Any

import numpy as np
import pytest

from recmodels.data.splits import split, split_as_mmrec
from recmodels.errors import UserError


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, (1, 0, 0)),
        (2, (2, 0, 0)),
        (3, (1, 1, 1)),
        (9, (7, 1, 1)),
        (10, (8, 1, 1)),
        (15, (12, 1, 2)),
        (20, (16, 2, 2)),
        (99, (80, 9, 10)),
    ],
)
def test_the_benchmarks_counts_of_a_user(n: int, expected: tuple[int, int, int]) -> None:
    users = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [n, 5, 40]))
    labels = split(users, None, "benchmark", seed=1)
    assert tuple(np.bincount(labels[users == 0], minlength=3)) == expected
    assert tuple(np.bincount(labels[users == 2])) == (32, 4, 4)


def test_the_seed_decides_who_is_held_out() -> None:
    users = np.repeat(np.arange(20), 10)
    first, again, other = (split(users, None, "benchmark", seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()
    held = np.flatnonzero(first[:100]) % 10
    assert len(set(held.tolist())) > 5  # not always the same place


def test_leave_last_out_takes_the_latest() -> None:
    users = np.array([0, 1, 0, 0, 1, 1, 0, 2, 2])
    times = np.array([4, 9, 8, 6, 7, 9, 5, 1, 2])
    assert split(users, times, "leave-last-out", 0).tolist() == [0, 1, 2, 1, 0, 2, 0, 0, 0]


def test_the_split_by_time_keeps_equal_times_together() -> None:
    times = np.array([7, 1, 2, 3, 4, 5, 6, 9, 8, 7])
    assert split(np.zeros(10, dtype=np.int64), times, "time", 0).tolist() == [0, 0, 0, 0, 0, 0, 0, 2, 1, 0]
    times = np.random.default_rng(0).permutation(1000) // 3
    labels = split(np.zeros(1000, dtype=np.int64), times, "time", 0)
    assert times[labels == 0].max() < times[labels == 1].min() <= times[labels == 1].max() < times[labels == 2].min()
    assert np.abs(np.bincount(labels) - [800, 100, 100]).max() <= 3


@pytest.mark.parametrize(
    ("rule", "times", "message"),
    [
        ("random", None, "`rule` random: expected one of benchmark, leave-last-out, time"),
        ("time", None, "`rule` time: the interactions have no times, expected them or `rule` benchmark"),
        ("time", np.ones(4), "`rule` time: no row of the 4 is for training"),
        ("leave-last-out", np.ones(4), "`rule` leave-last-out: no row of the 4 is for validation"),
    ],
)
def test_a_split_that_cannot_be(rule: str, times: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split(np.array([0, 0, 1, 1]), times, rule, 0)


def test_a_split_of_users_without_training_rows_is_refused() -> None:
    """Rows 8 and 9 are for validation and test; the user of row 8 has no other row."""
    users = np.array([0] * 8 + [1, 0])
    with pytest.raises(UserError, match="every validation row is of a user without a training row, expected another"):
        split(users, np.arange(10), "time", 0)


def test_the_rule_of_mmrec_takes_the_highest_draws() -> None:
    """15 rows give one to validation and two to test, 4 give one each, 2 none."""
    users, draws = np.repeat([0, 1, 2], [15, 4, 2]), np.arange(21)
    none = [0] * 12
    assert split_as_mmrec(users, draws).tolist() == [*none, 1, 2, 2, 0, 0, 1, 2, 0, 0]
    assert split_as_mmrec(users, -draws, (1, 2)).tolist() == [1, 2, 2, *none, 1, 2, 0, 0, 0, 0]
    held_out = {1: 2, 3: 2, 6: 1, 15: 2, 17: 1}  # row -> label; folders that were prepared keep their splits
    assert split(users, None, "benchmark", seed=1).tolist() == [held_out.get(row, 0) for row in range(21)]
