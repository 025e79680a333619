"""Trials that train nothing: they write and report made epochs, at once or after a pause. For Ray's workers, which
import this module."""

import time
from typing import Any

from recmodels.evaluation.metrics import METRICS
from tuning.execution.ray_tune import tuner
from tuning.execution.trial import Report
from tuning.records import EpochRow, TrialFolder, TrialPlan, TrialResult
from tuning.spec import Training

PAUSE = "pause"
"""The parameter of a made trial's model: the seconds that an epoch takes."""


def made_ray_trial(config: dict[str, Any], **context: Any) -> None:
    """Stands for `tuner._ray_trial` in the driver; in the worker that one runs, with a made training."""
    tuner.run_trial = run_made_trial
    tuner._ray_trial(config, **context)


def run_made_trial(plan: TrialPlan, *, training: Training, folder: TrialFolder, report: Report, **_: Any) -> None:
    """Stands for `run_trial`: every epoch is better than the one before, and has the metrics of a real one."""
    names = [f"{metric}@{k}" for metric in METRICS for k in training.cutoffs]
    for epoch in range(1, training.max_epochs + 1):
        time.sleep(plan.params["model"][PAUSE])
        value = 1 - 1 / (epoch + 1)
        row = EpochRow(
            epoch=epoch,
            time=time.time(),
            loss=1 / epoch,
            terms={"bpr": 1 / epoch, "reg": 0.0},
            seconds=plan.params["model"][PAUSE],
            valid_seconds=0.0,
            valid=dict.fromkeys(names, value),
            passes=3,
            steps=2,
            skipped=0,
            best=value,
            best_epoch=epoch,
        )
        folder.append_epoch(row)
        report(row)
    folder.write_test(dict.fromkeys(names, 0.5))
    folder.write_result(TrialResult("finished", "made"))
