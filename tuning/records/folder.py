"""The folder of one search holds its truth; Ray, Optuna and MLflow are served from it or checked against it.

spec.yaml           the SearchSpec
environment.json    versions, machine, data fingerprint, popularity's metrics, command line of each start
study.journal       Optuna's journal
ledger.jsonl        one line per trial that ended, append-only
tracking.jsonl      MLflow run ids and what has been delivered, append-only
best.yaml           the exported winner
trials/0003/        trial.json, epochs.jsonl, last.pt, best-0012.safetensors, result.json
ray/                Ray's scratch, removed when the search ends
"""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from recmodels.errors import UserError
from recmodels.files import append_line, read_lines, write_whole
from tuning.spec import Params, Scores, SearchSpec

BASELINE = "baseline"
"""The name of the trial that trains plainly; the others are called 0000, 0001, ..."""

Status = Literal["finished", "pruned", "failed"]


@dataclass(frozen=True)
class TrialRecord:
    """One line of the ledger: how a trial ended.

    `value`: the search's metric at `best_epoch`. `valid`, `test`: all metrics at that epoch; `test` only where the
    trial ran to its own end. `params`: by section, alpha and beta as such. `point`: what the sampler proposed.
    `passes`: forward and backward passes over a batch.
    """

    trial: str
    status: Status
    reason: str | None
    params: Params
    point: dict[str, Any]
    seed: int
    threads: int
    device: str
    epochs: int
    best_epoch: int | None
    value: float | None
    valid: dict[str, float] = field(default_factory=dict)
    test: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    passes: int = 0
    run_id: str | None = None

    @property
    def scores(self) -> Scores:
        return {"valid": self.valid, "test": self.test}


@dataclass(frozen=True)
class TrialFolder:
    """The files of one trial. Written by the trial's worker; `trial.json` by the driver before it starts."""

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    def plan(self) -> dict[str, Any] | None:
        """What was decided before the start: {"trial", "strategy", "params", "point", "seed", "threads", "device",
        "time" (unix s)}; None if nothing was."""
        return _read_json(self.path / "trial.json")

    def write_plan(self, plan: dict[str, Any]) -> None:
        write_whole(self.path / "trial.json", json.dumps(plan, indent=1))

    def epochs(self) -> list[dict[str, Any]]:
        """One row per epoch in order: {"epoch" (from 1), "time" (unix s), "loss", "terms", "seconds", "valid_seconds",
        "valid": {"recall@20": ...}, "passes", "steps", "skipped", "flatness" (if measured), "best", "best_epoch"}."""
        rows = {row["epoch"]: row for row in read_lines(self.path / "epochs.jsonl")}
        return [rows[epoch] for epoch in sorted(rows)]

    def append_epoch(self, row: dict[str, Any]) -> None:
        append_line(self.path / "epochs.jsonl", row)

    def forget_epochs_after(self, epoch: int) -> None:
        """Drop the rows that a restored trial will write again."""
        kept = [json.dumps(row) + "\n" for row in self.epochs() if row["epoch"] <= epoch]
        write_whole(self.path / "epochs.jsonl", "".join(kept))

    def result(self) -> dict[str, Any] | None:
        """The worker's last word: {"status", "reason", "test"}; None if it was stopped or killed."""
        return _read_json(self.path / "result.json")

    def write_result(self, result: dict[str, Any]) -> None:
        write_whole(self.path / "result.json", json.dumps(result, indent=1))


@dataclass(frozen=True)
class SearchFolder:
    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def journal(self) -> Path:
        return self.path / "study.journal"

    @property
    def tracking(self) -> Path:
        return self.path / "tracking.jsonl"

    @property
    def best(self) -> Path:
        return self.path / "best.yaml"

    @property
    def scratch(self) -> Path:
        return self.path / "ray"

    def exists(self) -> bool:
        return (self.path / "spec.yaml").exists()

    def spec(self) -> SearchSpec:
        return SearchSpec.read(self.path / "spec.yaml")

    def write_spec(self, spec: SearchSpec) -> None:
        write_whole(self.path / "spec.yaml", spec.to_yaml())

    def environment(self) -> dict[str, Any]:
        return _read_json(self.path / "environment.json") or {}

    def write_environment(self, environment: dict[str, Any]) -> None:
        write_whole(self.path / "environment.json", json.dumps(environment, indent=1))

    def trial(self, name: str) -> TrialFolder:
        return TrialFolder(self.path / "trials" / name)

    def trials(self) -> list[TrialFolder]:
        """Every trial that was ever started, the baseline last."""
        return [TrialFolder(path.parent) for path in sorted(self.path.glob("trials/*/trial.json"))]

    def append_record(self, record: TrialRecord) -> None:
        """Append to the ledger, on disk when this returns."""
        append_line(self.path / "ledger.jsonl", asdict(record), sync=True)

    def ledger(self) -> dict[str, TrialRecord]:
        """Trial name -> how it ended, in the order in which trials ended."""
        return {row["trial"]: TrialRecord(**row) for row in read_lines(self.path / "ledger.jsonl")}

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the search; UserError if another process does."""
        lock = FileLock(self.path / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            raise UserError(f"{self.path}: this search is running in another process") from None
        except OSError as error:
            raise UserError(f"{self.path}: {error.strerror}, expected a folder to write to") from None
        try:
            yield
        finally:
            lock.release()


def unfinished(trials: Iterable[TrialFolder], ledger: dict[str, TrialRecord]) -> list[TrialFolder]:
    """The trials that were started and have no line in the ledger."""
    return [trial for trial in trials if trial.name not in ledger]


def _read_json(path: Path) -> dict[str, Any] | None:
    try:
        return json.loads(path.read_text())
    except FileNotFoundError:
        return None
