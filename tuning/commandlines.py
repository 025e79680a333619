"""Command lines to copy: resume a search, replay its winner, look at its runs."""

import re
import shlex
from pathlib import Path

from tuning.spec import SearchSpec


def public(uri: str) -> str:
    """Return a URI to be shown: without user and password, and with secrets among its options left out."""
    return re.sub(r"(?i)((?:pass|pwd|token|secret)\w*=)[^&]*", r"\1...", re.sub("://[^/?#]*@", "://", uri))


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


def next_steps(spec: SearchSpec, export: Path | None, *, extend: bool = True) -> list[str]:
    """Return the next steps after a search: look at its runs in MLflow and TensorBoard, replay its winner, and double
    its trials, if it may be extended.

    `export`: the winner's file, None without a winner. The step for an MLflow server is its URL.
    """
    steps = []
    if uri := spec.tracking.mlflow:
        server = uri.startswith(("http://", "https://"))
        steps.append(public(uri) if server else shlex.join(["mlflow", "ui", "--backend-store-uri", public(uri)]))
    if "tensorboard" in spec.tracking.stores:
        steps.append(shlex.join(["tensorboard", "--logdir", str(Path(spec.output_dir) / spec.name / "tensorboard")]))
    if export:
        steps.append(replay_command(export, spec.data_dir))
    if extend:
        steps.append(f"{resume_command(spec.name, spec.output_dir)} --trials {2 * spec.budget.trials}")
    return steps
