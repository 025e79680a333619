"""Each event of a trial is recorded in one order: first the ledger, then the study, then the observer."""

from collections import deque
from pathlib import Path
from typing import Any

from ray import cloudpickle, tune
from ray.exceptions import RayError, RayTaskError
from ray.tune.experiment import Trial

from tuning.execution.observer import Observer
from tuning.execution.place_fault import PlaceFault
from tuning.execution.ray_tune.keeper import Superseded
from tuning.execution.ray_tune.pruning import Pruning
from tuning.execution.ray_tune.searcher import NotPickled
from tuning.proposals.study import Study
from tuning.records import EpochRow, SearchFolder, TrialPlan, TrialResult
from tuning.records.trials import record_of
from tuning.spec import SearchSpec

MOST_LOSSES = 3
"""Workers that a trial may lose in a row without an epoch more, before it counts as failed, as it may kill them."""


class Recorder(NotPickled, tune.Callback):
    """Records how each trial goes on and ends.

    `again`: plans of trials that are to go on, from their last checkpoint, as their worker was lost. `faults`: why no
    trial can run where they do.
    """

    def __init__(self, spec: SearchSpec, folder: SearchFolder, study: Study, pruning: Pruning, observer: Observer):
        self.spec, self.folder, self.study, self.pruning, self.observer = spec, folder, study, pruning, observer
        self.again: deque[TrialPlan] = deque()
        self.faults: list[str] = []
        self._losses: dict[str, list[int]] = {}  # trial name -> its epochs at each loss of a worker

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.observer.running(_plan(trial), None)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        row = EpochRow.from_json(result["row"], Path(trial.config["trial"]))
        if row.evaluated and row.best is not None:
            self.study.report(trial.config["trial"], row.epoch, row.best)
        self.observer.running(_plan(trial), row)

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.close(trial.config["trial"], None)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        name, error = trial.config["trial"], raised_by(trial)
        if isinstance(fault := getattr(error, "cause", None), PlaceFault):
            self.faults.append(str(fault))
        elif not (is_loss(error) and (self.close(name, None) or self._goes_on(name))):
            self.close(name, str(error or "the worker died"))

    def _goes_on(self, name: str) -> bool:
        """Let a trial that has lost its worker go on; False if it loses one after the other."""
        losses = self._losses.setdefault(name, [])
        losses.append(len(self.folder.trial(name).epochs()))
        if losses[-MOST_LOSSES - 1 :] == losses[-1:] * (MOST_LOSSES + 1):
            return False
        self.again.append(self.folder.trial(name).plan())
        self.observer.say(
            f"trial {name} has lost its worker after epoch {losses[-1]}: it goes on from its last checkpoint"
        )
        return True

    def close(self, name: str, error: str | None) -> bool:
        """Record how a trial ended; False if it did not end but was interrupted, or ran out of memory."""
        trial = self.folder.trial(name)
        result = trial.result()
        if result is None and error is not None and (reason := trial.out_of_memory()):
            self.study.interrupt(name)
            self.observer.lost(trial.plan(), reason)
            return False
        if result is None and name in self.pruning.stopped:
            result = TrialResult("pruned", f"{self.spec.scheduler.name} at epoch {self.pruning.stopped[name]}")
        elif result is None and error is not None:
            result = TrialResult("failed", error.strip().splitlines()[-1])
        if result is None:
            return False
        record = record_of(trial.plan(), trial.epochs(), result)
        self.folder.append_record(record)
        self.study.tell(record)
        self.observer.ended(record)
        return True


def _plan(trial: Trial) -> TrialPlan:
    return TrialPlan.from_json(trial.config, Path(trial.config["trial"]))


def raised_by(trial: Trial) -> Exception | None:
    """Return what Ray's trial ended with; Ray has put it into a file of this machine, and nowhere else."""
    path = trial.pickled_error_file
    error: Exception | None = cloudpickle.loads(Path(path).read_bytes()) if path and Path(path).exists() else None
    return error


def is_loss(error: Exception | None) -> bool:
    """Return whether a trial ended with its worker or its node, and not with an error of its own."""
    return not isinstance(error, RayTaskError) or isinstance(error.cause, RayError | Superseded)
