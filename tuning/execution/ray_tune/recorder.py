"""Each event of a trial is recorded in one order: first the ledger, then the study, then the observer."""

from pathlib import Path
from typing import Any

from ray import tune
from ray.tune.experiment import Trial

from tuning.execution.observer import Observer
from tuning.execution.ray_tune.pruning import Pruning
from tuning.execution.ray_tune.searcher import NotPickled
from tuning.proposals.study import Study
from tuning.records import EpochRow, SearchFolder, TrialPlan, TrialResult
from tuning.records.trials import record_of
from tuning.spec import SearchSpec


class Recorder(NotPickled, tune.Callback):
    """Records how each trial goes on and ends."""

    def __init__(self, spec: SearchSpec, folder: SearchFolder, study: Study, pruning: Pruning, observer: Observer):
        self.spec, self.folder, self.study, self.pruning, self.observer = spec, folder, study, pruning, observer

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
        self.close(trial.config["trial"], str(trial.get_error() or "the worker died"))

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
