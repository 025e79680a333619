"""What happened to each trial, entered in one order: first the ledger, then the study, then whoever watches."""

from typing import Any, Protocol

from ray import tune
from ray.tune.experiment import Trial

from tuning.execution.ray_tune.pruning import Pruning
from tuning.proposals.study import Study
from tuning.records.folder import BASELINE, SearchFolder, Status, TrialFolder, TrialRecord, unfinished
from tuning.spec import SearchSpec


class Observer(Protocol):
    """What the driver tells while trials run."""

    def running(self, trial: str, params: dict[str, Any], epoch: int, best: float | None) -> None: ...

    def ended(self, record: TrialRecord) -> None: ...

    def run_id(self, trial: str) -> str | None:
        """The MLflow run of a trial, if it is known, for the ledger."""


class Unpickled:
    """Ray pickles a search's parts into snapshots. They are never read again, so these parts leave nothing there."""

    def __getstate__(self) -> dict[str, Any]:
        return {}


class Recorder(Unpickled, tune.Callback):
    """Enters what happens: first the ledger, then the study, then whoever watches."""

    def __init__(self, spec: SearchSpec, folder: SearchFolder, study: Study, pruning: Pruning, observer: Observer):
        self.spec, self.folder, self.study, self.pruning, self.observer = spec, folder, study, pruning, observer

    def on_trial_start(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.observer.running(trial.config["trial"], trial.config["params"], 0, None)

    def on_trial_result(
        self, iteration: int, trials: list[Trial], trial: Trial, result: dict[str, Any], **info: Any
    ) -> None:
        name = trial.config["trial"]
        self.study.report(name, result["epoch"], result["best"])
        self.observer.running(name, trial.config["params"], result["epoch"], result["best"])

    def on_trial_complete(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.close(trial.config["trial"], None)

    def on_trial_error(self, iteration: int, trials: list[Trial], trial: Trial, **info: Any) -> None:
        self.close(trial.config["trial"], str(trial.get_error() or "the worker died"))

    def close(self, name: str, error: str | None) -> bool:
        """Record how a trial ended; False if it did not end but was interrupted."""
        trial = self.folder.trial(name)
        stop: tuple[Status, str] | None = None
        if name in self.pruning.stopped:
            stop = "pruned", f"{self.spec.scheduler.name} at epoch {self.pruning.stopped[name]}"
        elif error is not None:
            stop = "failed", error.strip().splitlines()[-1]
        if stop is None and trial.result() is None:
            return False
        record = record_of(trial, stop, self.observer.run_id(name))
        self.folder.append_record(record)
        self.study.tell(record)
        self.observer.ended(record)
        return True


def record_of(trial: TrialFolder, stop: tuple[Status, str] | None, run_id: str | None) -> TrialRecord:
    """The ledger's line for a trial; `stop`: (status, reason) where the worker itself left no result."""
    plan, rows, result = trial.plan() or {}, trial.epochs(), trial.result()
    status, reason = (result["status"], result["reason"]) if result else stop or ("failed", "no result")
    best: dict[str, Any] = next((row for row in rows if row["epoch"] == rows[-1]["best_epoch"]), {})
    return TrialRecord(
        trial=trial.name,
        status=status,
        reason=reason,
        params=plan["params"],
        point=plan["point"],
        seed=plan["seed"],
        threads=plan["threads"],
        device=plan["device"],
        epochs=len(rows),
        best_epoch=best.get("epoch"),
        value=best.get("best"),
        valid=best.get("valid", {}),
        test=result["test"] if result else {},
        seconds=sum(row["seconds"] + row["valid_seconds"] for row in rows),
        passes=sum(row.get("passes", 0) for row in rows),
        run_id=run_id,
    )


def recover(folder: SearchFolder, study: Study, observer: Observer) -> None:
    """After a kill: enter results that never reached the ledger, and bring the study up to it."""
    for trial in unfinished(folder.trials(), folder.ledger()):
        if trial.result():
            record = record_of(trial, None, observer.run_id(trial.name))
            folder.append_record(record)
    ledger = folder.ledger()
    open_plans = {trial.name: trial.plan() or {} for trial in unfinished(folder.trials(), ledger)}
    study.reconcile(ledger, {name: plan["point"] for name, plan in open_plans.items() if name != BASELINE})
