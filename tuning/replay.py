"""Train an exported configuration again, in this process, without Ray, Optuna or MLflow."""

import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import Progress

from recmodels.data.dataset import RecDataset
from tuning.export import Export
from tuning.folder import TrialFolder
from tuning.spec import Scores, Training
from tuning.trial import run_trial


def replay(export: Export, data: RecDataset, console: Console) -> Scores:
    """The metrics at the best of exactly the epochs that the winner ran, with its seed and threads.

    Equal to the exported ones on the same machine; on a GPU, whose sums are not ordered, nearly so.
    """
    training = export.training
    rule = Training(
        max_epochs=training.epochs,
        patience=training.epochs,
        metric=training.metric,
        ks=training.ks,
        seed=export.seed,
    )
    plan = {
        "strategy": export.strategy,
        "params": export.parameters,
        "seed": export.seed,
        "threads": export.threads,
        "device": export.device,
    }
    with tempfile.TemporaryDirectory() as scratch, Progress(console=console) as progress:
        folder = TrialFolder(Path(scratch))
        task = progress.add_task(f"{export.model} on {export.dataset}", total=training.epochs)

        def report(row: dict[str, Any]) -> None:
            progress.update(task, completed=row["epoch"])

        run_trial(
            plan,
            model=export.model,
            data=data,
            training=rule,
            folder=folder,
            report=report,
        )
        rows, result = folder.epochs(), folder.result() or {}
    best = next(row for row in rows if row["epoch"] == rows[-1]["best_epoch"])
    return {"valid": best["valid"], "test": result["test"]}
