"""Early stopping of trials: Ray's schedulers by name, and the rules that a search adds to them."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any, cast

from ray.tune.experiment import Trial
from ray.tune.schedulers import AsyncHyperBandScheduler, FIFOScheduler, MedianStoppingRule, TrialScheduler

from tuning.records import TrialFolder
from tuning.spec import SearchSpec


def _halving(max_epochs: int, grace: int, reduction: float, *, brackets: int) -> TrialScheduler:
    return AsyncHyperBandScheduler(
        time_attr="epoch",
        max_t=max_epochs,
        grace_period=grace,
        reduction_factor=reduction,
        brackets=brackets,
        stop_last_trials=False,
    )


SCHEDULERS: dict[str, Callable[[int, int, float], TrialScheduler]] = {
    "asha": partial(_halving, brackets=1),
    "hyperband": partial(_halving, brackets=3),
    "median": lambda max_epochs, grace, reduction: MedianStoppingRule(
        time_attr="epoch", grace_period=grace, min_samples_required=3, hard_stop=True
    ),
    "none": lambda max_epochs, grace, reduction: FIFOScheduler(),
}
"""Name -> Ray's scheduler from the most epochs, the epochs that no trial is stopped in, and the reduction factor."""


def scheduler(spec: SearchSpec) -> TrialScheduler:
    """Make Ray's scheduler for the spec, bare: metric and mode come from the TuneConfig."""
    rule, epochs = spec.scheduler, spec.training.max_epochs
    return SCHEDULERS[rule.name](epochs, rule.grace_epochs(epochs), rule.reduction)


SAVING, TRAINING = 3600, 10
"""Seconds that Ray gives the last workers to end. TRAINING, its own, would break off one that saves gigabytes; with
SAVING a search that is interrupted would wait for the epoch to end."""


class Pruning(FIFOScheduler):
    """A scheduler that spares the baseline and the last epoch, and remembers which trials it stopped.

    The inner scheduler sees the epochs that were evaluated and no other: it decides at the first evaluation at or after
    each of its rungs, and a trial that it stops has a score of its last epoch.
    """

    def __init__(self, inner: TrialScheduler, max_epochs: int):
        super().__init__()
        inner.set_search_properties("best", "max")
        self.inner, self.max_epochs = inner, max_epochs
        self.stopped: dict[str, int] = {}  # trial name -> epoch
        self._judged: dict[str, int] = {}  # trial name -> the last epoch that the inner scheduler has seen
        self._known: dict[str, _Known] = {}

    def set_search_properties(self, metric: str | None, mode: str | None, **spec: Any) -> bool:
        return True  # the inner scheduler has had them from the start

    def remember(self, trials: Iterable[TrialFolder]) -> None:
        """Show the inner scheduler the trials of earlier starts, epoch by epoch as they came, so that a resumed search
        prunes as an unbroken one."""
        inner, nobody = cast(Any, self.inner), _Nobody()
        curves = {trial.name: rows for trial in trials if (rows := trial.epochs())}
        running = {name: _Known(name) for name in curves}
        for past in running.values():
            inner.on_trial_add(nobody, past)
        reports = [(name, row) for name, rows in curves.items() for row in rows]
        for name, row in sorted(reports, key=lambda report: report[1].time):
            if name not in running:
                continue
            past, ends = running[name], row is curves[name][-1]
            result = {"epoch": row.epoch, "best": row.best}
            if row.evaluated and row.epoch < self.max_epochs:
                ends |= inner.on_trial_result(nobody, past, result) == TrialScheduler.STOP
            if ends:
                del running[name]
                if row.evaluated:
                    inner.on_trial_complete(nobody, past, result)

    def on_trial_add(self, tune_controller: Any, trial: Trial) -> None:
        give_time(tune_controller, TRAINING)
        name = trial.config["trial"]
        if _is_searched(trial) and name not in self._known:
            self._known[name] = _Known(name)
            self.inner.on_trial_add(tune_controller, self._as_known(trial))

    def on_trial_result(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> str:
        if not (_is_searched(trial) and result["evaluated"]) or result["epoch"] >= self.max_epochs:
            return TrialScheduler.CONTINUE
        name = trial.config["trial"]
        if result["epoch"] <= self._judged.get(name, 0):  # trained again, as its worker was lost
            return TrialScheduler.CONTINUE
        self._judged[name] = result["epoch"]
        decision = self.inner.on_trial_result(tune_controller, self._as_known(trial), result)
        if decision != TrialScheduler.STOP:
            return TrialScheduler.CONTINUE  # never pause, as the median rule would to let others catch up
        self.stopped[name] = result["epoch"]
        return decision

    def on_trial_complete(self, tune_controller: Any, trial: Trial, result: dict[str, Any]) -> None:
        # A trial that is not done was stopped by the end of the budget.
        if result.get("done") and not any(other is not trial for other in tune_controller.get_live_trials()):
            give_time(tune_controller, SAVING)
        if _is_searched(trial) and result.get("evaluated"):  # one that failed in its first epoch has reported nothing
            self.inner.on_trial_complete(tune_controller, self._as_known(trial), result)

    def on_trial_remove(self, tune_controller: Any, trial: Trial) -> None:
        if _is_searched(trial):
            self.inner.on_trial_remove(tune_controller, self._as_known(trial))

    def on_trial_error(self, tune_controller: Any, trial: Trial) -> None:
        if _is_searched(trial):
            self.inner.on_trial_error(tune_controller, self._as_known(trial))

    def _as_known(self, trial: Trial) -> Trial:
        """Return what the inner scheduler knows a trial as: the same when it goes on after its worker was lost."""
        return cast(Trial, self._known[trial.config["trial"]])


def give_time(tune_controller: Any, seconds: int) -> None:
    """Set how long Ray lets its workers end; it has no setting for that, and hands its controller over wrapped."""
    controller = getattr(tune_controller, "_tune_controller", tune_controller)
    controller._actor_force_cleanup_timeout = seconds


class _Nobody:
    """A controller without trials."""

    def get_live_trials(self) -> list[Trial]:
        return []


@dataclass(frozen=True, eq=False)
class _Known:
    """A trial as schedulers see it."""

    trial_id: str


def _is_searched(trial: Trial) -> bool:
    return trial.config["role"] != "baseline"
