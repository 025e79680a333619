"""The queue of the trials of a search. Loads no Optuna but in `study`."""

from tuning.proposals.queue import Queue, choose_sampler, make_queue, planned_trials, remaining

__all__ = ["Queue", "choose_sampler", "make_queue", "planned_trials", "remaining"]
