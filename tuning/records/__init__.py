"""The records that a search leaves on disk, from which it is resumed and reported. Loads no torch."""

from tuning.records.confirmation import Confirmation, Difference, Spread
from tuning.records.environment import Environment
from tuning.records.folder import SearchFolder, TrialFolder
from tuning.records.selection import baseline, ranked, winner
from tuning.records.trials import BASELINE, EpochRow, Role, Status, Tests, TrialPlan, TrialRecord, TrialResult

__all__ = [
    "BASELINE",
    "Confirmation",
    "Difference",
    "Environment",
    "EpochRow",
    "Role",
    "SearchFolder",
    "Spread",
    "Status",
    "Tests",
    "TrialFolder",
    "TrialPlan",
    "TrialRecord",
    "TrialResult",
    "baseline",
    "ranked",
    "winner",
]
