"""The sharpness of exports: every measure on the same batches and draws for all, in one or more scopes of weights."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from recmodels.analysis.fixed_loss import FixedLoss, Scope, scoped
from recmodels.analysis.flatness import Reading, Task, measured
from recmodels.data import RecDataset
from recmodels.models import Recommender
from recmodels.training import make_strategy
from recmodels.training.optimizers import learning_rate
from tuning.analyses.fixed import Advance, Fixed
from tuning.analyses.results import Results, finite
from tuning.analyses.subjects import Analyzed, Trained
from tuning.export import Export

Further = Callable[[Sequence[Reading]], list[Reading]]


@dataclass(frozen=True)
class Measured:
    """What one task said of one export.

    `number`: of the export. `loss`: at the trained weights, None if it is not finite. `norm`, `weights`: Euclidean norm
    and number of the scope's weights; `sizes`: root mean square of each of its tables of ids. `seconds`, `forward`,
    `backward`: time and passes over a batch that it took.
    """

    number: int
    scope: Scope
    task: Task
    readings: list[Reading]
    loss: float | None
    norm: float
    weights: int
    sizes: dict[str, float]
    seconds: float
    forward: int
    backward: int

    def of_loss(self, reading: Reading) -> float | None:
        """Return a reading divided by the loss's magnitude; None without either."""
        return None if reading.value is None or not self.loss else reading.value / abs(self.loss)


@dataclass(frozen=True)
class Sharpness:
    """Everything that was measured, export by export, and, a line each, what could not be."""

    fixed: Fixed
    found: list[Measured]
    left_out: tuple[str, ...]


def measure_sharpness(
    analyzed: Analyzed,
    fixed: Fixed,
    scopes: Sequence[Scope],
    tasks: Sequence[Task],
    results: Results,
    advance: Advance = lambda: None,
) -> Sharpness:
    """Compute what `results` has not yet, a task at a time, and return the whole. UserError without any weights."""
    found, left_out = [], []
    for number, subject in enumerate(analyzed.subjects):
        model = analyzed.model(number)
        for scope in scopes:
            if scope == "all" or scoped(model, scope):
                further = partial(penalty, subject.export, model) if scope == "all" else no_further
                trained = Trained(subject.label, analyzed.weights[number].digest, lambda model=model: model)  # type: ignore[misc]
                found += measure_scope(trained, number, analyzed.data, fixed, scope, tasks, results, advance, further)
            else:
                left_out.append(f"{subject.label}: {subject.export.model} has no trained weights of the scope {scope}")
                for _ in tasks:
                    advance()
    return Sharpness(fixed, found, tuple(left_out))


def no_further(readings: Sequence[Reading]) -> list[Reading]:
    """Return no reading."""
    return []


def measure_scope(
    trained: Trained,
    number: int,
    data: RecDataset,
    fixed: Fixed,
    scope: Scope,
    tasks: Sequence[Task],
    results: Results,
    advance: Advance,
    further: Further = no_further,
) -> list[Measured]:
    """Compute what `results` has not yet of one model, a task at a time, and return the whole.

    `number`: that the results get. `further`: returns what else follows from the readings of the gradient. UserError
    for a scope without weights.
    """
    key = {"digest": trained.digest, "scope": scope, **asdict(fixed)}
    keys = {task: key | {"task": asdict(task)} for task in tasks}
    if missing := [task for task in tasks if results.find(keys[task]) is None]:
        model = trained.load()
        with fixed.loss(model, data, scope) as loss:
            of_loss = {"loss": finite(loss()), "norm": loss.norm, "weights": len(loss.point)} | _sizes(model, loss)
            for task in missing:
                results.keep(keys[task], of_loss | _timed(task, loss, fixed, further))
                advance()
    for _ in range(len(tasks) - len(missing)):
        advance()
    return [_measured(number, scope, task, results.find(keys[task])) for task in tasks]


def _timed(task: Task, loss: FixedLoss, fixed: Fixed, further: Further) -> dict[str, Any]:
    start, before = time.perf_counter(), (loss.counts.forward, loss.counts.backward)
    readings = measured(task, loss, fixed.seed)
    if task.measure == "gradient":
        readings += further(readings)
    forward, backward = (
        now - then for now, then in zip((loss.counts.forward, loss.counts.backward), before, strict=True)
    )
    cost = {"seconds": time.perf_counter() - start, "forward": forward, "backward": backward}
    return {"readings": [list(reading) for reading in readings], **cost}


def penalty(export: Export, model: Recommender, readings: Sequence[Reading]) -> list[Reading]:
    """Return the first-order penalty of Theorem 3.2 that the export's own strategy adds, at the learning rate of the
    epoch of its weights; [] if it does not mirror."""
    squared = {reading.measure: reading.value for reading in readings}["gradient_norm_squared"]
    rule = make_strategy(export.strategy, model, export.parameters["strategy"], seed=export.seed).rule
    rate = learning_rate(export.parameters["train"], export.training.best_epoch - 1)
    terms = {} if squared is None else rule.penalty(rate, squared)
    return [Reading(name, finite(value), None, "alpha beta learning rate / 2 |g|^2") for name, value in terms.items()]


def _sizes(model: Recommender, loss: FixedLoss) -> dict[str, Any]:
    tables = {name: each for name, each in loss.parameters.items() if name in model.id_tables()}
    sizes = {name: float(each.detach().double().norm()) / math.sqrt(each.numel()) for name, each in tables.items()}
    return {"sizes": sizes}


def _measured(number: int, scope: Scope, task: Task, content: Any) -> Measured:
    readings = [Reading(*each) for each in content["readings"]]
    return Measured(number, scope, task, **{**content, "readings": readings})
