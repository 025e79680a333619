"""The queue of a search as Ray Tune's search algorithm."""

from collections import deque
from dataclasses import replace
from typing import Any

from ray.tune.search import Searcher

from tuning.execution.ray_tune.placement import TrialResources
from tuning.proposals import Queue
from tuning.records import SearchFolder, TrialPlan


class NotPickled:
    """Ray pickles a search's parts into snapshots. They are never read again, so these parts leave nothing there."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class PlanSearcher(NotPickled, Searcher):
    """Gives Ray the queue's next plan whenever a trial can start, and writes the plan down before it does.

    `again`: plans of trials whose worker was lost, which come first. The queue is not at its end while a trial runs, as
    its worker may be lost.
    """

    def __init__(self, queue: Queue, folder: SearchFolder, resources: TrialResources, again: deque[TrialPlan]):
        super().__init__(metric="best", mode="max")
        self.queue, self.folder, self.resources, self.again = queue, folder, resources, again
        self.running: set[str] = set()

    def suggest(self, trial_id: str) -> dict[str, Any] | str | None:  # type: ignore[override]
        plan = self.again.popleft() if self.again else next(self.queue, None)
        if plan is None:
            return None if self.running else Searcher.FINISHED
        self.running.add(trial_id)
        # An interrupted trial goes on with the resources of this start.
        plan = replace(plan, threads=self.resources.cpus, device=self.resources.device)
        self.folder.trial(plan.trial).write_plan(plan)
        return plan.to_json()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        self.running.discard(trial_id)  # the Recorder tells the study, after the ledger has it

    def save(self, checkpoint_path: str) -> None:
        pass  # Ray's snapshots are never restored

    def restore(self, checkpoint_path: str) -> None:
        pass
