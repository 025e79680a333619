"""The queue of a search as Ray Tune's search algorithm."""

from dataclasses import replace
from typing import Any

from ray.tune.search import Searcher

from tuning.execution.ray_tune.placement import TrialResources
from tuning.proposals import Queue
from tuning.records import SearchFolder


class NotPickled:
    """Ray pickles a search's parts into snapshots. They are never read again, so these parts leave nothing there."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class PlanSearcher(NotPickled, Searcher):
    """Gives Ray the queue's next plan whenever a trial can start, and writes the plan down before it does."""

    def __init__(self, queue: Queue, folder: SearchFolder, resources: TrialResources):
        super().__init__(metric="best", mode="max")
        self.queue, self.folder, self.resources = queue, folder, resources

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]
        plan = next(self.queue, None)
        if plan is None:
            return Searcher.FINISHED
        # An interrupted trial goes on with the resources of this start.
        plan = replace(plan, threads=self.resources.cpus, device=self.resources.device)
        self.folder.trial(plan.trial).write_plan(plan)
        return plan.to_json()

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass  # the Recorder tells the study, after the ledger has it

    def save(self, checkpoint_path: str) -> None:
        pass  # Ray's snapshots are never restored

    def restore(self, checkpoint_path: str) -> None:
        pass
