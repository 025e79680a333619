"""A Gaussian process that also learns from stopped trials: each counts as if it had ended where a forecast says.

Optuna's own leaves stopped trials out, and so may propose the neighbourhood of one again and again.
"""

from collections.abc import Mapping, Sequence
from statistics import median
from typing import Any

import optuna
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler, GPSampler, RandomSampler
from optuna.search_space import IntersectionSearchSpace
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState, create_trial

Curve = Mapping[int, float]
"""Epoch -> the best value so far, for the epochs that were evaluated, at least one."""


def forecast_end(curve: Curve, finished: Sequence[Curve]) -> float:
    """Return the value that a stopped trial would have come to: its last one and the median of what the finished trials
    gained from that epoch on.

    Never more than the best end of them, as the trial was stopped for being worse, nor less than it had.
    """
    epoch, value = max(curve), curve[max(curve)]
    if not finished:
        return value
    ends = [each[max(each)] for each in finished]
    gains = [end - _at(each, epoch) for end, each in zip(ends, finished, strict=True)]
    return max(value, min(value + median(gains), max(ends)))


def _at(curve: Curve, epoch: int) -> float:
    """Return the value after an epoch, or the first one if that came later."""
    return curve[max((each for each in curve if each <= epoch), default=min(curve))]


class ForecastingGP(BaseSampler):
    """Optuna's GPSampler, told of stopped trials. What it proposes follows from the seed and the study alone."""

    def __init__(self, seed: int):
        self.seed = seed

    def infer_relative_search_space(self, study: Study, trial: FrozenTrial) -> dict[str, BaseDistribution]:
        found = IntersectionSearchSpace(include_pruned=True).calculate(study)
        return {name: distribution for name, distribution in found.items() if not distribution.single()}

    def sample_relative(
        self, study: Study, trial: FrozenTrial, search_space: dict[str, BaseDistribution]
    ) -> dict[str, Any]:
        if not search_space:
            return {}
        sampler = GPSampler(seed=self.seed + trial.number, warn_independent_sampling=False)
        told = optuna.create_study(direction=study.direction, sampler=sampler)
        told.add_trials(as_if_finished(study.get_trials(deepcopy=False), search_space))
        return told.ask(search_space).params

    def sample_independent(
        self, study: Study, trial: FrozenTrial, param_name: str, param_distribution: BaseDistribution
    ) -> Any:
        sampler = RandomSampler(seed=self.seed + trial.number)
        return sampler.sample_independent(study, trial, param_name, param_distribution)


def as_if_finished(trials: Sequence[FrozenTrial], space: dict[str, BaseDistribution]) -> list[FrozenTrial]:
    """Return the finished and the running trials, and the stopped ones as finished where their forecast is.

    Without those that lack a parameter of the space.
    """
    finished = [
        trial.intermediate_values
        for trial in trials
        if trial.state == TrialState.COMPLETE and trial.intermediate_values
    ]
    made = []
    for trial in trials:
        state, value = trial.state, trial.value
        if state == TrialState.PRUNED and trial.intermediate_values:
            state, value = TrialState.COMPLETE, forecast_end(trial.intermediate_values, finished)
        if state in (TrialState.COMPLETE, TrialState.RUNNING) and space.keys() <= trial.params.keys():
            params = {name: trial.params[name] for name in space}
            made.append(create_trial(state=state, value=value, params=params, distributions=space))
    return made
