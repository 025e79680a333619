"""The stages of a race, in processes side by side, and what they came to."""

import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch

from tests.benchmarks.race.luck import Luck, luck
from tests.benchmarks.race.rules import Replayed, all_rules, replay
from tests.benchmarks.race.setting import SAMPLERS, Method, Race
from tests.benchmarks.race.simulation import Outcome
from tuning.records import TrialRecord
from tuning.space import Params

USUAL = ("grid", "offline", "race", "confirm")
STAGES = (*USUAL, "seeds")
Runs = dict[Method, list[Outcome]]
"""The searches of each method, one for each seed of the sampler."""


@dataclass(frozen=True)
class Plan:
    """What is done. `methods`: those that race. `share`: passes of a search, of the grid's. `confirm`: whose winners go
    on fresh seeds. `jobs`, `threads`: processes that train, and threads of each."""

    stages: tuple[str, ...]
    methods: tuple[Method, ...]
    share: float
    sampler_seeds: int
    seeds: int
    confirm: tuple[Method, ...]
    jobs: int
    threads: int
    output: Path


@dataclass
class Found:
    """What the stages came to. `grid`, `authors`: these points as searches in their order. `confirmed`: the runs of a
    winner on fresh seeds, by `_shown`."""

    grid: Outcome
    authors: Outcome
    offline: Runs = field(default_factory=dict)
    raced: Runs = field(default_factory=dict)
    rules: list[Replayed] = field(default_factory=list)
    confirmed: dict[str, list[TrialRecord]] = field(default_factory=dict)
    luck: Luck | None = None


def stages(race: Race, plan: Plan) -> Iterator[Found]:
    """Yield what is known after each stage of the plan."""
    found = train_grid(race, plan)
    yield found
    if "offline" in plan.stages:
        found.offline = _searches(race.search_grid, plan, "offline")
        found.rules = replay_rules(race, plan)
        yield found
    if {"race", "confirm"} & set(plan.stages):
        found.raced = _searches(race.search, plan, "race", round(plan.share * found.grid.passes))
        yield found
    if "confirm" in plan.stages:
        found.confirmed = confirm(race, plan, found)
        yield found
    if "seeds" in plan.stages:
        found.luck = try_seeds(race, plan)
        yield found


def train_grid(race: Race, plan: Plan) -> Found:
    """Train every point of the grid and the authors' to its end."""
    tasks = {shown(params): (race.train, params, race.spec.training.seed) for params in race.configurations()}
    for _ in each_done(tasks, plan, "grid"):
        pass
    return Found(race.try_points(race.grid, race.grid.points), race.try_points(race.authors, race.authors.points))


def confirm(race: Race, plan: Plan, found: Found) -> dict[str, list[TrialRecord]]:
    """Train the winners of the plan's methods and of the grid on fresh seeds; return the runs of each configuration."""
    outcomes = [found.grid, *(outcome for method in plan.confirm for outcome in found.raced[method])]
    winners = {shown(best.params): best.params for best in (outcome.winner for outcome in outcomes) if best}
    seeds = _fresh(race, plan)
    tasks = {f"{name}, seed {seed}": (race.train, winners[name], seed) for name in winners for seed in seeds}
    done = dict(each_done(tasks, plan, "confirm"))
    return {name: [done[f"{name}, seed {seed}"].records[0] for seed in seeds] for name in winners}


def try_seeds(race: Race, plan: Plan) -> Luck:
    """Train every point of the grid on fresh seeds too, and return what these say of the race's own."""
    seeds = _fresh(race, plan)
    points = {shown(params): params for params in map(race.grid.resolve, race.grid.points)}
    tasks = {f"{name}, seed {seed}": (race.train, points[name], seed) for seed in seeds for name in points}
    for _ in each_done(tasks, plan, "seeds"):
        pass
    own = race.spec.training.seed
    return luck(race, [race.try_points(race.grid, race.grid.points, seed=seed) for seed in (own, *seeds)])


def _fresh(race: Race, plan: Plan) -> list[int]:
    return [race.spec.training.seed + 1 + each for each in range(plan.seeds)]


def replay_rules(race: Race, plan: Plan) -> list[Replayed]:
    """Replay every rule that ends trials early on the grid's curves."""
    tasks = {str(rule): (replay, race, rule) for rule in all_rules(race)}
    done = dict(each_done(tasks, plan, "rules"))
    return [done[name] for name in tasks]


def shown(params: Params) -> str:
    """Return the strategy's numbers of a configuration as text."""
    numbers = {name: value for name, value in params["strategy"].items() if type(value) in (int, float)}
    return ", ".join(f"{name} {value:.6g}" for name, value in numbers.items())


def _searches(search: Callable[..., Outcome], plan: Plan, stage: str, *more: Any) -> Runs:
    """Run a search by each of the plan's methods from every seed of the sampler.

    One task for what a sampler does without and with pruning: the second finds on the disk what both propose.
    """
    samplers = {sampler: [each for each in plan.methods if each.sampler == sampler] for sampler in SAMPLERS}
    tasks = {
        f"{', '.join(map(str, methods))}, sampler's seed {seed}": (_in_turn, search, methods, seed, *more)
        for seed in range(plan.sampler_seeds)
        for methods in samplers.values()
        if methods
    }
    found: Runs = {method: [] for method in plan.methods}
    done = dict(each_done(tasks, plan, stage))
    for name, (_, _, methods, *_) in tasks.items():
        for method, outcome in zip(methods, done[name], strict=True):
            found[method].append(outcome)
    return found


def _in_turn(search: Callable[..., Outcome], methods: Sequence[Method], *more: Any) -> tuple[Outcome, ...]:
    return tuple(search(method, *more) for method in methods)


def each_done(tasks: Mapping[str, tuple[Any, ...]], plan: Plan, stage: str) -> Iterator[tuple[str, Any]]:
    """Yield the name and the result of each task, a function and its arguments, as they end; says so on stderr."""
    began = time.monotonic()
    for number, (name, result) in enumerate(_results(tasks, plan), start=1):
        results = result if isinstance(result, tuple) else (result,)
        minutes, came_to = (time.monotonic() - began) / 60, "; ".join(map(str, results))
        print(f"{stage} {number}/{len(tasks)}, {minutes:.1f} min: {name}: {came_to}", file=sys.stderr, flush=True)
        yield name, result


def _results(tasks: Mapping[str, tuple[Any, ...]], plan: Plan) -> Iterator[tuple[str, Any]]:
    if plan.jobs == 1:
        torch.set_num_threads(plan.threads)
        for name, (function, *arguments) in tasks.items():
            yield name, function(*arguments)
        return
    with ProcessPoolExecutor(plan.jobs, get_context("spawn"), torch.set_num_threads, (plan.threads,)) as pool:
        names = {pool.submit(*task): name for name, task in tasks.items()}
        for future in as_completed(names):
            yield names[future], future.result()
