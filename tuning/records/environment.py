"""What a search ran on: versions, machine, source, data and the command line of each start, for the replay."""

import os
import platform
import subprocess
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from recmodels.data.dataset import RecDataset

PACKAGES = ("torch", "ray", "optuna", "mlflow", "torch-geometric", "numpy", "pandas", "mirrortune")
_SOURCE = Path(__file__).resolve().parents[2]


def environment(
    data: RecDataset, argv: Sequence[str], threads_per_trial: int, earlier: dict[str, Any] | None = None
) -> dict[str, Any]:
    """The record of this start; on a resume `earlier` is the search's record so far, whose starts are kept.

    Everything but "starts" describes the latest start. Packages that are not installed have no version.
    """
    start = {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "argv": list(argv),
        "host": platform.node(),
        "threads_per_trial": threads_per_trial,
    }
    return {
        "versions": versions(),
        "platform": platform.platform(),
        "cpu": {"name": _cpu_name(), "cores": os.cpu_count()},
        "gpus": _gpus(),
        "git": git_state(_SOURCE),
        "data": _data(data),
        "starts": [*(earlier or {}).get("starts", []), start],
    }


def versions() -> dict[str, str]:
    """Python's and each installed package's version, read from the packages' metadata."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state(root: Path) -> dict[str, Any] | None:
    """{"commit", "dirty"} of the checkout at `root`; None if it is none, has no commit, or there is no git."""
    # Installed into another project's folder, git would answer for that project.
    if not (root / ".git").exists():
        return None
    commit = _output("git", "-C", str(root), "rev-parse", "HEAD")
    changes = _output("git", "-C", str(root), "status", "--porcelain")
    return None if commit is None or changes is None else {"commit": commit, "dirty": changes != ""}


def _data(data: RecDataset) -> dict[str, Any]:
    return {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "users": data.n_users,
        "items": data.n_items,
        "train": len(data.train),
        "valid": len(data.valid),
        "test": len(data.test),
    }


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpus() -> list[dict[str, str | None]]:
    """{"name", "driver"} of each GPU that torch sees."""
    import torch

    if not torch.cuda.is_available():
        return []
    drivers = _output("nvidia-smi", "--query-gpu=driver_version", "--format=csv,noheader")
    driver = drivers.split()[0] if drivers else None
    return [{"name": torch.cuda.get_device_name(index), "driver": driver} for index in range(torch.cuda.device_count())]


def _output(*command: str) -> str | None:
    """What a command prints, None if it is not installed, hangs or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
