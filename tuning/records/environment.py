"""The environment of a search: versions, machine, source, data and the command line of each start."""

import os
import platform
import subprocess
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter, ValidationError

from recmodels.errors import UserError
from tuning.checked_file import first_fault

if TYPE_CHECKING:  # it loads numpy
    from recmodels.data.dataset import RecDataset

PACKAGES = ("torch", "ray", "optuna", "mlflow", "torch-geometric", "numpy", "pandas", "mirrortune")
_SOURCE = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Start:
    """One start of a search. `time`: ISO 8601, UTC."""

    time: str
    argv: list[str]
    host: str
    threads_per_trial: int


@dataclass(frozen=True)
class DataFacts:
    """The data set of a search: sizes, interactions of each split, and the fingerprint of its content."""

    name: str
    fingerprint: str
    users: int
    items: int
    train: int
    valid: int
    test: int

    @classmethod
    def of(cls, data: "RecDataset") -> "DataFacts":
        sizes = (data.n_users, data.n_items, len(data.train), len(data.valid), len(data.test))
        return cls(data.name, data.fingerprint, *sizes)


@dataclass(frozen=True)
class Cpu:
    name: str
    cores: int | None


@dataclass(frozen=True)
class Gpu:
    name: str
    driver: str | None


@dataclass(frozen=True)
class GitState:
    """The commit of a checkout; `dirty`: with local changes."""

    commit: str
    dirty: bool


@dataclass(frozen=True)
class Environment:
    """The environment of a search. All but `starts` describes its latest start.

    `versions`: package -> version, Python's included. `git`: None outside of a checkout.
    """

    versions: dict[str, str]
    platform: str
    cpu: Cpu
    gpus: list[Gpu]
    git: GitState | None
    data: DataFacts
    starts: list[Start]

    @classmethod
    def now(
        cls, data: "RecDataset", argv: Sequence[str], threads_per_trial: int, earlier: "Environment | None" = None
    ) -> "Environment":
        """Describe this start. `earlier`: the environment of the search before it, whose starts are kept."""
        time = datetime.now(UTC).isoformat(timespec="seconds")
        return cls(
            versions=versions(),
            platform=platform.platform(),
            cpu=Cpu(_cpu_name(), os.cpu_count()),
            gpus=_gpus(),
            git=git_state(_SOURCE),
            data=DataFacts.of(data),
            starts=[*(earlier.starts if earlier else []), Start(time, list(argv), platform.node(), threads_per_trial)],
        )

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @staticmethod
    def from_json(content: Any, source: Path) -> "Environment":
        """Return the environment that `to_json` wrote to the file `source`. UserError for another content."""
        try:
            return TypeAdapter(Environment).validate_python(content)
        except ValidationError as error:
            raise UserError(f"{source}: {first_fault(error)}") from None


def versions() -> dict[str, str]:
    """Return the version of Python and of each installed package of PACKAGES."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def git_state(root: Path) -> GitState | None:
    """Return the state of the checkout at `root`; None if it is not one or has no commit, or without git."""
    # Installed into another project's folder, git would answer for that project.
    if not (root / ".git").exists():
        return None
    commit = _output("git", "-C", str(root), "rev-parse", "HEAD")
    changes = _output("git", "-C", str(root), "status", "--porcelain")
    return None if commit is None or changes is None else GitState(commit, dirty=changes != "")


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def _gpus() -> list[Gpu]:
    """Return each GPU of this machine by NVIDIA's own tool: to ask torch would take memory on a card, for good."""
    listed = _output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader") or ""
    cards = (line.rpartition(",") for line in listed.splitlines() if "," in line)
    return [Gpu(name.strip(), driver.strip()) for name, _, driver in cards]


def _output(*command: str) -> str | None:
    """Return the output of a command; None if it is not installed, hangs or fails."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=10, check=True).stdout.strip()
    except (OSError, subprocess.SubprocessError):
        return None
