"""The choice among configurations on several seeds, with spreads whose intervals are known in closed form."""

import pytest

from tuning.experiments.choice import Candidate, Choice, choose

# With three seeds, t(0.975, 2) = 4.3027: an interval of differences d ± s/sqrt(3) * 4.3027 contains 0 if d < 2.484 s.
T = 4.302652729696142


def candidate(*values: float, passes: float = 10, epochs: float = 20) -> Candidate:
    return Candidate(dict(enumerate(values, start=1000)), passes, epochs)


def test_the_best_mean_is_chosen_where_the_seeds_tell_it_apart() -> None:
    best = candidate(0.50, 0.51, 0.52, passes=20)
    assert choose([candidate(0.40, 0.41, 0.42), best, candidate(0.30, 0.31, 0.32)]) == Choice(1, (1,))


@pytest.mark.parametrize(("share", "alike"), [(0.999, True), (1.001, False)])
def test_a_difference_within_its_interval_does_not_decide(share: float, alike: bool) -> None:
    """The differences are d - e, d, d + e, whose sample deviation is e: their interval ends at d - e T / sqrt(3)."""
    e = 0.01
    d = share * e * T / 3**0.5
    best = candidate(0.5, 0.5, 0.5, passes=20)
    cheaper = candidate(0.5 - d + e, 0.5 - d, 0.5 - d - e, passes=10)
    assert choose([best, cheaper]) == (Choice(1, (0, 1)) if alike else Choice(0, (0,)))


def test_of_equal_costs_the_fewer_epochs_and_then_the_larger_mean_are_taken() -> None:
    """The seeds differ by far more than the configurations."""
    one = candidate(0.5, 0.6, 0.4, epochs=30)
    two = candidate(0.6, 0.4, 0.49, epochs=20)
    three = candidate(0.4, 0.5, 0.58, epochs=20)
    assert choose([three, one, two]) == Choice(2, (1, 2, 0))
    dear = candidate(0.4, 0.5, 0.58, epochs=10, passes=11)
    assert choose([dear, one, two]) == Choice(2, (1, 2, 0))


def test_pairs_decide_and_not_the_spread_of_the_seeds() -> None:
    """Better by the same on each seed is told apart, however much the seeds differ from each other."""
    best, cheaper = candidate(0.30, 0.50, 0.70, passes=20), candidate(0.29, 0.49, 0.69, passes=10)
    assert choose([cheaper, best]) == Choice(1, (1,))


def test_one_seed_says_nothing_about_luck_so_that_the_value_decides() -> None:
    assert choose([candidate(0.50, passes=10), candidate(0.51, passes=20)]) == Choice(1, (1,))


def test_a_configuration_that_fails_on_a_seed_is_behind_those_that_do_not() -> None:
    fails = Candidate({1000: 0.9, 1001: 0.8}, 1, 1)
    sound = candidate(0.5, 0.6, 0.4)
    assert choose([fails, sound]) == Choice(1, (1,))
    assert choose([fails, Candidate({}, 1, 1)]) == Choice(0, (0,))
    assert choose([Candidate({}, 2, 2), Candidate({}, 1, 1)]) == Choice(0, (0,))
