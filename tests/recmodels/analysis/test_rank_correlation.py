"""Rank correlations against their textbook forms, and intervals that promise no more than few pairs can say."""

import math
from itertools import combinations

import numpy as np
import pytest

from recmodels.analysis.rank_correlation import rank_correlation

X = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]
Y = [10.0, 30.0, 20.0, 60.0, 40.0, 50.0]


def test_both_are_those_of_the_textbook() -> None:
    found = rank_correlation(X, Y)
    assert found is not None
    squared = sum((x - y / 10) ** 2 for x, y in zip(X, Y, strict=True))
    assert found.n == 6
    assert found.spearman.value == pytest.approx(1 - 6 * squared / (6 * 35))
    signs = [np.sign((X[i] - X[j]) * (Y[i] - Y[j])) for i, j in combinations(range(6), 2)]
    assert found.kendall.value == pytest.approx(sum(signs) / 15)


def test_intervals_are_those_of_fishers_z() -> None:
    """Bonett and Wright: the variance of z is (1 + rho^2 / 2) / (n - 3), and 0.437 / (n - 4) for Kendall's."""
    found = rank_correlation(X, Y)
    assert found is not None
    for rank, error in (
        (found.spearman, math.sqrt((1 + found.spearman.value**2 / 2) / 3)),
        (found.kendall, math.sqrt(0.437 / 2)),
    ):
        z = math.atanh(rank.value)
        assert rank.low == pytest.approx(math.tanh(z - 1.959964 * error))
        assert rank.high == pytest.approx(math.tanh(z + 1.959964 * error))
    assert found.p == pytest.approx(math.erfc(math.atanh(found.spearman.value) / error_of(found.spearman.value)))


def error_of(rho: float) -> float:
    return math.sqrt(2) * math.sqrt((1 + rho**2 / 2) / 3)


def test_the_test_and_the_interval_agree() -> None:
    """At chance 0 is in the interval exactly where p is at least 0.05."""
    rng = np.random.default_rng(0)
    both = set()
    for _ in range(200):
        x, noise = rng.normal(size=(2, 12))
        found = rank_correlation(x.tolist(), (0.5 * x + noise).tolist())
        assert found is not None
        assert found.p is not None
        assert found.spearman.low is not None
        assert found.spearman.high is not None
        inside = found.spearman.low <= 0 <= found.spearman.high
        assert inside == (found.p >= 0.05)
        both.add(inside)
    assert both == {True, False}


def test_one_interval_in_twenty_misses_where_there_is_no_relation() -> None:
    rng = np.random.default_rng(1)
    n, misses = 2000, 0
    for _ in range(n):
        x, y = rng.normal(size=(2, 15)).tolist()
        found = rank_correlation(x, y)
        assert found is not None
        assert found.p is not None
        misses += found.p < 0.05
    assert 0.03 < misses / n < 0.07


@pytest.mark.parametrize("sign", [1, -1])
def test_a_perfect_order_of_few_is_no_certainty(sign: int) -> None:
    few = rank_correlation(X[:4], [sign * x for x in X[:4]])
    assert few is not None
    assert few.spearman.value == few.kendall.value == pytest.approx(sign)
    assert few.spearman.low is not None
    assert few.spearman.high is not None
    assert few.spearman.low < 0 < few.spearman.high  # 2 of 24 orders of four things are perfect
    assert max(few.spearman.high, -few.spearman.low) == pytest.approx(1)
    many = rank_correlation([float(x) for x in range(20)], [sign * float(x) for x in range(20)])
    assert many is not None
    assert many.p is not None
    assert many.p < 1e-6


def test_means_that_were_subtracted_widen_the_intervals() -> None:
    found, wider = rank_correlation(X, Y), rank_correlation(X, Y, lost=1)
    assert found is not None
    assert wider is not None
    assert wider.spearman.value == found.spearman.value
    assert wider.spearman.low is not None
    assert found.spearman.low is not None
    assert wider.spearman.low < found.spearman.low
    assert rank_correlation(X, Y, lost=3).spearman.low is None  # type: ignore[union-attr]


def test_too_few_and_equal_values_have_none() -> None:
    assert rank_correlation(X[:2], Y[:2]) is None
    assert rank_correlation(X, [1.0] * 6) is None
    three = rank_correlation(X[:3], Y[:3])
    assert three is not None
    assert (three.n, three.spearman.low, three.kendall.high, three.p) == (3, None, None, None)
