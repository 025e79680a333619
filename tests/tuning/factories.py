"""Made search folders: what a search leaves on disk, with values that follow from trial and epoch."""

from pathlib import Path
from typing import Any

from recmodels.metric import NAMES
from tuning.records.folder import BASELINE, SearchFolder, Status, TrialRecord
from tuning.spec import SearchSpec

START = 1_700_000_000.0  # unix s; trial n starts 100 n later, an epoch takes a second
ENVIRONMENT = {
    "versions": {"python": "3.11.0", "torch": "2.13", "ray": "2.60", "optuna": "5.0", "mlflow": "3.17"},
    "git": {"commit": "c0ffee", "dirty": False},
    "data": {"name": "demo", "fingerprint": "f1n9e2"},
    "starts": [{"time": "2023-11-14T22:13:20+00:00", "argv": ["run_search.py"], "host": "here"}],
}


def made_spec(**changes: Any) -> SearchSpec:
    return SearchSpec.model_validate({"name": "made", "model": "BPR", "dataset": "demo", "space": {}, **changes})


def made_folder(
    tmp_path: Path, trials: int = 3, epochs: int = 4, baseline: bool = False, uri: str | None = None, **changes: Any
) -> SearchFolder:
    """The folder of a search whose trials 0000, 0001, ... have all finished; the last one is the best."""
    folder = SearchFolder(tmp_path / "searches" / changes.get("name", "made"))
    folder.write_spec(made_spec(baseline=baseline, tracking={"uri": uri}, **changes))
    folder.write_environment(ENVIRONMENT)
    for name in [f"{number:04}" for number in range(trials)] + [BASELINE] * baseline:
        made_trial(folder, name, epochs)
        end_trial(folder, name)
    return folder


def made_trial(folder: SearchFolder, name: str, epochs: int) -> None:
    """Start a trial and let it run for some epochs."""
    strategy = {} if name == BASELINE else {"alpha": 1.0, "beta": 0.25, "interval": 3}
    params = {"strategy": strategy, "train": {"learning_rate": 0.001}, "model": {"n_layers": 2}}
    plan = {
        "trial": name,
        "strategy": "plain" if name == BASELINE else "mg",
        "params": params,
        "point": {"ratio": 0.25},
        "seed": 7,
        "threads": 1,
        "device": "cpu",
        "time": _start(name),
    }
    folder.trial(name).write_plan(plan)
    for epoch in range(1, epochs + 1):
        folder.trial(name).append_epoch(made_row(name, epoch))


def made_row(name: str, epoch: int, **changes: Any) -> dict[str, Any]:
    """One line of epochs.jsonl; every epoch is better than the one before."""
    row = {
        "epoch": epoch,
        "time": _start(name) + epoch,
        "loss": 1 / epoch,
        "terms": {"bpr": 1 / epoch},
        "seconds": 0.75,
        "valid_seconds": 0.25,
        "valid": made_metrics(name, epoch),
        "best": made_metrics(name, epoch)["recall@20"],
        "best_epoch": epoch,
    }
    return {**row, **changes}


def made_metrics(name: str, epoch: int) -> dict[str, float]:
    """recall@5, ..., hit@50: 20 metrics."""
    return {
        f"{metric}@{k}": (_number(name) + 1) * 0.01 + epoch * 0.001 + k * 1e-6
        for metric in NAMES
        for k in (5, 10, 20, 50)
    }


def end_trial(folder: SearchFolder, name: str, status: Status = "finished", reason: str | None = None) -> TrialRecord:
    """Write the trial's line into the ledger; only a finished one has test metrics, 0.1 below the validation ones."""
    trial = folder.trial(name)
    plan, rows = trial.plan(), trial.epochs()
    assert plan is not None
    valid = rows[-1]["valid"] if rows else {}
    record = TrialRecord(
        trial=name,
        status=status,
        reason=reason,
        params=plan["params"],
        point=plan["point"],
        seed=plan["seed"],
        threads=plan["threads"],
        device=plan["device"],
        epochs=len(rows),
        best_epoch=len(rows) or None,
        value=valid.get("recall@20"),
        valid=valid,
        test={metric: value - 0.1 for metric, value in valid.items()} if status == "finished" else {},
        seconds=float(len(rows)),
    )
    folder.append_record(record)
    return record


def _number(name: str) -> int:
    return 0 if name == BASELINE else int(name)


def _start(name: str) -> float:
    return START + 100 * _number(name)
