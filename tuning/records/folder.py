"""The folder of a search is its record: Ray, Optuna and MLflow are served from it or checked against it.

spec.yaml           the SearchSpec
environment.json    versions, machine, data fingerprint, command line of each start
popularity.json     the metrics of the ranking by popularity
study.journal       Optuna's journal
ledger.jsonl        one line per trial that ended, append-only
tracking.jsonl      the ids of the search's runs in MLflow, append-only
best.yaml           the exported winner
report.html         the search as a page to look at, if one was made
analyses.jsonl      verdicts and numbers of analyses of the winner, append-only
confirmation.yaml   the trial that was chosen on fresh seeds, with its figures there, if there was a choice
trials/0003/        trial.json, epochs.jsonl, last.pt, best-0012.safetensors, users.npy, test.json,
                    result.json; or out_of_memory.txt; stored.json: where a storage has its checkpoint
ray/                Ray's scratch, removed when the search ends
"""

import json
import os
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from recmodels.errors import UserError
from recmodels.files import append_line, read_lines, write_whole
from tuning.records.environment import Environment
from tuning.records.ledger import Ledger
from tuning.records.selection import contenders
from tuning.records.trials import EpochRow, TrialPlan, TrialRecord, TrialResult, record_of, until_evaluated
from tuning.spec import Scores, SearchSpec


@dataclass(frozen=True)
class TrialFolder:
    """The files of one trial. The driver writes trial.json before the trial starts, its worker all others.

    test.json is only written here: `tuning.records.sealed` reads it. `written` and `checkpointed` say when files are
    complete, for folders that are copies of one on another machine: they send them there.
    """

    path: Path

    @property
    def name(self) -> str:
        return self.path.name

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep other processes from running the trial: the worker of a killed driver may take a moment to die."""
        with FileLock(self.path / ".lock"):
            yield

    def written(self, *names: str) -> None:
        """Tell that the files of these names are whole, or gone."""

    def checkpointed(self, weights: Path | None, *, ends: bool) -> None:
        """Tell that last.pt and the file of the best weights so far are whole. `ends`: they are the last ones."""

    def plan(self) -> TrialPlan:
        """Read trial.json. UserError if it is missing, damaged or of another version."""
        return TrialPlan.from_json(read_json(self.path / "trial.json"), self.path / "trial.json")

    def write_plan(self, plan: TrialPlan) -> None:
        _write_json(self.path / "trial.json", plan.to_json())

    def epochs(self) -> list[EpochRow]:
        """Return the epochs that were trained, in order; of two rows of one epoch the later one."""
        path = self.path / "epochs.jsonl"
        rows = {row["epoch"]: EpochRow.from_json(row, path) for row in read_lines(path)}
        return [rows[epoch] for epoch in sorted(rows)]

    def append_epoch(self, row: EpochRow) -> None:
        append_line(self.path / "epochs.jsonl", row.to_json())

    def forget_epochs_after(self, epoch: int) -> None:
        """Drop the rows that a restored trial will write again."""
        rows = [json.dumps(row.to_json()) + "\n" for row in self.epochs() if row.epoch <= epoch]
        write_whole(self.path / "epochs.jsonl", "".join(rows))
        self.written("epochs.jsonl")

    def result(self) -> TrialResult | None:
        """Return how the trial came to its end; None if it was stopped or killed, or still runs."""
        path = self.path / "result.json"
        return TrialResult.from_json(read_json(path), path) if path.exists() else None

    def write_result(self, result: TrialResult) -> None:
        _write_json(self.path / "result.json", result.to_json())
        self.written("result.json")

    def write_test(self, metrics: Mapping[str, float]) -> None:
        """Write down the test metrics of the best epoch's weights, apart from all that is read before the choice."""
        _write_json(self.path / "test.json", metrics)
        self.written("test.json")

    def write_error(self, text: str) -> None:
        """Write down the exception that ended the trial, for people."""
        write_whole(self.path / "error.txt", text)
        self.written("error.txt")

    def out_of_memory(self) -> str | None:
        """Return why the latest start of the trial ran out of memory; None if it did not."""
        path = self.path / "out_of_memory.txt"
        return path.read_text(encoding="utf-8") if path.exists() else None

    def write_out_of_memory(self, reason: str | None) -> None:
        """Write down that the trial ran out of memory, or with None that it did not."""
        path = self.path / "out_of_memory.txt"
        if reason is None:
            path.unlink(missing_ok=True)
        else:
            write_whole(path, reason)
        self.written(path.name)

    def best_weights(self, epoch: int) -> Path:
        """Return the file that has the evaluation weights of epoch `epoch`, if that is the best one."""
        return self.path / f"best-{epoch:04d}.safetensors"

    @property
    def user_values(self) -> Path:
        """The file of the users' validation metrics; see `tuning.records.user_values`."""
        return self.path / "users.npy"


@dataclass(frozen=True)
class SearchFolder:
    """The files of one search."""

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
    def confirmation(self) -> Path:
        return self.path / "confirmation.yaml"

    @property
    def report(self) -> Path:
        """The page for people, of which there may be none."""
        return self.path / "report.html"

    @property
    def scratch(self) -> Path:
        return self.path / "ray"

    @classmethod
    def of(cls, spec: SearchSpec) -> "SearchFolder":
        """Return the folder of a search, which need not exist yet."""
        return cls((Path(spec.output_dir) / spec.name).resolve())

    def exists(self) -> bool:
        return (self.path / "spec.yaml").exists()

    def spec(self) -> SearchSpec:
        return SearchSpec.read(self.path / "spec.yaml")

    def write_spec(self, spec: SearchSpec) -> None:
        write_whole(self.path / "spec.yaml", spec.to_yaml())

    def environment(self) -> Environment | None:
        """Read environment.json; None before the first start."""
        path = self.path / "environment.json"
        return Environment.from_json(read_json(path), path) if path.exists() else None

    def write_environment(self, environment: Environment) -> None:
        _write_json(self.path / "environment.json", environment.to_json())

    def popularity(self) -> Scores | None:
        """Return the metrics of the ranking by popularity, the floor of every model; None before the first start."""
        path = self.path / "popularity.json"
        return read_json(path) if path.exists() else None

    def write_popularity(self, scores: Scores) -> None:
        _write_json(self.path / "popularity.json", scores)

    def trial(self, name: str) -> TrialFolder:
        return TrialFolder(self.path / "trials" / name)

    def trials(self) -> list[TrialFolder]:
        """Return every trial that was ever started, by name, the baseline last."""
        return self.trials_except(())

    def trials_except(self, names: Collection[str]) -> list[TrialFolder]:
        """Return every trial that was ever started but those of these names, in whose folders it does not look."""
        folder = self.path / "trials"
        found = sorted(set(os.listdir(folder)).difference(names)) if folder.exists() else []
        return [self.trial(name) for name in found if (folder / name / "trial.json").exists()]

    def plans(self) -> list[TrialPlan]:
        """Return the plan of every trial that was ever started, the baseline's last."""
        return [trial.plan() for trial in self.trials()]

    def unfinished(self) -> list[TrialPlan]:
        """Return the plans of the trials that were started and have no line in the ledger."""
        return [trial.plan() for trial in self.trials_except(self.ledger())]

    def out_of_memory(self) -> dict[str, str]:
        """Return name -> reason of the trials without a result whose latest start ran out of memory."""
        reasons = {plan.trial: self.trial(plan.trial).out_of_memory() for plan in self.unfinished()}
        return {name: reason for name, reason in reasons.items() if reason}

    def append_record(self, record: TrialRecord) -> None:
        """Append a line to the ledger; it is on disk when this returns."""
        append_line(self.path / "ledger.jsonl", record.to_json(), sync=True)

    def ledger(self) -> dict[str, TrialRecord]:
        """Return trial name -> record of the trials that have ended, in the order in which they ended."""
        return self.open_ledger().records()

    def contenders(self) -> list[TrialRecord]:
        """Return the trials that may be chosen, the best first; if none has ended with a value, those that the end of
        the budget or the user stopped: better than no result at all.

        These count as far as they were evaluated: a replay evaluates its last epoch, and is to find no other best one.
        """
        stopped = TrialResult("pruned", "the search was stopped")
        if found := contenders(self.ledger().values()):
            return found
        rows = [(plan, until_evaluated(self.trial(plan.trial).epochs())) for plan in self.unfinished()]
        return contenders(record_of(plan, epochs, stopped) for plan, epochs in rows if epochs)

    def open_ledger(self) -> Ledger:
        """Return a reader of the ledger, for who looks again and again."""
        return Ledger(self.path / "ledger.jsonl")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Keep other processes from running the search. UserError if one of them runs it.

        A search that has not begun by the end leaves no folder.
        """
        lock = FileLock(self.path / ".lock")
        made = [folder for folder in (self.path, self.path.parent) if not folder.exists()]
        try:
            lock.acquire(timeout=0.5)  # `holder.is_held` looks for a moment
        except Timeout:
            raise UserError(f"{self.path}: this search is running in another process") from None
        except OSError as error:
            raise UserError(f"{self.path}: {error.strerror}, expected a folder to write to") from None
        try:
            yield
        finally:
            if not self.exists():
                (self.path / ".lock").unlink(missing_ok=True)
                for folder in made:
                    with suppress(OSError):  # somebody else has put something there
                        folder.rmdir()
            lock.release()


def _write_json(path: Path, content: Any) -> None:
    write_whole(path, json.dumps(content, indent=1))


def read_json(path: Path) -> Any:
    """Return the content of a JSON file. UserError, one line, if it is missing or damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error})") from None
