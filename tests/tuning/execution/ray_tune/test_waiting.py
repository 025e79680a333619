"""What is said while no trial runs on a cluster."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
import ray
from ray.tune.experiment import Trial

from tuning.execution.ray_tune import waiting
from tuning.execution.ray_tune.placement import Node, TrialResources
from tuning.execution.ray_tune.waiting import AGAIN, PATIENCE, Waiting

PENDING, RUNNING = SimpleNamespace(status=Trial.PENDING), SimpleNamespace(status=Trial.RUNNING)


class Clock:
    """Time and nodes that a test sets."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.now, self.nodes = 1000.0, [Node(4, 0)]
        monkeypatch.setattr(time, "monotonic", lambda: self.now)
        monkeypatch.setattr(waiting, "alive_nodes", lambda: self.nodes)
        monkeypatch.setattr(ray, "available_resources", lambda: {"CPU": 1.0})


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


def step(callback: Waiting, *trials: Any) -> None:
    callback.on_step_begin(iteration=0, trials=list(trials))


def test_a_node_that_is_not_there_is_asked_for_at_once_and_then_now_and_again(clock: Clock) -> None:
    said: list[str] = []
    callback = Waiting(TrialResources(2, 1, 1, grows=True), said.append)
    step(callback)
    assert said == []
    line = "waiting for a node with 2 CPUs and 1 GPU free: the only node has 4 CPUs and 0 GPUs"
    for moment, times in ((0.0, 1), (AGAIN - 1, 1), (AGAIN, 2), (AGAIN + 60, 2)):
        clock.now = 1000 + moment
        step(callback, PENDING)
        assert said == [line] * times


def test_a_cluster_that_others_use_is_named_after_a_while(clock: Clock) -> None:
    said: list[str] = []
    callback = Waiting(TrialResources(2, 0, 1, grows=True), said.append)
    clock.now += PATIENCE - 1
    step(callback, PENDING)
    assert said == []
    clock.now += 1
    step(callback, PENDING)
    free = "free on all nodes together: 1 CPU and 0 GPUs"
    assert said == [f"waiting for a node with 2 CPUs free: no trial has run for {PATIENCE:.0f} s, {free}"]


def test_nothing_is_said_while_a_trial_runs_or_none_waits(clock: Clock) -> None:
    said: list[str] = []
    callback = Waiting(TrialResources(2, 0, 2, grows=True), said.append)
    for trials in ([PENDING, RUNNING], [], [SimpleNamespace(status=Trial.TERMINATED)]):
        clock.now += AGAIN
        step(callback, *trials)
    assert said == []
    clock.nodes = []
    step(callback, PENDING, RUNNING)
    clock.now += PATIENCE
    step(callback, PENDING)
    assert said == ["waiting for a node with 2 CPUs free: no node is there"]
