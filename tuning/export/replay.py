"""Train an exported configuration again, in this process, without Ray, Optuna or MLflow."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from recmodels.models import Recommender
from recmodels.training.checkpoint import load_weights
from tuning.execution.memory import memory_lack
from tuning.execution.trial import Report, device_here, run_trial, trained_model
from tuning.export.model import Export
from tuning.records import TrialFolder, TrialPlan
from tuning.records.sealed import open_test
from tuning.records.trials import best_row
from tuning.spec import Scores, Training

ROUNDING = 1e-14
"""The relative difference up to which a metric is the same on a CPU: versions may sum over users in another order."""
TOLERANCE = 0.01
"""The relative difference up to which a metric of a GPU's export is that of its replay.

With every gradient rounded at random in its last digit, trainings on the demo data at a learning rate of 1e-3 ended
with the same metrics to the digit for seven of the twelve models, within 0.5 % for GRCN, DRAGON, DualGNN and SelfCF,
and within 5 % for MMGCN, which amplifies rounding.
"""


@dataclass(frozen=True)
class Trained:
    """The metrics of a replay at its best epoch, and the weights of that epoch."""

    scores: Scores
    weights: dict[str, Tensor]


def replay(export: Export, data: RecDataset, report: Report = lambda row: None) -> Trained:
    """Train the exported configuration again for exactly the winner's epochs, with its seed and threads.

    `report` gets the row of each epoch. The metrics of a winner that was trained on a CPU are the exported ones, digit
    by digit, on the same machine. A GPU adds in no fixed order: `agree` says what counts as the same there. UserError
    if losses stop being finite.
    """
    same = export.training.model_dump(include={"patience", "eval_every", "metric", "ks"})
    rule = Training(max_epochs=export.training.epochs, **same)
    with tempfile.TemporaryDirectory() as scratch:
        folder = TrialFolder(Path(scratch))
        run_trial(
            plan_of(export),
            model=export.model,
            data=data,
            training=rule,
            folder=folder,
            report=report,
            stops_early=False,
        )
        best, result = best_row(folder.epochs()), folder.result()
        assert result is not None  # run_trial has returned
        if best is None or result.status == "failed":
            raise UserError(f"{export.model} on {export.dataset}: training it again failed: {result.reason}")
        scores = {"valid": best.valid, "test": open_test(folder)}
        return Trained(scores, load_weights(folder.best_weights(best.epoch)))


def plan_of(export: Export) -> TrialPlan:
    """Return the plan that trains the winner again, on the CPU where torch can use no GPU: `fallback` says so."""
    params = {str(section): values for section, values in export.parameters.items()}
    same = export.model_dump(include={"strategy", "seed", "threads"}) | {"device": device_here(export.device).type}
    return TrialPlan(trial="replay", role="replay", params=params, point={}, time=time.time(), **same)


def agree(export: Export, exported: float, again: float) -> bool:
    """Return whether a metric of the export and of its replay are the same: within ROUNDING, or within TOLERANCE if the
    winner was trained on a GPU, wherever the replay ran."""
    return difference(exported, again) <= (TOLERANCE if export.device == "cuda" else ROUNDING)


def difference(one: float, other: float) -> float:
    """Return the difference of two metrics as a share of the larger one."""
    return abs(one - other) / max(abs(one), abs(other)) if one != other else 0.0


def model_of(export: Export, data: RecDataset, weights: dict[str, Tensor]) -> Recommender:
    """Return the exported model with these weights, in evaluation mode. RuntimeError if they are of another model."""
    torch.set_num_threads(export.threads)
    return trained_model(plan_of(export), export.model, data, weights)


def load_model(export: Export, data: RecDataset, path: Path) -> Recommender:
    """Return the exported model with the weights in a file. UserError for another model's weights, or no such file."""
    return load_planned(plan_of(export), export.model, data, path)


def load_planned(plan: TrialPlan, model: str, data: RecDataset, path: Path) -> Recommender:
    """Return the model of a plan with the weights in a file, as `load_model` does for that of an export."""
    if not path.is_file():
        raise UserError(f"{path}: no such file, expected weights such as best-0012.safetensors")
    try:
        torch.set_num_threads(plan.threads)
        return trained_model(plan, model, data, load_weights(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        if memory_lack(error):  # it says nothing of the file
            raise
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not weights of {model} for {data.name} ({reason})") from None
