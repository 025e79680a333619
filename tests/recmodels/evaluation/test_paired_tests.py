"""Paired tests against known answers."""

import numpy as np
import pytest
from scipy import stats

from recmodels.evaluation.paired_tests import Pair, PairedTest, mean_interval, pair_by_key, paired_tests

RNG = np.random.default_rng(0)
REFERENCE = RNG.random(200)


def pair(shift: float, noise: float = 0.1) -> Pair:
    return Pair(REFERENCE + shift + noise * RNG.standard_normal(200), REFERENCE)


def test_one_test_is_the_paired_t_test() -> None:
    ours = pair(0.02)
    found = paired_tests({"mg": ours})["mg"]
    test = stats.ttest_rel(ours.ours, ours.theirs)
    low, high = test.confidence_interval()
    assert found.p == pytest.approx(test.pvalue)
    assert (found.difference, found.low, found.high) == pytest.approx((np.mean(ours.ours - ours.theirs), low, high))
    assert found.n == 200


def test_pairing_finds_what_the_spread_of_users_hides() -> None:
    ours = pair(0.05)
    assert stats.ttest_ind(*ours).pvalue > 0.05
    assert paired_tests({"mg": ours})["mg"].survives


def test_holm_corrects_for_the_number_of_strategies() -> None:
    pairs = {"a": pair(0.05), "b": pair(0.015), "c": pair(0.0)}
    raw = {name: paired_tests({name: each})[name].p for name, each in pairs.items()}
    first, second, third = sorted(raw.values())
    expected = [3 * first, max(3 * first, 2 * second), max(3 * first, 2 * second, third)]
    assert sorted(each.p for each in paired_tests(pairs).values()) == pytest.approx(np.minimum(expected, 1))
    assert paired_tests({str(n): pair(0.0) for n in range(5)}).keys() == {"0", "1", "2", "3", "4"}


def test_no_spread_at_all() -> None:
    same, shifted = Pair(REFERENCE, REFERENCE), Pair(np.array([2.0, 2.0]), np.array([1.0, 1.0]))
    assert paired_tests({"same": same})["same"] == PairedTest(0.0, 0.0, 0.0, 1.0, 200)
    assert paired_tests({"shifted": shifted})["shifted"] == PairedTest(1.0, 1.0, 1.0, 0.0, 2)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_values_have_no_test(n: int) -> None:
    assert paired_tests({"mg": Pair(np.ones(n), np.zeros(n))}) == {}


def test_values_are_paired_by_their_keys() -> None:
    """Whatever their order, and without the keys that only one side has."""
    assert [each.tolist() for each in pair_by_key({4: 0.4, 2: 0.2, 9: 0.9}, {2: 1.2, 4: 1.4, 1: 1.1})] == [
        [0.2, 0.4],
        [1.2, 1.4],
    ]
    assert paired_tests({"none": pair_by_key({}, {1: 1.0})}) == {}


def test_the_interval_of_a_mean_is_students() -> None:
    """Of 1, 2, 3: 2 +- t(0.975, 2) / sqrt(3), with t = 4.30265."""
    assert mean_interval([1.0, 2.0, 3.0]) == pytest.approx((2 - 2.484138, 2 + 2.484138), abs=1e-6)
    assert mean_interval([0.5, 0.5]) == (0.5, 0.5)
    assert mean_interval([0.5]) is None
