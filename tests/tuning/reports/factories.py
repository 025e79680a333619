"""Trials as a search records them, made by hand."""

from typing import Any

from tests.tuning.factories import made_row
from tuning.records.trials import BASELINE, EpochRow, Tests, TrialPlan, TrialRecord

METRIC = "recall@20"
POPULARITY = {"valid": {METRIC: 0.375}, "test": {METRIC: 0.1875}}
PARAMS = {"strategy": {"alpha": 1.0, "beta": 0.2, "interval": 3}, "train": {"lr": 0.1}, "model": {"reg": 0.5}}


def record(trial: str, value: float | None, status: Any = "finished", **more: Any) -> TrialRecord:
    """A trial of nine epochs, the fifth the best."""
    fields = _plan(trial) | {"reason": None, "epochs": 9, "best_epoch": 5}
    valid = {} if value is None else {METRIC: value}
    return TrialRecord(**fields | {"status": status, "value": value, "valid": valid} | more)


def halves(*records: TrialRecord) -> Tests:
    """The opened test metrics of trials: half of the value."""
    return {each.trial: {METRIC: each.value / 2} for each in records if each.value is not None}


def plan(trial: str, params: Any = PARAMS) -> TrialPlan:
    return TrialPlan(**_plan(trial) | {"strategy": "mg", "params": params, "time": 0.0})


def epoch(number: int, best: float) -> EpochRow:
    return made_row("0000", number, best=best)


def _plan(trial: str) -> dict[str, Any]:
    role = "baseline" if trial == BASELINE else "search"
    return {"trial": trial, "role": role, "params": PARAMS, "point": {}, "seed": 7, "threads": 1, "device": "cpu"}
