"""The rules that choose a winner, on made curves with a known best trial."""

import math
from collections.abc import Sequence

import numpy as np
import pytest

from tests.benchmarks.choosing import (
    POOLED,
    RULES,
    Candidate,
    chosen,
    cut_offs,
    epochs_and_cut_offs,
    held,
    last_epochs,
    luckiest,
    posterior,
    unit_cube,
)
from tuning.space import Space

METRIC = "recall@20"


def candidate(curve: Sequence[float], others: float = 0.0, point: Sequence[float] = (0.5,)) -> Candidate:
    """A trial with this curve of the metric that decides, and one value of all others."""
    rows = {epoch: dict.fromkeys(POOLED, others) | {METRIC: value} for epoch, value in enumerate(curve, start=1)}
    return Candidate(rows, point)


STEADY = [0.1, 0.2, 0.3, 0.4, 0.42, 0.41, 0.42, 0.41]
SPIKE = [0.1, 0.2, 0.3, 0.3, 0.5, 0.3, 0.3, 0.3]


def test_the_luckiest_has_the_largest_value_of_all() -> None:
    assert luckiest([candidate(STEADY), candidate(SPIKE)], METRIC).tolist() == [0.42, 0.5]
    assert chosen(luckiest, [candidate(STEADY), candidate(SPIKE)], METRIC) == 1
    assert chosen(luckiest, [candidate(SPIKE), candidate(SPIKE)], METRIC) == 0


def test_the_epochs_around_the_best_one_see_through_a_spike() -> None:
    candidates = [candidate(STEADY), candidate(SPIKE)]
    assert last_epochs(candidates, METRIC) == pytest.approx([np.mean(STEADY[2:7]), np.mean(SPIKE[2:7])])
    assert chosen(last_epochs, candidates, METRIC) == 0


@pytest.mark.parametrize(
    ("curve", "mean"),
    [([0.9, 0.1, 0.2, 0.3, 0.5, 0.0], 0.4), ([0.0, 0.1, 0.2, 0.3, 0.5, 0.9], 0.4), ([0.2, 0.4], 0.3), ([0.25], 0.25)],
    ids=["at the begin", "at the end", "fewer", "one"],
)
def test_near_an_end_of_the_curve_as_many_epochs_count(curve: list[float], mean: float) -> None:
    assert last_epochs([candidate(curve)], METRIC) == pytest.approx([mean])


def test_epochs_that_were_not_evaluated_do_not_count() -> None:
    rows = {epoch: {METRIC: value} for epoch, value in {5: 0.1, 10: 0.4, 12: 0.1}.items()}
    assert last_epochs([Candidate(rows, ())], METRIC) == pytest.approx([0.2])


def test_other_cut_offs_outvote_one_lucky_metric() -> None:
    candidates = [
        candidate([0.1, 0.5], others=0.1),
        candidate([0.1, 0.4], others=0.3),
        candidate([0.1, 0.1], others=0.2),
    ]
    assert chosen(luckiest, candidates, METRIC) == 0
    assert chosen(cut_offs, candidates, METRIC) == 1
    # Seven metrics of 0.1, 0.3, 0.2 and one of 0.5, 0.4, 0.1, in standard deviations.
    own, rest = np.array([0.5, 0.4, 0.1]), np.array([0.1, 0.3, 0.2])
    scores = (7 * (rest - rest.mean()) / rest.std() + (own - own.mean()) / own.std()) / 8
    assert cut_offs(candidates, METRIC) == pytest.approx(scores)


def test_a_metric_that_is_the_same_for_all_decides_nothing() -> None:
    assert cut_offs([candidate([0.1]), candidate([0.3])], METRIC) == pytest.approx([-1 / 8, 1 / 8])
    assert epochs_and_cut_offs([candidate(STEADY), candidate(SPIKE)], METRIC) == pytest.approx([1 / 8, -1 / 8])


def test_the_posterior_trusts_neighbours_more_than_one_lucky_trial() -> None:
    """A smooth optimum at 0.3, noise everywhere, and by luck the largest value far from it."""
    rng = np.random.default_rng(0)
    points = np.linspace(0, 1, 30)
    values = 0.1 - 0.05 * (points - 0.3) ** 2 + rng.normal(0, 0.001, 30)
    values[27] = 0.11
    candidates = [candidate([value], point=[x]) for x, value in zip(points, values, strict=True)]
    assert chosen(luckiest, candidates, METRIC) == 27
    assert points[chosen(posterior, candidates, METRIC)] == pytest.approx(0.3, abs=0.2)


@pytest.mark.parametrize(
    "candidates",
    [
        [candidate([0.2])],
        [candidate([0.1]), candidate([0.2])],
        [candidate([0.2])] * 5,
        [candidate([0.1], point=()), candidate([0.2], point=()), candidate([0.3], point=())],
    ],
    ids=["one", "two", "equal", "no coordinate"],
)
def test_a_posterior_of_too_little_is_the_value_itself(candidates: list[Candidate]) -> None:
    assert posterior(candidates, METRIC).tolist() == luckiest(candidates, METRIC).tolist()


@pytest.mark.parametrize("rule", RULES)
def test_every_rule_takes_what_is_better_in_everything(rule: str) -> None:
    worse = [candidate([0.1, 0.1 + 0.01 * n], 0.01 * n, [n / 10]) for n in range(10)]
    assert chosen(RULES[rule], [*worse, candidate([0.5, 0.6], 0.5, [1.0])], METRIC) == 10


def test_what_a_rule_takes_is_judged_on_the_other_seeds() -> None:
    first, second = candidate([0.2]), candidate([0.1])
    searches = [[first, second], [first, second], [second, first]]
    values = np.array([[1.0, 10.0], [2.0, 20.0], [3.0, 30.0]])
    # On the first two seeds the first is taken, on the third the second.
    assert held(luckiest, searches, values, METRIC) == pytest.approx(((2 + 3) / 2 + (1 + 3) / 2 + (10 + 20) / 2) / 3)


def test_a_point_lies_in_the_unit_cube_as_its_space_scales_it() -> None:
    space = Space.from_data(
        {
            "strategy": {"alpha": {"type": "uniform", "low": 0.5, "high": 2.5}},
            "train": {
                "learning_rate": {"type": "loguniform", "low": 1e-4, "high": 1e-2},
                "optimizer": {"type": "categorical", "values": ["sgd", "adam"]},
            },
        }
    )
    found = unit_cube(space, {"alpha": 1.0, "learning_rate": 1e-3, "optimizer": "adam"})
    assert found == pytest.approx([0.25, 0.5, 0.0, math.sqrt(0.5)])
    other = unit_cube(space, {"alpha": 1.0, "learning_rate": 1e-3, "optimizer": "sgd"})
    assert math.dist(found, other) == pytest.approx(1.0)
