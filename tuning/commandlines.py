"""Command lines to copy: resume a search, replay its winner, look at its runs."""

import json
import re
import shlex
from collections.abc import Iterable
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tuning.records import TrialRecord
from tuning.records.run_ids import RunIds
from tuning.records.selection import contenders
from tuning.spec import SearchSpec

COMPARED = 10
"""Number of best trials whose comparison is one of the next steps."""


MODEL_TRAINING = "workflowType=machine_learning"
"""What an address of MLflow's pages ends with, so that they open in the view of trained models: MLflow 3.17 has the one
for agents by default, whatever an experiment's tags say."""


def public(uri: str) -> str:
    """Return a URI to be shown: without user and password, and with secrets among its options left out."""
    return re.sub(r"(?i)((?:pass|pwd|token|secret)\w*=)[^&]*", r"\1...", re.sub("://[^/?#]*@", "://", uri))


def serve_command(uri: str, model: str) -> str:
    """Return the command line that serves a model of an MLflow store on this machine. `model`: models:/NAME/VERSION."""
    store = shlex.quote(f"MLFLOW_TRACKING_URI={public(uri)}")
    serve = ["mlflow", "models", "serve", "-m", model, "--env-manager", "local", "--port", "5001"]
    return f"env {store} {shlex.join(serve)}"  # `mlflow ui` has port 5000


def replay_command(path: Path, data_dir: str | None) -> str:
    """Return the command line that trains an exported winner again."""
    where = ["--data-dir", data_dir] if data_dir else []
    return shlex.join(["python", "run_search.py", "--replay", str(path), *where])


def report_command(name: str, output_dir: str) -> str:
    """Return the command line that makes the page of a search or an experiment again."""
    where = [] if output_dir == SearchSpec.model_fields["output_dir"].default else ["--output-dir", output_dir]
    return shlex.join(["python", "run_search.py", "report", name, *where])


def resume_command(name: str, output_dir: str) -> str:
    """Return the command line that resumes a search or an experiment."""
    where = [] if output_dir == SearchSpec.model_fields["output_dir"].default else ["--output-dir", output_dir]
    return shlex.join(["python", "run_search.py", "--resume", name, *where])


def _in_address(ids: list[Any]) -> str:
    return quote(json.dumps(ids, separators=(",", ":")))


def look_commands(spec: SearchSpec, runs: RunIds | None = None, records: Iterable[TrialRecord] = ()) -> list[str]:
    """Return what shows a search in its stores: the command that starts MLflow's pages, and the one that opens the
    comparison of the best of the `records`, if they have `runs` there, then TensorBoard's. The step for an MLflow
    server is its URL."""
    steps = []
    if uri := spec.tracking.mlflow:
        server = uri.startswith(("http://", "https://"))
        steps.append(public(uri) if server else shlex.join(["mlflow", "ui", "--backend-store-uri", public(uri)]))
        ids = runs.ids if runs else {}
        best = [ids[record.trial] for record in contenders(records) if record.trial in ids][:COMPARED]
        if runs and len(best) > 1:
            base = public(uri).rstrip("/") if server else "http://127.0.0.1:5000"  # where `mlflow ui` listens
            compared, experiments = (_in_address(each) for each in (best, [runs.experiment]))
            address = f"{base}/#/compare-runs?runs={compared}&experiments={experiments}&{MODEL_TRAINING}"
            steps.append(shlex.join(["python", "-m", "webbrowser", address]))
    if "tensorboard" in spec.tracking.stores:
        steps.append(shlex.join(["tensorboard", "--logdir", str(Path(spec.output_dir) / spec.name / "tensorboard")]))
    return steps


def next_steps(
    spec: SearchSpec,
    export: Path | None,
    runs: RunIds | None = None,
    records: Iterable[TrialRecord] = (),
    *,
    extend: bool = True,
) -> list[str]:
    """Return the next steps after a search: look at it, as `look_commands` says, replay its winner, and double its
    trials, if it may be extended.

    `export`: the winner's file, None without a winner.
    """
    steps = look_commands(spec, runs, records)
    if export:
        steps.append(replay_command(export, spec.data_dir))
    if extend:
        steps.append(f"{resume_command(spec.name, spec.output_dir)} --trials {2 * spec.budget.trials}")
    return steps
