"""The records of one trial: its plan, a row for each epoch, its result, and its line in the ledger."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, ClassVar, Literal, Self

from recmodels.errors import UserError
from tuning.checked_file import FORMAT, check_format
from tuning.spec import Params

Role = Literal["search", "baseline", "confirmation", "replay"]
"""A trial of the search itself, the plain training that it is measured by, a winner on a fresh seed, or a replay."""

Status = Literal["finished", "pruned", "failed"]

Tests = Mapping[str, Mapping[str, float]]
"""Trial name -> test metrics, of trials whose test metrics may be seen: `tuning.records.sealed` opens them."""

BASELINE = "baseline"
"""The name of the trial that trains plainly; the others are called 0000, 0001, ..."""


class _Stored:
    """A frozen dataclass kept as JSON. `versioned`: with the format's version. `unread`: keys of older files that are
    none of its fields."""

    versioned: ClassVar[bool] = False
    unread: ClassVar[frozenset[str]] = frozenset()

    def to_json(self) -> dict[str, Any]:
        version = {"format": FORMAT} if self.versioned else {}
        return version | asdict(self)  # type: ignore[call-overload]  # every subclass is a dataclass

    @classmethod
    def from_json(cls, content: Mapping[str, Any], source: Path) -> Self:
        """Return the value that `to_json` wrote to the file `source`. UserError for another version or shape."""
        values = {name: value for name, value in content.items() if name not in cls.unread}
        if cls.versioned:
            check_format(values.pop("format", 0), source)  # 0: from before files had a version
        try:
            return cls(**values)
        except TypeError as error:
            raise UserError(f"{source}: not a {cls.__name__}: {str(error).partition('() ')[2]}") from None


@dataclass(frozen=True, kw_only=True)
class _Configuration(_Stored):
    """The part of a plan that its record repeats."""

    versioned = True

    trial: str
    role: Role
    params: Params
    point: dict[str, Any]
    seed: int
    threads: int
    device: str


@dataclass(frozen=True, kw_only=True)
class TrialPlan(_Configuration):
    """A configuration to train, decided before its trial starts.

    `params`: by section, alpha and beta as such. `point`: what the sampler proposed, dimension -> value. `threads`,
    `device` ("cpu" or "cuda"): what it runs on. `time`: of the decision, in unix seconds.
    """

    strategy: str
    time: float


@dataclass(frozen=True)
class EpochRow(_Stored):
    """One epoch of a trial, counted from 1.

    `time`: its end, in unix seconds. `loss`: mean over the batches; `terms`: the same by named term. `seconds`,
    `valid_seconds`: of training and of evaluation. `passes`, `steps`, `skipped`: forward and backward
    passes, optimiser steps, batches left out. `valid`: metrics, {} where they were not measured. `best`: the largest
    value of the search's metric so far, reached at `best_epoch`; None before the first evaluation. `flatness`: where it
    was measured.
    """

    epoch: int
    time: float
    loss: float
    terms: dict[str, float]
    seconds: float
    valid_seconds: float
    valid: dict[str, float]
    passes: int
    steps: int
    skipped: int
    best: float | None
    best_epoch: int | None
    flatness: dict[str, float] = field(default_factory=dict)

    @property
    def evaluated(self) -> bool:
        return bool(self.valid)


@dataclass(frozen=True)
class TrialResult(_Stored):
    """The end of a trial that was not stopped. Its test metrics are in a file of their own: `tuning.records.sealed`.

    `measured`: objectives that were measured at the weights of its best epoch, by name, which took `measured_seconds`.
    """

    unread = frozenset({"test"})

    status: Status
    reason: str
    measured: dict[str, float] = field(default_factory=dict)
    measured_seconds: float = 0.0


@dataclass(frozen=True, kw_only=True)
class TrialRecord(_Configuration):
    """One line of the ledger: a trial that has ended, and its plan.

    `value`: the search's metric at `best_epoch`. `valid`: all metrics at that epoch. `seconds`: of training and
    evaluation. `passes`: forward and backward passes over a batch. `measured`, `measured_seconds`: as of a TrialResult.
    Older lines also have test metrics, which are not read here.
    """

    unread = frozenset({"test"})

    status: Status
    reason: str | None
    epochs: int
    best_epoch: int | None
    value: float | None
    valid: dict[str, float] = field(default_factory=dict)
    seconds: float = 0.0
    passes: int = 0
    measured: dict[str, float] = field(default_factory=dict)
    measured_seconds: float = 0.0


def best_row(rows: list[EpochRow]) -> EpochRow | None:
    """Return the row of the best epoch; None if none was evaluated."""
    return next((row for row in rows if row.epoch == rows[-1].best_epoch), None) if rows else None


def until_evaluated(rows: list[EpochRow]) -> list[EpochRow]:
    """Return the rows up to the last one that was evaluated."""
    return rows[: max((number for number, row in enumerate(rows, start=1) if row.evaluated), default=0)]


def record_of(plan: TrialPlan, rows: list[EpochRow], result: TrialResult) -> TrialRecord:
    """Return the ledger's line for a trial that ended."""
    best = best_row(rows)
    return TrialRecord(
        **{each.name: getattr(plan, each.name) for each in fields(_Configuration)},
        status=result.status,
        reason=result.reason,
        epochs=len(rows),
        best_epoch=best.epoch if best else None,
        value=best.best if best else None,
        valid=best.valid if best else {},
        seconds=sum(row.seconds + row.valid_seconds for row in rows),
        passes=sum(row.passes for row in rows),
        measured=result.measured,
        measured_seconds=result.measured_seconds,
    )
