"""Several objectives of one search: which there are, and which trials are best when they disagree. Loads no torch."""

from tuning.objectives.objective import KNEE, MEASURED, Objective, check_objectives, objectives_of
from tuning.objectives.pareto import front, knee, spread_over

__all__ = ["KNEE", "MEASURED", "Objective", "check_objectives", "front", "knee", "objectives_of", "spread_over"]
