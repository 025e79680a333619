"""The end of a search's budget, as Ray Tune's stopper."""

import math
import time
from collections.abc import Sequence
from typing import Any

from ray import tune

from tuning.records import SearchFolder
from tuning.spec import SearchSpec


class OutOfBudget(tune.Stopper):
    """Stops everything when the spec's seconds (from this start), epochs or passes (of the search) are used up.

    `faults`: why no trial can run where they do, as soon as that is found out; then everything is stopped as well.
    """

    def __init__(self, spec: SearchSpec, folder: SearchFolder, faults: Sequence[str] = ()):
        budget, self.faults = spec.budget, faults
        self.end = time.monotonic() + budget.seconds if budget.seconds else math.inf
        self.epochs_left: float = budget.epochs or math.inf
        self.passes_left: float = budget.passes or math.inf
        if budget.epochs or budget.passes:
            for trial in folder.trials():
                for row in trial.epochs():
                    self._spend(row.passes)

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:
        self._spend(result.get("passes", 0))  # the last message of a trial without an epoch has none
        return False

    def stop_all(self) -> bool:
        return bool(self.faults) or self.epochs_left <= 0 or self.passes_left <= 0 or time.monotonic() > self.end

    def _spend(self, passes: int) -> None:
        self.epochs_left -= 1
        self.passes_left -= passes
