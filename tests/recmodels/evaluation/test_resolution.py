"""What a split can tell apart, against simulations and closed forms."""

import numpy as np
import pytest
from scipy import stats

from recmodels.evaluation.resolution import (
    Differences,
    Spread,
    differences,
    expected_maximum,
    forecast,
    smallest_difference,
)

USERS = 3046


def hits(rng: np.random.Generator, levels: list[float], shared: float) -> list[np.ndarray]:
    """Hits of the same users by configurations of these levels; a share of the users is hit by all or by none."""
    luck = rng.random(USERS)
    own = rng.random((len(levels), USERS))
    alike = rng.random(USERS) < shared
    return [(np.where(alike, luck, each) < level).astype(np.float32) for each, level in zip(own, levels, strict=True)]


def test_a_forecast_is_the_binomial_error_at_twice_the_level_of_popularity() -> None:
    """The figure of tiktok: 3,046 users with one positive each; recall@20 of popularity .0627, so models of .125."""
    popularity = np.zeros(USERS)
    popularity[:191] = 1.0
    level = 2 * 191 / USERS
    found = forecast(popularity, correlation=0.5)
    assert found.users == USERS
    assert found.alone == pytest.approx(np.sqrt(level * (1 - level) / USERS), rel=1e-3)
    assert found.paired == pytest.approx(found.alone)  # 2 (1 - 0.5) = 1
    assert found.unpaired == pytest.approx(found.alone * 2**0.5)
    assert forecast(popularity, ratio=0.09 / popularity.mean()).alone == pytest.approx(0.0052, abs=5e-5)


@pytest.mark.parametrize("shared", [0.0, 0.8])
def test_a_forecast_is_what_simulated_configurations_do(shared: float) -> None:
    rng = np.random.default_rng(0)
    popularity = (rng.random(USERS) < 0.05).astype(np.float64)
    found = forecast(popularity, correlation=shared)
    means = np.array([[each.mean() for each in hits(rng, [0.1, 0.1], shared)] for _ in range(800)])
    assert means[:, 0].std() == pytest.approx(found.alone, rel=0.15)
    assert (means[:, 0] - means[:, 1]).std() == pytest.approx(found.paired, rel=0.15)


@pytest.mark.parametrize("hit", [0, 1, 300, 599, 600])
def test_a_forecast_is_never_free_of_doubt(hit: int) -> None:
    """Neither where popularity hits nobody nor where it hits everybody."""
    values = np.zeros(600)
    values[:hit] = 1.0
    assert 0 < forecast(values).paired < forecast(values).alone < 0.03


def test_a_difference_is_found_as_often_as_its_power_says() -> None:
    rng, error = np.random.default_rng(1), 0.003
    assert smallest_difference(error) == pytest.approx(1.96 * error, rel=1e-3)
    assert smallest_difference(error, 0.8) == pytest.approx(2.80 * error, rel=1e-3)
    for power in (0.5, 0.8):
        observed = rng.normal(smallest_difference(error, power), error, 20_000)
        assert np.mean(observed > smallest_difference(error)) == pytest.approx(power, abs=0.01)


def test_errors_are_those_of_the_paired_test() -> None:
    rng = np.random.default_rng(2)
    values = [rng.random(5000) + shift for shift in (0.0, 0.01, 0.02)]  # more users than a block
    found = differences([each.astype(np.float32) for each in values])
    assert found.means == pytest.approx([each.mean() for each in values])
    for one in range(3):
        for other in range(3):
            expected = stats.sem(values[one] - values[other])
            assert found.errors[one, other] == pytest.approx(expected, rel=1e-5, abs=1e-12)


def test_of_equally_good_configurations_luck_is_the_whole_spread() -> None:
    rng = np.random.default_rng(3)
    spreads = [differences(hits(rng, [0.1] * 10, shared=0.6)).spread for _ in range(40)]
    assert np.mean([each.observed**2 for each in spreads]) == pytest.approx(
        np.mean([each.luck**2 for each in spreads]), rel=0.2
    )
    # What all have in common is no luck of any: less than the error of one alone.
    alone = np.sqrt(0.1 * 0.9 / USERS)
    assert np.mean([each.luck for each in spreads]) == pytest.approx(alone * 0.4**0.5, rel=0.05)


def test_the_true_spread_is_found_behind_the_luck() -> None:
    rng = np.random.default_rng(4)
    found = []
    for _ in range(15):
        spread = differences(hits(rng, list(rng.normal(0.1, 0.006, 16)), shared=0.6)).spread
        found.append(spread.observed**2 - spread.luck**2)
    assert np.sqrt(np.mean(found)) == pytest.approx(0.006, rel=0.2)


def test_the_best_is_among_those_that_may_be_it() -> None:
    """With 95 %, whatever their number; and what is far behind is not."""
    rng, held = np.random.default_rng(5), 0
    levels = [0.1, *[0.0999] * 8, 0.05]
    for _ in range(200):
        may_be = differences(hits(rng, levels, shared=0.5)).may_be_best()
        assert may_be.any()
        assert not may_be[-1]
        held += may_be[0]
    assert held >= 190


def test_two_configurations_are_told_apart_by_one_one_sided_test() -> None:
    needed = stats.norm.isf(0.05) * 0.003
    for difference, both in ((0.99 * needed, True), (1.01 * needed, False)):
        found = Differences(np.array([0.1, 0.1 + difference]), np.array([[0, 0.003], [0.003, 0]]), USERS)
        assert found.may_be_best().tolist() == [both, True]


def test_the_same_configuration_twice_is_not_told_apart() -> None:
    values = np.random.default_rng(6).random(100)
    found = differences([values, values])
    assert found.may_be_best().all()
    assert (found.spread.observed, found.spread.luck) == (0.0, 0.0)
    assert (found.spread.reliability, found.spread.flattery, found.spread.gain(10)) == (0.0, 0.0, 0.0)


def test_what_selection_gains_and_how_much_it_flatters() -> None:
    """Of n configurations the one with the best observed value, many times over."""
    rng, true, luck = np.random.default_rng(7), 0.002, 0.003
    spread = Spread(24, float(np.hypot(true, luck)), luck)
    assert spread.true == pytest.approx(true)
    assert spread.reliability == pytest.approx(4 / 13)
    for n in (1, 5, 24):
        quality = rng.normal(0, true, (40_000, n))
        observed = quality + rng.normal(0, luck, quality.shape)
        chosen = observed.argmax(1)[:, None]
        assert np.take_along_axis(quality, chosen, 1).mean() == pytest.approx(spread.gain(n), abs=6e-5)
    flattery = np.take_along_axis(observed - quality, chosen, 1).mean()
    assert flattery == pytest.approx(spread.flattery, rel=0.02)


def test_a_spread_below_its_luck_is_all_luck() -> None:
    spread = Spread(10, 0.001, 0.002)
    assert (spread.true, spread.reliability, spread.gain(100)) == (0.0, 0.0, 0.0)
    assert spread.flattery == pytest.approx(0.001 * expected_maximum(10))
    assert spread.enough(1e-6) == 1


@pytest.mark.parametrize("least", [0.002, 0.0009, 1e-5])
def test_more_than_enough_configurations_gain_less_than_asked(least: float) -> None:
    spread = Spread(24, 0.0028, 0.0021)

    def ten_more(n: int) -> float:
        return spread.gain(n + 10) - spread.gain(n)

    enough = spread.enough(least)
    assert ten_more(enough) < least
    assert enough == 1 or ten_more(enough - 1) >= least


@pytest.mark.parametrize(("n", "expected"), [(1, 0.0), (2, np.pi**-0.5), (3, 1.5 * np.pi**-0.5), (100, 2.50759)])
def test_the_mean_of_the_largest_normal_value(n: int, expected: float) -> None:
    """Teichroew, Annals of Mathematical Statistics 27, 1956, table 1."""
    assert expected_maximum(n) == pytest.approx(expected, abs=1e-5)
    # Of very many, by their median's quantile.
    assert expected_maximum(10**6) == pytest.approx(4.86, abs=0.02)
