"""The events of a running search."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tuning.records import EpochRow, SearchFolder, TrialPlan, TrialRecord

if TYPE_CHECKING:  # which itself imports this module
    from tuning.execution.ray_tune.placement import TrialResources


class Observer:
    """Hears what happens; override the methods of interest. They are called from the thread that runs the search."""

    def placed(self, resources: "TrialResources") -> None:
        """The trials get these cores and GPUs; told before they begin."""

    def begins(self, history: Sequence[TrialRecord]) -> None:
        """Trials run from now on; `history`: the trials that ended in earlier starts of the search."""

    def running(self, plan: TrialPlan, row: EpochRow | None) -> None:
        """A trial has started (None), or trained the epoch of `row`."""

    def ended(self, record: TrialRecord) -> None:
        """A trial has ended and is in the ledger."""

    def lost(self, plan: TrialPlan, reason: str) -> None:
        """A trial ran out of memory: it has no result, and a resume tries it again."""

    def ends(self) -> None:
        """No trial runs any more."""

    def concluded(self, folder: SearchFolder) -> None:
        """The result of the search is known and exported; the tracking store gets the rest of the folder after this."""

    def say(self, text: str) -> None:
        """Something a person should know, in one line."""
