"""What a search runs next, and how much of it is left."""

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from tests.tuning.factories import end_trial, made_spec, made_trial
from tuning.proposals.queue import GP_LIMIT, choose_sampler, make_queue, planned_trials, remaining
from tuning.proposals.study import SAMPLERS
from tuning.records.folder import SearchFolder
from tuning.records.trials import TrialPlan
from tuning.space import Space

TRAIN = {"optimizer": "adam", "learning_rate": 0.001}
SIX = Space.from_data(
    {"strategy": {"a": {"type": "categorical", "values": [1, 2, 3]}, "b": {"type": "int", "low": 0, "high": 1}}}
)
MG = Space.from_data({"strategy": {"alpha": {"type": "uniform", "low": 0.5, "high": 1.5}}, "train": TRAIN})
EMPTY = Space.from_data({"strategy": {"alpha": 1.0}, "train": TRAIN})


class Points:
    """Proposes alpha = 0.5, 0.6, ...; has no more after `last`."""

    def __init__(self, last: int = 100):
        self.last, self.asked = last, []

    def ask(self, name: str, index: int) -> dict[str, Any] | None:
        self.asked.append(name)
        return {"alpha": 0.5 + index / 10} if index < self.last else None


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    return SearchFolder(tmp_path)


def start(folder: SearchFolder, queue: Iterator[TrialPlan], n: int) -> list[TrialPlan]:
    """Write the next `n` plans down, as a search does when it starts their trials."""
    plans = list(islice(queue, n))
    for plan in plans:
        folder.trial(plan.trial).write_plan(plan)
    return plans


@pytest.mark.parametrize(
    ("space", "trials", "sampler"),
    [(SIX, 6, "grid"), (SIX, 5, "gp"), (MG, GP_LIMIT, "gp"), (MG, GP_LIMIT + 1, "tpe"), (EMPTY, 1, "grid")],
)
def test_auto_covers_a_small_space_and_else_goes_by_the_budget(space: Space, trials: int, sampler: str) -> None:
    assert choose_sampler(space, trials) == sampler


@pytest.mark.parametrize("sampler", sorted(SAMPLERS))
def test_a_space_of_one_point_has_one_trial_with_any_sampler(sampler: str) -> None:
    assert choose_sampler(EMPTY, 9, sampler) == "grid"
    assert choose_sampler(SIX, 9, sampler) == choose_sampler(MG, 9, sampler) == sampler


def test_interrupted_trials_come_first_then_proposals(folder: SearchFolder) -> None:
    for name in ("0000", "0001"):
        made_trial(folder, name, epochs=1)
    end_trial(folder, "0000")
    spec = made_spec(space=MG, budget={"trials": 4})
    assert remaining(spec, folder) == 3
    plans = start(folder, make_queue(spec, folder, Points()), 10)
    assert [(plan.trial, plan.role) for plan in plans] == [
        ("0001", "search"),
        ("0002", "search"),
        ("0003", "search"),
    ]
    assert plans[0] == folder.trial("0001").plan()
    assert (plans[1].point, plans[1].params["strategy"]) == ({"alpha": 0.7}, {"alpha": 0.7})
    assert remaining(spec, folder) == 3  # all are started, none of them has ended
    for plan in plans:
        end_trial(folder, plan.trial)
    assert remaining(spec, folder) == 0
    assert list(make_queue(spec, folder, Points())) == []


def test_a_point_is_proposed_when_a_trial_can_start_and_no_sooner(folder: SearchFolder) -> None:
    points = Points()
    queue = make_queue(made_spec(space=MG, budget={"trials": 4}), folder, points)
    start(folder, queue, 2)
    assert points.asked == ["0000", "0001"]


def test_a_proposer_without_another_point_ends_the_queue(folder: SearchFolder) -> None:
    assert len(list(make_queue(made_spec(space=MG), folder, Points(last=3)))) == 3


def test_a_confirmation_runs_one_point_on_seed_after_seed(folder: SearchFolder) -> None:
    spec = made_spec(space=EMPTY, role="confirmation", budget={"trials": 3}, training={"seed": 10})
    assert remaining(spec, folder) == 3
    first = start(folder, make_queue(spec, folder, Points()), 1)
    end_trial(folder, "0000")
    plans = first + start(folder, make_queue(spec, folder, Points()), 5)
    assert [(plan.trial, plan.role, plan.seed) for plan in plans] == [
        ("0000", "confirmation", 10),
        ("0001", "confirmation", 11),
        ("0002", "confirmation", 12),
    ]
    assert {plan.params["strategy"]["alpha"] for plan in plans} == {1.0}


def test_a_confirmation_runs_all_its_points_on_a_seed_before_the_next(folder: SearchFolder) -> None:
    """Killed at any moment, its configurations have been trained on the same seeds, but for the last of these."""
    points = [{"alpha": 0.5}, {"alpha": 1.5}, {"alpha": 1.0}]
    spec = made_spec(space=MG, role="confirmation", confirmed=points, budget={"trials": 6}, training={"seed": 10})
    first = start(folder, make_queue(spec, folder, Points()), 4)
    for plan in first[:3]:
        end_trial(folder, plan.trial)
    again = start(folder, make_queue(spec, folder, Points()), 9)
    assert [plan.trial for plan in again] == ["0003", "0004", "0005"]
    plans = first[:3] + again
    assert [(plan.seed, plan.point) for plan in plans] == [(seed, point) for seed in (10, 11) for point in points]
    assert [plan.params["strategy"] for plan in plans] == points * 2


def test_a_grid_has_no_more_trials_than_points() -> None:
    assert planned_trials(made_spec(space=SIX, budget={"trials": 40})) == 6
    assert planned_trials(made_spec(space=SIX, budget={"trials": 4}, sampler="grid")) == 4
    assert planned_trials(made_spec(space=MG, budget={"trials": 40})) == 40
    assert planned_trials(made_spec(space=EMPTY, budget={"trials": 40}, sampler="tpe")) == 1
