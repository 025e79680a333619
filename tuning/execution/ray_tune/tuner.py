"""A search as Ray Tune sees it. With scheduling.py and recording.py, the only files that import ray.

Ray only runs trials. What to run next comes from the search's folder and study, and what happened goes there, so a
resumed search is a new Tuner over what remains; Ray's own state is never read again.
"""

import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.experiment import Trial
from ray.tune.search import Searcher

from recmodels.data.dataset import RecDataset
from tuning.execution.ray_tune.pruning import OutOfBudget, Pruning, scheduler
from tuning.execution.ray_tune.recorder import Observer, Recorder, Unpickled
from tuning.execution.trial import run_trial
from tuning.proposals.study import Study
from tuning.records.folder import BASELINE, SearchFolder, unfinished
from tuning.space import Space
from tuning.spec import Params, SearchSpec

MAX_CPU_TRIALS = 8
"""Trials at a time where the number is not given: a sequential sampler learns little from many parallel ones."""


@dataclass(frozen=True)
class Slot:
    """What one trial gets, and how many run at a time."""

    cpus: int
    gpus: float
    concurrent: int

    @property
    def device(self) -> str:
        return "cuda" if self.gpus else "cpu"


@contextmanager
def cluster(address: str | None) -> Iterator[None]:
    """Ray, on this machine or on the cluster at `address`, quiet; what is running already stays. After
    `ray_settings.prepare`."""
    if ray.is_initialized():
        yield
        return
    logging.getLogger("ray.tune").setLevel(logging.CRITICAL)  # a failed trial's reason stands in the ledger
    local: dict[str, Any] = {} if address else {"include_dashboard": False}
    ray.init(address=address or "local", log_to_driver=False, logging_level=logging.ERROR, **local)
    try:
        yield
    finally:
        ray.shutdown()


def slot(spec: SearchSpec) -> Slot:
    """The spec's resources, with what it leaves open chosen from the running cluster: a GPU per trial if there is one,
    else as many trials at a time as there are cores, at most MAX_CPU_TRIALS, sharing the cores evenly."""
    cores, gpus = (int(ray.cluster_resources().get(kind, 0)) for kind in ("CPU", "GPU"))
    wanted, per_trial = spec.resources, spec.resources.gpus_per_trial
    if per_trial is None:
        per_trial = 1.0 if gpus else 0.0
    if per_trial:
        concurrent = wanted.max_concurrent or max(1, int(gpus / per_trial + 1e-9))
    else:
        by_cores = cores // (wanted.cpus_per_trial or 1)
        concurrent = wanted.max_concurrent or min(by_cores, MAX_CPU_TRIALS, spec.budget.trials)
    concurrent = max(1, concurrent)
    return Slot(wanted.cpus_per_trial or max(1, cores // concurrent), per_trial, concurrent)


def explore(
    spec: SearchSpec,
    folder: SearchFolder,
    space: Space,
    study: Study,
    data: RecDataset,
    resources: Slot,
    observer: Observer,
) -> bool:
    """Run what the folder says is still to be run, inside `cluster`; False if the user interrupted.

    Trials that the end of the budget or the user stopped have no line in the ledger: a resume goes on with them.
    """
    pruning = Pruning(scheduler(spec), spec.training.max_epochs)
    pruning.remember([folder.trial(name) for name in folder.ledger() if name != BASELINE])
    trainable = tune.with_resources(
        tune.with_parameters(_ray_trial, data=data, spec=spec, folder=folder),
        {"cpu": resources.cpus, "gpu": resources.gpus},
    )
    recorder = Recorder(spec, folder, study, pruning, observer)
    suggestions, budget = Suggestions(spec, folder, space, study, resources), OutOfBudget(spec, folder)
    names: dict[str, Any] = {"trial_dirname_creator": _trial_name, "trial_name_creator": _trial_name}
    tuner = Tuner(
        trainable,
        tune_config=TuneConfig(
            metric="best",
            mode="max",
            num_samples=-1,
            max_concurrent_trials=resources.concurrent,
            search_alg=suggestions,
            scheduler=pruning,
            reuse_actors=True,
            **names,
        ),
        run_config=RunConfig(
            name="run",
            storage_path=str(folder.scratch.resolve()),
            callbacks=[recorder],
            stop=budget,
            verbose=0,
            failure_config=FailureConfig(max_failures=0),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        tuner.fit()
    finally:
        for trial in unfinished(folder.trials(), folder.ledger()):
            if not recorder.close(trial.name, None):
                study.interrupt(trial.name)
        shutil.rmtree(folder.scratch, ignore_errors=True)
    return budget.stop_all() or (suggestions.exhausted and not unfinished(folder.trials(), folder.ledger()))


def _ray_trial(config: dict[str, Any], *, data: RecDataset, spec: SearchSpec, folder: SearchFolder) -> None:
    run_trial(
        config,
        model=spec.model,
        data=data,
        training=spec.training,
        folder=folder.trial(config["trial"]),
        report=tune.report,
    )


def _trial_name(trial: Trial) -> str:
    return trial.config["trial"]


class Suggestions(Unpickled, Searcher):
    """What to run next: interrupted trials, the baseline, then what the study proposes, until there are enough."""

    def __init__(self, spec: SearchSpec, folder: SearchFolder, space: Space, study: Study, resources: Slot):
        super().__init__(metric="best", mode="max")
        self.spec, self.folder, self.space, self.study = spec, folder, space, study
        self.resources = {"threads": resources.cpus, "device": resources.device}
        self.exhausted = False
        trials = folder.trials()
        self.waiting = [trial.plan() for trial in unfinished(trials, folder.ledger())]
        self.started = sum(trial.name != BASELINE for trial in trials)
        base = space.base_defaults()
        if spec.baseline and base and BASELINE not in [trial.name for trial in trials]:
            self.waiting.append(self._plan(BASELINE, "plain", {**base, "strategy": {}}, {}))

    def suggest(self, trial_id: str) -> dict[str, Any] | str:  # type: ignore[override]
        plan = self.waiting.pop(0) if self.waiting else self._propose()
        if plan is None:
            self.exhausted = True
            return Searcher.FINISHED
        plan |= self.resources  # an interrupted trial goes on with what this start gives
        self.folder.trial(plan["trial"]).write_plan(plan)
        return plan

    def on_trial_complete(self, trial_id: str, result: dict[str, Any] | None = None, error: bool = False) -> None:
        pass  # the Recorder tells the study, after the ledger has it

    def save(self, checkpoint_path: str) -> None:
        pass  # Ray's snapshots are never restored

    def restore(self, checkpoint_path: str) -> None:
        pass

    def _propose(self) -> dict[str, Any] | None:
        if self.started >= self.spec.budget.trials:
            return None
        name = f"{self.started:04d}"
        point = {} if self.spec.repeat_seeds else self.study.ask(name, self.started)
        if point is None:
            return None
        plan = self._plan(name, self.spec.strategy, self.space.resolve(point), point)
        plan["seed"] += self.started if self.spec.repeat_seeds else 0
        self.started += 1
        return plan

    def _plan(self, name: str, strategy: str, params: Params, point: dict[str, Any]) -> dict[str, Any]:
        return {
            "trial": name,
            "strategy": strategy,
            "params": params,
            "point": point,
            "seed": self.spec.training.seed,
            "time": time.time(),
        }
