"""The queue of a search: plans in order, each made when a trial can start. Loads no optuna."""

import time
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Protocol

from tuning.records import SearchFolder, TrialPlan
from tuning.space import Space
from tuning.spec import Params, SearchSpec

GP_LIMIT = 200
"""A Gaussian process costs time cubic in the trials; beyond this budget `auto` takes TPE."""

LEARNERS = ("gp", "tpe")
"""The samplers that learn from values which they did not ask for."""

Queue = Iterator[TrialPlan]
"""Plans in the order in which they shall run; it ends when the search has started all that it should."""


class Proposer(Protocol):
    """A source of points, such as an Optuna study."""

    def ask(self, name: str, index: int) -> dict[str, Any] | None:
        """Return the point of the `index`-th trial, called `name`; None if no point is left."""


def make_queue(spec: SearchSpec, folder: SearchFolder, proposer: Proposer) -> Queue:
    """Yield interrupted trials, then the trials that were not started yet."""
    rest = seeds(spec, folder) if spec.role == "confirmation" else proposals(spec, folder, proposer)
    return chain(interrupted(folder), rest)


def interrupted(folder: SearchFolder) -> Queue:
    """Yield the trials that were started and have not ended."""
    yield from folder.unfinished()


def proposals(spec: SearchSpec, folder: SearchFolder, proposer: Proposer) -> Queue:
    """Yield a trial for each point that the proposer has, up to the budget."""
    for index in range(_started(folder), planned_trials(spec)):
        point = proposer.ask(name := trial_name(index), index)
        if point is None:
            return
        yield _plan(spec, name, spec.space.resolve(point), point)


def seeds(spec: SearchSpec, folder: SearchFolder) -> Queue:
    """Yield the spec's points on one seed, then on the next one, from the spec's on."""
    points = spec.confirmed or ({},)
    for index in range(_started(folder), planned_trials(spec)):
        later, place = divmod(index, len(points))
        point = points[place]
        yield _plan(spec, trial_name(index), spec.space.resolve(point), point, seed=spec.training.seed + later)


def remaining(spec: SearchSpec, folder: SearchFolder) -> int:
    """Return how many trials have not ended, or not even started."""
    return len(folder.unfinished()) + max(0, planned_trials(spec) - _started(folder))


def planned_trials(spec: SearchSpec) -> int:
    """Return the number of trials, without an older search's baseline: a grid may have fewer points than the budget
    allows trials."""
    trials = spec.budget.trials
    if spec.role == "confirmation" or choose_sampler(spec.space, trials, spec.sampler) != "grid":
        return trials
    return min(trials, spec.space.grid_size() or trials)


def choose_sampler(space: Space, trials: int, named: str = "auto", known: int = 0) -> str:
    """Return the `named` sampler, but the grid for a space of one point, as all trials of another would be the same.

    `auto`: the grid if the budget covers it or the space is a list of points, else a Gaussian process, TPE for large
    budgets. `known`: values of earlier searches that the sampler is told.
    """
    points = space.grid_size()
    if named != "auto" and points != 1:
        return named
    if space.points or (points is not None and points <= trials):
        return "grid"
    return "gp" if trials + known <= GP_LIMIT else "tpe"


def trial_name(index: int) -> str:
    return f"{index:04d}"


def _started(folder: SearchFolder) -> int:
    return sum(plan.role != "baseline" for plan in folder.plans())


def _plan(spec: SearchSpec, name: str, params: Params, point: Mapping[str, Any], **changes: Any) -> TrialPlan:
    """Make a plan of the search, with `changes`; threads and device are set when its trial starts."""
    usual: dict[str, Any] = {
        "role": spec.role,
        "strategy": spec.strategy,
        "seed": spec.training.seed,
        "threads": 1,
        "device": "cpu",
    }
    return TrialPlan(trial=name, params=params, point=dict(point), time=time.time(), **(usual | changes))
