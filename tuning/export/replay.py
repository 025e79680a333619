"""Train an exported configuration again, in this process, without Ray, Optuna or MLflow."""

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import Progress
from safetensors import SafetensorError
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from recmodels.models import Recommender
from recmodels.training.checkpoint import load_weights
from tuning.execution.trial import build, run_trial
from tuning.export.model import Export
from tuning.records.folder import TrialFolder
from tuning.records.trials import EpochRow, TrialPlan, best_row
from tuning.spec import Scores, Training


@dataclass(frozen=True)
class Trained:
    """The metrics at the best epoch and the weights that reach them."""

    scores: Scores
    weights: dict[str, Tensor]


def replay(export: Export, data: RecDataset, console: Console) -> Scores:
    """The metrics at the best of exactly the epochs that the winner ran, with its seed and threads.

    Equal to the exported ones on the same machine; on a GPU, whose sums are not ordered, nearly so.
    """
    return train_again(export, data, console).scores


def train_again(export: Export, data: RecDataset, console: Console) -> Trained:
    """What a replay trains."""
    training = export.training
    rule = Training(
        max_epochs=training.epochs,
        patience=training.epochs,
        metric=training.metric,
        ks=training.ks,
        seed=export.seed,
    )
    with tempfile.TemporaryDirectory() as scratch, Progress(console=console) as progress:
        folder = TrialFolder(Path(scratch))
        task = progress.add_task(f"{export.model} on {export.dataset}", total=training.epochs)

        def report(row: EpochRow) -> None:
            progress.update(task, completed=row.epoch)

        run_trial(
            plan_of(export),
            model=export.model,
            data=data,
            training=rule,
            folder=folder,
            report=report,
        )
        best, result = best_row(folder.epochs()), folder.result()
        assert best is not None  # run_trial has returned
        assert result is not None
        weights = load_weights(folder.best_weights(best.epoch))
    return Trained({"valid": best.valid, "test": result.test}, weights)


def plan_of(export: Export) -> TrialPlan:
    """The winner as `run_trial` and `build` take it."""
    return TrialPlan(
        trial="replay",
        role="replay",
        strategy=export.strategy,
        params={str(section): values for section, values in export.parameters.items()},
        point={},
        seed=export.seed,
        threads=export.threads,
        device=export.device,
        time=time.time(),
    )


def model_of(export: Export, data: RecDataset, weights: dict[str, Tensor]) -> Recommender:
    """The exported model at the given weights, ready to rank. RuntimeError if they are not of such a model."""
    torch.set_num_threads(export.threads)
    device = export.device if torch.cuda.is_available() else "cpu"
    model = build(plan_of(export), export.model, data, torch.device(device)).model
    model.load_state_dict(weights)
    return model.eval()


def load_model(export: Export, data: RecDataset, path: Path) -> Recommender:
    """The exported model at the weights in a file. UserError if they are not of such a model."""
    if not path.is_file():
        raise UserError(f"{path}: no such file, expected weights such as best-0012.safetensors")
    try:
        return model_of(export, data, load_weights(path))
    except (OSError, SafetensorError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UserError(f"{path}: not weights of {export.model} for {data.name} ({reason})") from None
