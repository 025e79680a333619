"""Fronts against their definition, and the knee and the spread of fronts that one can draw."""

import random
from itertools import product

import pytest

from tuning.objectives import front, knee, spread_over


def slow_front(vectors: list[tuple[float, ...]]) -> list[int]:
    """A vector is on the front if each other one is worse somewhere, or the same."""
    found = []
    for place, own in enumerate(vectors):
        rivals = [other for other in vectors if other != own]
        if all(min(b - a for a, b in zip(own, other, strict=True)) < 0 for other in rivals):
            found.append(place)
    return found


@pytest.mark.parametrize("size", [1, 2, 3])
def test_the_front_is_what_nothing_dominates(size: int) -> None:
    draw = random.Random(size)
    for _ in range(200):
        # Whole numbers, of which many are equal.
        vectors = [tuple(float(draw.randint(0, 4)) for _ in range(size)) for _ in range(draw.randint(1, 12))]
        assert front(vectors) == slow_front(vectors)


def test_equal_vectors_are_on_the_front_together_and_a_tie_in_one_objective_is_decided_by_the_others() -> None:
    assert front([(1.0, 2.0), (1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (2.0, 0.5)]) == [0, 1, 2]
    assert front([(3.0, 3.0), (3.0, 3.0)]) == [0, 1]
    assert front([]) == []


def test_the_knee_is_nearest_to_the_best_of_all_whatever_the_units() -> None:
    points = [(0.0, 10.0), (0.7, 9.0), (0.9, 4.0), (1.0, 0.0)]
    # Scaled to 0..1: (0, 1), (0.7, 0.9), (0.9, 0.4), (1, 0), at 1, 0.316, 0.608 and 1 from (1, 1).
    assert knee(points) == 1
    for a, b in product((1e-6, 1.0, 3e8), repeat=2):
        assert knee([(a * x + 5, b * y - 7) for x, y in points]) == 1


def test_of_two_points_the_knee_is_the_better_one_in_the_first_objective() -> None:
    for first, second in [(0.1, 0.7), (1 / 3, 0.1), (0.12345, 0.99)]:
        assert knee([(first, second), (second, first)]) == (1 if second > first else 0)
    assert knee([(0.5, 0.5), (0.5, 0.5)]) == 0
    assert knee([(7.0, 2.0)]) == 0


def test_what_is_spread_over_a_front_has_its_ends_and_begins_where_it_is_told() -> None:
    line = [(float(x), float(10 - x)) for x in range(11)]
    assert spread_over(line, 3, begin=5) == [5, 0, 10]
    assert spread_over(line, 3, begin=0) == [0, 10, 5]
    assert spread_over(line, 1, begin=4) == [4]
    assert spread_over(line, 0, begin=4) == []
    assert sorted(spread_over(line, 99, begin=2)) == list(range(11))
