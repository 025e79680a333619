"""Says what trials wait for on a cluster, where a node that they need may still come."""

import time
from typing import Any

import ray
from ray import tune
from ray.tune.experiment import Trial

from tuning.execution.ray_tune.cluster import Say, alive_nodes
from tuning.execution.ray_tune.placement import TrialResources, count, largest, trials_that_fit
from tuning.execution.ray_tune.searcher import NotPickled

PATIENCE = 60.0
"""Seconds without a running trial before something is said; workers need a while to start."""
AGAIN = 600.0
"""Seconds until it is said again."""


class Waiting(NotPickled, tune.Callback):
    """Says what is waited for: at once if no node could run a trial, else when none has run for a while."""

    def __init__(self, resources: TrialResources, say: Say):
        self.resources, self.say = resources, say
        self._since = self._next = time.monotonic()
        if self._possible():
            self._next += PATIENCE

    def on_step_begin(self, iteration: int, trials: list[Trial], **info: Any) -> None:
        now = time.monotonic()
        states = {trial.status for trial in trials}
        if Trial.RUNNING in states:
            self._since, self._next = now, now + PATIENCE
        elif Trial.PENDING in states and now >= self._next:
            self._next = now + AGAIN
            self.say(f"waiting for a node with {self.resources} free: {self._why(now)}")

    def _possible(self) -> bool:
        needed = self.resources
        return trials_that_fit(alive_nodes(), needed.cpus, needed.gpus, needed.named) > 0

    def _why(self, now: float) -> str:
        if not self._possible():
            return largest(alive_nodes())
        free = ray.available_resources()
        unused = f"{count(free.get('CPU', 0), 'CPU')} and {count(free.get('GPU', 0), 'GPU')}"
        return f"no trial has run for {now - self._since:.0f} s, free on all nodes together: {unused}"
