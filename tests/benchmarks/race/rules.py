"""Rules that end trials early, replayed on the grid's curves: what they save, and what they lose."""

import math
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from statistics import fmean

from tests.benchmarks.race.setting import Race
from tests.benchmarks.race.simulation import Outcome
from tuning.records import EpochRow
from tuning.spec import Scheduler

GRACES, REDUCTIONS = (5, 10, 15, 20, 30, 50), (2.0, 3.0, 4.0)
PATIENCES, MOST_EPOCHS = (5, 10, 15), (50, 100, 200)
ORDERS = 20
"""Random orders of the points for a rule that depends on the order."""


@dataclass(frozen=True)
class Rule:
    """`scheduler`: one of a search's, or halving: all points side by side to `grace` epochs, one in `reduction` of them
    to `reduction` times as many, and so on. `patience`, `epochs`: of a trial; None: the race's."""

    scheduler: str = "none"
    grace: int = 1
    reduction: float = 2.0
    patience: int | None = None
    epochs: int | None = None

    def __str__(self) -> str:
        if self.patience is not None:
            return f"patience {self.patience}"
        if self.epochs is not None:
            return f"at most {self.epochs} epochs"
        halves = "" if self.scheduler == "median" else f", reduction {self.reduction:g}"
        return f"{self.scheduler}, grace {self.grace} epochs{halves}"


@dataclass(frozen=True)
class Replayed:
    """What a rule came to, against trying all points to their ends.

    `cost`: mean share of all passes. `lost`, `worst`: mean and largest share of the best value that the winner lacks.
    `kept`: share of the orders whose winner is the best point.
    """

    rule: str
    cost: float
    lost: float
    worst: float
    kept: float

    def __str__(self) -> str:
        return f"cost {self.cost:.0%}, lost {self.lost:.2%}"


def all_rules(race: Race) -> Iterator[Rule]:
    """Yield the rules that are replayed: those that end some trial earlier than the race does."""
    training = race.spec.training
    graces = [grace for grace in GRACES if grace < training.max_epochs]
    for scheduler in ("asha", "halving"):
        for grace in graces:
            yield from (Rule(scheduler, grace, reduction) for reduction in REDUCTIONS)
    yield from (Rule("median", grace) for grace in graces)
    yield from (Rule(patience=patience) for patience in PATIENCES if patience < training.patience)
    yield from (Rule(epochs=epochs) for epochs in MOST_EPOCHS if epochs < training.max_epochs)


def replay(race: Race, rule: Rule) -> Replayed:
    """Return what a rule does to the grid, whose curves are known."""
    full = race.try_points(race.grid, race.grid.points)
    found = [halving(_curves(race, full), rule)] if rule.scheduler == "halving" else list(_in_orders(race, rule))
    costs, lost = [passes / full.passes for passes, _ in found], [1 - value / full.best for _, value in found]
    return Replayed(str(rule), fmean(costs), fmean(lost), max(lost), sum(each == 0 for each in lost) / len(lost))


def _in_orders(race: Race, rule: Rule) -> Iterator[tuple[int, float]]:
    """Yield the passes and the winner's value for each order of the points."""
    training = race.spec.training
    epochs = rule.epochs or training.max_epochs
    patience = training.patience if rule.patience is None else rule.patience
    scheduler = Scheduler.model_validate(
        {"name": rule.scheduler, "grace": rule.grace / epochs, "reduction": rule.reduction}
    )
    for order in range(1 if rule.scheduler == "none" else ORDERS):
        points = list(race.grid.points)
        random.Random(order).shuffle(points)
        outcome = race.try_points(race.grid, points, scheduler, max_epochs=epochs, patience=patience)
        yield outcome.passes, (outcome.winner.value or 0.0) if outcome.winner else 0.0


def halving(curves: Sequence[Sequence[EpochRow]], rule: Rule) -> tuple[int, float]:
    """Return the passes and the winner's value of successive halving (Jamieson and Talwalkar, AISTATS 2016)."""
    alive, ended, passes = list(curves), [], 0
    reached, upto = 0, rule.grace
    while alive:
        passes += sum(row.passes for rows in alive for row in rows[reached:upto])
        ended += [rows for rows in alive if len(rows) <= upto]
        going_on = sorted(alive, key=lambda rows: rows[:upto][-1].best or 0.0, reverse=True)
        kept = going_on[: math.ceil(len(alive) / rule.reduction)] if len(alive) > 1 else alive
        alive = [rows for rows in kept if len(rows) > upto]
        reached, upto = upto, math.ceil(upto * rule.reduction)
    return passes, max(rows[-1].best or 0.0 for rows in ended)


def _curves(race: Race, full: Outcome) -> list[list[EpochRow]]:
    curves = race.curves()
    records = [each for each in full.records if each.epochs]
    return [curves.of(each.params, each.seed).rows[: each.epochs] for each in records]
