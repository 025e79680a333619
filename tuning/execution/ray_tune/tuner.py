"""A search as Ray Tune runs it.

Ray only runs trials. What to run next comes from the search's queue, and what happened goes into its folder, so a
resumed search is a new Tuner over what remains; Ray's own state is never read again.
"""

import shutil
from typing import Any

from ray import tune
from ray.tune import CheckpointConfig, FailureConfig, RunConfig, TuneConfig, Tuner
from ray.tune.experiment import Trial

from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from tuning.execution.memory import cap_memory
from tuning.execution.observer import Observer
from tuning.execution.ray_tune.budget import OutOfBudget
from tuning.execution.ray_tune.extras import no_count_of_callbacks
from tuning.execution.ray_tune.keeper import keeper
from tuning.execution.ray_tune.kept_trial import Home, bring_home, bring_weights_home, trial_folder
from tuning.execution.ray_tune.nodes import Versions
from tuning.execution.ray_tune.object_store import in_store
from tuning.execution.ray_tune.placement import TrialResources
from tuning.execution.ray_tune.pruning import Pruning, scheduler
from tuning.execution.ray_tune.recorder import Recorder
from tuning.execution.ray_tune.searcher import PlanSearcher
from tuning.execution.ray_tune.trainable import saved_before_the_next
from tuning.execution.ray_tune.waiting import Waiting
from tuning.execution.storage import Storage
from tuning.execution.trial import run_trial
from tuning.proposals import make_queue, remaining
from tuning.proposals.study import Study
from tuning.records import EpochRow, SearchFolder, TrialPlan
from tuning.spec import SearchSpec


def run_trials(
    spec: SearchSpec,
    folder: SearchFolder,
    study: Study,
    data: RecDataset,
    resources: TrialResources,
    observer: Observer,
) -> bool:
    """Run the trials that remain, inside `cluster`; False if the user interrupted.

    Trials that the end of the budget or the user stopped, or that ran out of memory, have no line in the ledger: a
    resume goes on with them. UserError, one line, if a node or the storage is not fit for trials.
    """
    storage = Storage.of(spec.resources.storage) if spec.resources.storage else None
    if storage is None:
        for plan in folder.unfinished():
            bring_home(folder.trial(plan.trial))
    home = Home(keeper(folder.path), storage, Versions.here()) if resources.grows or storage else None
    pruning = Pruning(scheduler(spec), spec.training.max_epochs)
    pruning.remember([folder.trial(name) for name, record in folder.ledger().items() if record.role != "baseline"])
    trainable = tune.with_resources(
        saved_before_the_next(
            tune.with_parameters(
                _ray_trial,
                data=in_store(data, home and home.keeper),
                spec=spec,
                folder=folder,
                home=home,
                memory=resources.memory,
            )
        ),
        {"cpu": resources.cpus, "gpu": resources.gpus, **resources.named},
    )
    recorder = Recorder(spec, folder, study, pruning, observer)
    budget = OutOfBudget(spec, folder, recorder.faults)
    callbacks: list[tune.Callback] = [recorder]
    if resources.grows:
        callbacks.append(Waiting(resources, observer.say))
    tuner = Tuner(
        trainable,
        tune_config=TuneConfig(
            metric="best",
            mode="max",
            num_samples=-1,
            max_concurrent_trials=resources.concurrent,
            search_alg=PlanSearcher(make_queue(spec, folder, study), folder, resources, recorder.again),
            scheduler=pruning,
            reuse_actors=True,
            trial_dirname_creator=_trial_name,
            trial_name_creator=_trial_name,
        ),
        run_config=RunConfig(
            name="run",
            storage_path=str(folder.scratch.resolve()),
            callbacks=callbacks,
            stop=budget,
            verbose=0,
            failure_config=FailureConfig(max_failures=0),
            checkpoint_config=CheckpointConfig(num_to_keep=1),
        ),
    )
    try:
        with no_count_of_callbacks():
            tuner.fit()
    finally:
        for plan in folder.unfinished():
            if not recorder.close(plan.trial, None):
                study.interrupt(plan.trial)
        shutil.rmtree(folder.scratch, ignore_errors=True)
    if recorder.faults:
        raise UserError(recorder.faults[0])
    bring_weights_home(folder, observer.say)
    return budget.stop_all() or remaining(spec, folder) == len(folder.out_of_memory())


def _ray_trial(
    config: dict[str, Any],
    *,
    data: RecDataset,
    spec: SearchSpec,
    folder: SearchFolder,
    home: Home | None,
    memory: float | None,
) -> None:
    if home:
        home.versions.check()
    cap_memory(memory)
    holder = tune.get_context().get_trial_id()
    with trial_folder(folder, config["trial"], home, holder) as trial:
        plan = TrialPlan.from_json(config, trial.path)
        run_trial(
            plan,
            model=spec.model,
            data=data,
            training=spec.training,
            folder=trial,
            report=_report,
            objectives=spec.objectives,
        )


def _report(row: EpochRow) -> None:
    told = {"epoch": row.epoch, "evaluated": row.evaluated, "best": row.best, "passes": row.passes}
    tune.report({**told, "row": row.to_json()})


def _trial_name(trial: Trial) -> str:
    return trial.config["trial"]
