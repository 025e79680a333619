"""Which trials stop early; no cluster, the trials are made."""

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import pytest
from ray.tune.experiment import Trial
from ray.tune.schedulers import TrialScheduler

from tests.tuning.factories import made_row, made_spec, made_trial
from tuning.execution.ray_tune.pruning import Pruning, scheduler
from tuning.records.folder import SearchFolder
from tuning.records.trials import BASELINE

EPOCHS = 16
Curves = Mapping[str, Sequence[float]]


@dataclass(eq=False)
class FakeTrial:
    """What a scheduler may read of Ray's trial; its id is not the search's name."""

    name: str
    status: str = Trial.RUNNING
    trial_id: str = field(default_factory=map("ray-{}".format, count()).__next__)

    @property
    def config(self) -> dict[str, str]:
        return {"trial": self.name, "role": "baseline" if self.name == BASELINE else "search"}


class FakeController:
    """A search in which another trial always waits for its turn."""

    def get_live_trials(self) -> list[FakeTrial]:
        return [FakeTrial("9999", Trial.PENDING)]


def pruning(name: str = "asha", grace: float = 0.25, reduction: float = 2.0) -> Any:
    spec = made_spec(scheduler={"name": name, "grace": grace, "reduction": reduction}, training={"max_epochs": EPOCHS})
    return Pruning(scheduler(spec), EPOCHS)


def race(
    pruning: Any, curves: Curves, order: Iterable[str] = (), folder: SearchFolder | None = None, every: int = 1
) -> list[str]:
    """Let trials report, an epoch at a time in the given order, else one trial after the other.

    Returns the names in the order in which the trials ended. What they reported goes into `folder` too. `every`: epochs
    between two evaluations.
    """
    controller, ended = FakeController(), []
    trials = {name: FakeTrial(name) for name in curves}
    epochs = dict.fromkeys(curves, 0)
    for trial in trials.values():
        pruning.on_trial_add(controller, trial)
    for turn, name in enumerate(order or [name for name, curve in curves.items() for _ in curve]):
        if name in ended:
            continue
        epochs[name] += 1
        evaluated = [epoch for epoch in range(1, epochs[name] + 1) if epoch % every == 0 or epoch == EPOCHS]
        best = max((curves[name][epoch - 1] for epoch in evaluated), default=None)
        valid = {"valid": {}} if epochs[name] not in evaluated else {}
        row = made_row(name, epochs[name], best=best, time=float(turn), **valid)
        if folder:
            folder.trial(name).append_epoch(row)
        result = {"epoch": row.epoch, "evaluated": row.evaluated, "best": row.best}
        decision = pruning.on_trial_result(controller, trials[name], result)
        assert decision in (TrialScheduler.CONTINUE, TrialScheduler.STOP)
        if decision == TrialScheduler.STOP or epochs[name] == len(curves[name]):
            ended.append(name)
            pruning.on_trial_complete(controller, trials[name], result)
    assert len(ended) == len(curves)
    return ended


def remember(pruning: Any, folder: SearchFolder, names: Iterable[str]) -> None:
    """Show the trials of an earlier start to a new one."""
    pruning.remember([folder.trial(name) for name in names])


def flat(*values: float, first: int = 0) -> dict[str, list[float]]:
    """Trials 0000, 0001, ... with one value each; a mean of 0.75s is 0.75, one of 0.9s is not quite 0.9."""
    return {f"{first + number:04}": [value] * EPOCHS for number, value in enumerate(values)}


def made_curves(count: int, seed: int = 0) -> dict[str, list[float]]:
    """Rising curves that cross each other."""
    rng = random.Random(seed)
    shapes = [(rng.random(), rng.random()) for _ in range(count)]
    return {
        f"{number:04}": [start + (end - start) * epoch / EPOCHS for epoch in range(EPOCHS)]
        for number, (start, end) in enumerate(shapes)
    }


@pytest.mark.parametrize(
    ("name", "stopped"),
    [
        ("asha", {"0001": 4, "0002": 8, "0003": 4, "0004": 4}),  # against the median of the rung so far
        ("median", {"0003": 4, "0004": 4}),  # from the fourth trial on
        ("none", {}),
    ],
)
def test_weak_trials_stop_where_the_grace_ends(name: str, stopped: dict[str, int]) -> None:
    made = pruning(name)
    race(made, flat(0.9, 0.5, 0.8, 0.1, 0.2))
    assert made.stopped == stopped


def test_hyperband_stops_some_weak_trials_and_no_strong_one() -> None:
    np.random.seed(0)  # it draws each trial's bracket
    made = pruning("hyperband")
    race(made, flat(*[0.9] * 9, *[0.1] * 9))
    assert {f"{number:04}" for number in range(9, 18)} > made.stopped.keys() > set()
    assert set(made.stopped.values()) <= {4, 8}


@pytest.mark.parametrize("name", ["asha", "hyperband", "median"])
def test_grace_spares_every_trial_until_then(name: str) -> None:
    made = pruning(name, grace=0.5)
    race(made, flat(*[0.75] * 5, *[0.125] * 5))
    assert set(made.stopped.values()) <= {8}


@pytest.mark.parametrize("name", ["asha", "hyperband", "median"])
def test_nothing_stops_at_the_last_epoch(name: str) -> None:
    made = pruning(name, grace=1.0)
    race(made, flat(*[0.75] * 5, *[0.125] * 5))
    assert made.stopped == {}


@pytest.mark.parametrize(("reduction", "stopped"), [(2.0, ["0001"]), (4.0, ["0001", "0002"])])
def test_the_reduction_says_how_many_go_on(reduction: float, stopped: list[str]) -> None:
    """0.3 is above the median of 0.4 and 0.1, and below their upper quartile."""
    made = pruning(reduction=reduction)
    race(made, flat(0.4, 0.1, 0.3))
    assert [trial for trial, epoch in made.stopped.items() if epoch == 4] == stopped


@pytest.mark.parametrize("name", ["asha", "hyperband", "median", "none"])
def test_the_baseline_is_spared_and_is_no_rival(name: str) -> None:
    made = pruning(name)
    race(made, flat(0.75, 0.75, 0.75, 0.75) | {BASELINE: [0.125] * EPOCHS})
    assert made.stopped == {}
    made = pruning(name)
    race(made, {BASELINE: [0.75] * EPOCHS} | flat(0.125, 0.125, 0.125, 0.125))
    assert made.stopped == {}


@pytest.mark.parametrize("name", ["asha", "hyperband", "median", "none"])
def test_trials_that_fail_or_vanish_disturb_nobody(name: str) -> None:
    made = pruning(name)
    race(made, flat(0.75, 0.75, 0.75))
    for trial in (FakeTrial("0006"), FakeTrial(BASELINE)):
        made.on_trial_add(FakeController(), trial)
        made.on_trial_complete(FakeController(), trial, {})  # its loss was infinite before the first report
    for trial in (FakeTrial("0007"), FakeTrial(BASELINE)):
        made.on_trial_add(FakeController(), trial)
        made.on_trial_result(FakeController(), trial, {"epoch": 1, "evaluated": True, "best": 0.1})
        made.on_trial_error(FakeController(), trial)
        made.on_trial_remove(FakeController(), trial)
    race(made, flat(0.75, first=8))
    assert made.stopped == {}


def test_ray_may_name_metric_and_mode() -> None:
    assert pruning().set_search_properties("best", "max")


@pytest.mark.parametrize(
    ("every", "stopped"),
    [
        (3, {"0001": 6, "0002": 9, "0003": 6, "0004": 6}),
        (5, {"0001": 5, "0002": 10, "0003": 5, "0004": 5}),
        (7, {"0001": 7, "0002": 14, "0003": 7, "0004": 7}),
        (20, {}),
    ],
)
def test_trials_stop_at_the_first_evaluation_at_or_after_a_rung(every: int, stopped: dict[str, int]) -> None:
    """The rungs are 4 and 8; what lies between two evaluations is nobody's value."""
    made = pruning()
    race(made, flat(0.9, 0.5, 0.8, 0.1, 0.2), every=every)
    assert made.stopped == stopped


@pytest.mark.parametrize(
    ("name", "stopped"),
    [("asha", {"0002": 6, "0003": 6}), ("hyperband", None), ("median", {}), ("none", {})],
)
def test_a_trial_that_fails_between_two_evaluations_counts_as_far_as_it_was_evaluated(
    tmp_path: Any, name: str, stopped: dict[str, int] | None
) -> None:
    """0000 after the evaluation in epoch 6, which the first rung compares with; 0001 before its first evaluation."""
    made, resumed, folder = pruning(name), pruning(name), SearchFolder(tmp_path)
    for trial in (broken := {"0000": [0.9] * 7, "0001": [0.9] * 2}):
        made_trial(folder, trial, epochs=0)
    race(made, broken, folder=folder, every=3)
    remember(resumed, folder, broken)
    for each in (made, resumed):
        np.random.seed(0)  # hyperband draws each trial's bracket
        race(each, flat(0.75, 0.625, 0.875, first=2), every=3)
    assert made.stopped == resumed.stopped
    assert stopped in (None, made.stopped)


@pytest.mark.parametrize("every", [1, 3])
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["asha", "median", "none"])
def test_a_resumed_search_stops_the_trials_that_an_unbroken_one_stops(
    tmp_path: Any, name: str, seed: int, every: int
) -> None:
    curves = made_curves(12, seed)
    folder = SearchFolder(tmp_path)
    unbroken = pruning(name)
    for trial in curves:
        made_trial(folder, trial, epochs=0)
    race(unbroken, curves, folder=folder, every=every)
    assert len(unbroken.stopped) > 3 or name == "none"

    resumed = pruning(name)
    remember(resumed, folder, list(curves)[:7])
    assert resumed.stopped == {}  # an earlier start recorded those
    race(resumed, dict(list(curves.items())[7:]), every=every)
    assert resumed.stopped == {trial: epoch for trial, epoch in unbroken.stopped.items() if trial >= "0007"}


def test_a_resumed_search_remembers_trials_that_ran_side_by_side(tmp_path: Any) -> None:
    """0000 was ahead until epoch 8 and so was not stopped; then 0001 overtook it, and ended first."""
    curves = {"0000": [0.2] * 5 + [0.5] * 11, "0001": [0.9] * EPOCHS}
    later = {"0002": [0.8] * EPOCHS}
    order = ["0000"] * 8 + ["0001"] * EPOCHS + ["0000"] * 8
    folder = SearchFolder(tmp_path)
    unbroken, resumed = pruning(), pruning()
    for trial in curves:
        made_trial(folder, trial, epochs=0)
    ended = race(unbroken, curves, order, folder)
    assert ended == ["0001", "0000"]
    assert unbroken.stopped == {}
    remember(resumed, folder, ended)
    race(unbroken, later)
    race(resumed, later)
    assert unbroken.stopped == resumed.stopped == {}


@pytest.mark.parametrize("name", ["asha", "hyperband", "median", "none"])
def test_a_trial_without_epochs_is_remembered_as_nothing(tmp_path: Any, name: str) -> None:
    folder = SearchFolder(tmp_path)
    made_trial(folder, "0000", epochs=0)
    made = pruning(name)
    remember(made, folder, ["0000"])
    race(made, flat(0.1, first=1))
    assert made.stopped == {}


@pytest.mark.parametrize("name", ["asha", "hyperband", "median"])
def test_a_trial_that_lost_its_worker_is_judged_as_the_unbroken_one(name: str) -> None:
    """It goes on as another trial of Ray's, and reports some epochs again: they count once."""
    random.seed(3)
    curves = {f"{number:04d}": [random.random() * (9 - number) for _ in range(EPOCHS)] for number in range(8)}
    controller = FakeController()

    def stopped(losses: bool) -> dict[str, int]:
        random.seed(5)
        np.random.seed(5)
        made = pruning(name)
        for trial, curve in curves.items():
            made.on_trial_add(controller, worker := FakeTrial(trial))
            for epoch in range(1, EPOCHS + 1):
                if losses and epoch in (6, 9):
                    made.on_trial_error(controller, worker)
                    made.on_trial_add(controller, worker := FakeTrial(trial))
                    for again in range(epoch - 3, epoch):
                        result = {"epoch": again, "evaluated": True, "best": max(curve[:again])}
                        assert made.on_trial_result(controller, worker, result) == TrialScheduler.CONTINUE
                result = {"epoch": epoch, "evaluated": True, "best": max(curve[:epoch])}
                if made.on_trial_result(controller, worker, result) == TrialScheduler.STOP or epoch == EPOCHS:
                    made.on_trial_complete(controller, worker, result)
                    break
        return dict(made.stopped)

    assert stopped(losses=True) == stopped(losses=False) != {}
