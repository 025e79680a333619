"""The queue of the trials of a search. Loads no Optuna but in `study`."""

from tuning.proposals.first import check_known, first_points
from tuning.proposals.queue import LEARNERS, Queue, choose_sampler, make_queue, planned_trials, remaining

__all__ = [
    "LEARNERS",
    "Queue",
    "check_known",
    "choose_sampler",
    "first_points",
    "make_queue",
    "planned_trials",
    "remaining",
]
