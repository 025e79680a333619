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
from tuning.execution.trial import Report, build, run_trial
from tuning.export.model import Export
from tuning.records import TrialFolder, TrialPlan
from tuning.records.trials import best_row
from tuning.spec import Scores, Training


@dataclass(frozen=True)
class Trained:
    """The metrics of a replay at its best epoch, and the weights of that epoch."""

    scores: Scores
    weights: dict[str, Tensor]


def replay(export: Export, data: RecDataset, report: Report = lambda row: None) -> Trained:
    """Train the exported configuration again for exactly the winner's epochs, with its seed and threads.

    `report` gets the row of each epoch. On the same machine the metrics equal the exported ones; on a GPU, which adds
    in no fixed order, they are close.
    """
    training = export.training
    rule = Training(max_epochs=training.epochs, patience=training.patience, metric=training.metric, ks=training.ks)
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
        assert best is not None  # run_trial has returned
        assert result is not None
        weights = load_weights(folder.best_weights(best.epoch))
    return Trained({"valid": best.valid, "test": result.test}, weights)


def plan_of(export: Export) -> TrialPlan:
    """Return the plan that trains the winner again."""
    params = {str(section): values for section, values in export.parameters.items()}
    same = export.model_dump(include={"strategy", "seed", "threads", "device"})
    return TrialPlan(trial="replay", role="replay", params=params, point={}, time=time.time(), **same)


def model_of(export: Export, data: RecDataset, weights: dict[str, Tensor]) -> Recommender:
    """Return the exported model with these weights, in evaluation mode. RuntimeError if they are of another model."""
    torch.set_num_threads(export.threads)
    device = export.device if torch.cuda.is_available() else "cpu"
    model = build(plan_of(export), export.model, data, torch.device(device)).model
    model.load_state_dict(weights)
    return model.eval()


def load_model(export: Export, data: RecDataset, path: Path) -> Recommender:
    """Return the exported model with the weights in a file. UserError for another model's weights, or no such file."""
    if not path.is_file():
        raise UserError(f"{path}: no such file, expected weights such as best-0012.safetensors")
    try:
        return model_of(export, data, load_weights(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not weights of {export.model} for {data.name} ({reason})") from None
