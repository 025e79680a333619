"""The records that a search leaves on disk, from which it is resumed and reported. Loads no torch."""

from tuning.records.environment import Environment
from tuning.records.folder import SearchFolder, TrialFolder
from tuning.records.selection import baseline, ranked, winner
from tuning.records.trials import BASELINE, EpochRow, Role, Status, Tests, TrialPlan, TrialRecord, TrialResult
from tuning.records.user_values import UserValues, read_user_values, write_user_values

__all__ = [
    "BASELINE",
    "Environment",
    "EpochRow",
    "Role",
    "SearchFolder",
    "Status",
    "Tests",
    "TrialFolder",
    "TrialPlan",
    "TrialRecord",
    "TrialResult",
    "UserValues",
    "baseline",
    "ranked",
    "read_user_values",
    "winner",
    "write_user_values",
]
