"""The choice of the best trial, by the validation value alone: an import contract keeps test metrics from here."""

import math
from collections.abc import Iterable

from tuning.records.trials import TrialRecord

_ORDER = {"finished": 0, "pruned": 1, "failed": 2}


def ranked(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials but the baseline, best first: finished before pruned before failed, then by value and name."""
    return sorted((record for record in records if record.role != "baseline"), key=_rank)


def winner(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """Return the trial with the largest value: a pruned one only if none finished, never a failed one."""
    return next(iter(contenders(records)), None)


def contenders(records: Iterable[TrialRecord]) -> list[TrialRecord]:
    """Return the trials that may be chosen, the winner first: those with a value that did not fail."""
    return [record for record in ranked(records) if record.status != "failed" and record.value is not None]


def baseline(records: Iterable[TrialRecord]) -> TrialRecord | None:
    """Return the trial that trained the base plainly; None if it has not ended."""
    return next((record for record in records if record.role == "baseline"), None)


def _rank(record: TrialRecord) -> tuple[int, float, str]:
    return _ORDER[record.status], math.inf if record.value is None else -record.value, record.trial
