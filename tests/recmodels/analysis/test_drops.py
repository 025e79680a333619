"""Summaries of drops against closed forms, and intervals against known cases."""

import numpy as np
import pytest

from recmodels.analysis.drops import bootstrap, curve_summary, drop, level_of_drop


def test_a_drop_is_relative_and_none_of_almost_nothing() -> None:
    assert drop(0.0327, 0.0272) == pytest.approx(16.82, abs=0.005)  # the paper's table 4, from its rounded values
    assert drop(0.2, 0.3) == pytest.approx(-50)
    assert drop(0.00009, 0.0) is None


def test_a_straight_line_has_its_slope_its_half_and_half_its_end_as_area() -> None:
    found = curve_summary([0, 0.05, 0.1, 0.2, 0.5, 1], [0, 4, 8, 16, 40, 80])
    assert found.slope == pytest.approx(80)
    assert found.half == pytest.approx(0.625)
    assert found.area == pytest.approx(40)


def test_the_area_ends_at_1_and_what_is_not_reached_is_none() -> None:
    found = curve_summary([0, 0.5, 2], [0, 10, 40])
    assert found.area == pytest.approx(0.5 * 5 + 0.5 * 15)  # at 1 the line is at 20
    assert found.half is None
    assert found.slope is None
    assert curve_summary([0, 0.5], [0, 60]).area is None
    assert curve_summary([0.4, 1], [55, 60]).half == 0.4


def test_equal_users_have_intervals_of_one_point() -> None:
    clean = np.full((2, 30), 0.4)
    found = bootstrap(clean, np.stack([np.full((1, 30), 0.3), np.full((1, 30), 0.36)]), seed=1)
    assert found.drops[:, 0] == pytest.approx(np.array([[25.0, 25.0], [10.0, 10.0]]))
    assert found.against[1, 0] == pytest.approx(np.array([-15.0, -15.0]))
    assert found.values[1, 0] == pytest.approx(np.array([0.06, 0.06]))


def test_intervals_of_a_difference_are_paired_over_the_users() -> None:
    """Two models whose users' values differ by a constant: the difference is certain, each value is not."""
    rng = np.random.default_rng(0)
    base = rng.random(200)
    clean = np.stack([base, base])
    under = np.stack([base - 0.1, base - 0.05])[:, None]
    found = bootstrap(clean, under, seed=1)
    assert found.values[1, 0] == pytest.approx(np.array([0.05, 0.05]))
    assert np.ptp(found.drops[0, 0]) > 1
    assert found.against[0].tolist() == [[0, 0]]


def test_the_interval_is_as_wide_as_theory_has_it() -> None:
    """1.96 standard errors of a mean to each side, for clean values that are all 1."""
    noise = np.random.default_rng(0).normal(0.5, 0.1, size=(1, 1, 400))
    low, high = bootstrap(np.ones((1, 400)), noise, seed=3).drops[0, 0]
    assert high - low == pytest.approx(2 * 1.96 * 100 * noise.std() / 20, rel=0.1)


def test_a_model_without_a_clean_value_has_no_interval_of_drops() -> None:
    found = bootstrap(np.stack([np.ones(20), np.zeros(20)]), np.zeros((2, 1, 20)), seed=1)
    assert found.drops[0, 0] == pytest.approx(np.array([100, 100]))
    assert np.isnan(found.drops[1]).all()
    assert np.isnan(found.against[1]).all()


@pytest.mark.parametrize("target", [5.0, 16.9, 60.0, 130.0])
def test_bisection_finds_the_level_of_a_drop(target: float) -> None:
    found = level_of_drop(lambda level: 100 * level**2, target)
    assert found is not None
    assert 100 * found**2 == pytest.approx(target, abs=0.1)


def test_a_drop_that_is_never_reached_has_no_level() -> None:
    assert level_of_drop(lambda level: min(level, 10.0)) is None
    assert level_of_drop(lambda level: None) is None


def test_a_metric_that_jumps_ends_the_bisection() -> None:
    found = level_of_drop(lambda level: 0.0 if level < 0.3 else 50.0)
    assert found == pytest.approx(0.3)
