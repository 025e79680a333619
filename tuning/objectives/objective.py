"""The objectives that a search may have besides its metric. A new one is one line in MEASURED or RECORDED.

Light: what measures a model is loaded when a trial ends.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol

from recmodels.errors import UserError, did_you_mean
from recmodels.metric import Metric

if TYPE_CHECKING:  # they load torch
    from recmodels.data.dataset import RecDataset
    from recmodels.models.base import Recommender

KNEE: Final = "knee"
"""The pick of the front's compromise."""
ONE_OBJECTIVE: Final = ("cmaes", "gp_forecast")
"""The samplers that learn from one objective alone."""


class Ended(Protocol):
    """What an objective looks at: the record of a trial that has ended."""

    @property
    def value(self) -> float | None: ...
    @property
    def seconds(self) -> float: ...
    @property
    def passes(self) -> int: ...
    @property
    def measured(self) -> Mapping[str, float]: ...


@dataclass(frozen=True)
class Subject:
    """What is measured: a model with the weights of its best epoch, and what the measure may depend on.

    `seed`: of all that is drawn, the same for every trial of a search. `batch_size`: of the trial's training.
    """

    model: "Recommender"
    data: "RecDataset"
    metric: Metric
    batch_size: int
    seed: int


@dataclass(frozen=True)
class Objective:
    """One of several objectives. `what`: it says, in a few words. `of`: its value in a trial's record, None if it has
    none.

    `measure`: measures it at the end of a trial; None for what the record has anyway.
    """

    name: str
    direction: Literal["maximize", "minimize"]
    what: str
    of: Callable[[Ended], float | None]
    measure: Callable[[Subject], float | None] | None = None

    def gain(self, value: float) -> float:
        """Return a value, turned such that larger is better."""
        return value if self.direction == "maximize" else -value


def _robustness(subject: Subject) -> float | None:
    from recmodels.analysis import robust_score

    return robust_score(subject.model, subject.data, subject.metric, subject.seed)


def _sharpness(subject: Subject) -> float | None:
    from recmodels.analysis import sharp_score

    return sharp_score(subject.model, subject.data, subject.batch_size, subject.seed)


MEASURED: Final = {
    each.name: each
    for each in (
        Objective(
            "robustness",
            "maximize",
            "the metric under noise in the embeddings and mixed features, on validation",
            lambda record: record.measured.get("robustness"),
            _robustness,
        ),
        Objective(
            "sharpness",
            "minimize",
            "the largest rise of the training loss in a scale-free ball",
            lambda record: record.measured.get("sharpness"),
            _sharpness,
        ),
    )
}
"""Objectives that are measured once, at the end of a trial, at the weights of its best epoch."""
RECORDED: Final = {
    each.name: each
    for each in (
        Objective("seconds", "minimize", "of training and validation", lambda record: record.seconds),
        Objective("passes", "minimize", "forward and backward, over a batch", lambda record: float(record.passes)),
    )
}
"""Objectives that every record has."""
OTHERS: Final = MEASURED | RECORDED


def objectives_of(names: Sequence[str]) -> tuple[Objective, ...]:
    """Return the objectives of these names, the metric first; () for no names. UserError for a name that is none."""
    if not names:
        return ()
    first, *others = names
    given = f"--objectives {','.join(names)}"
    try:
        metric = Metric(first)
    except ValueError as error:
        raise UserError(f"{given}: the first is the metric that decides within a trial: {error}") from None
    if not others:
        raise UserError(
            f"{given}: expected at least one more objective, of {', '.join(OTHERS)}; a single one is --metric"
        )
    for name in others:
        if name not in OTHERS:
            raise UserError(f"{given}: behind the metric there is no objective {name!r}{did_you_mean(name, OTHERS)}")
    if len(set(others)) < len(others):
        raise UserError(f"{given}: expected each objective once")
    best = Objective(metric, "maximize", "the metric, on validation at the best epoch", lambda record: record.value)
    return best, *(OTHERS[name] for name in others)


def check_objectives(names: Sequence[str], metric: str, scheduler: str, sampler: str, pick: str) -> None:
    """Raise UserError, one line, unless a search may have these objectives; no `names`: it has its metric alone."""
    if not names:
        if pick != KNEE:
            raise UserError(f"--pick {pick}: only for a search with --objectives")
        return
    given = f"--objectives {','.join(names)}"
    objectives_of(names)
    if metric != names[0]:
        raise UserError(f"--metric {metric}: expected {names[0]}, the first of {given}")
    if scheduler != "none":
        raise UserError(f"--scheduler {scheduler}: stops trials by the metric alone, expected none with {given}")
    if sampler in ONE_OBJECTIVE:
        raise UserError(f"--sampler {sampler}: learns from one objective alone, with {given} expected another, or auto")
    if pick not in (KNEE, *names) and not is_trial(pick):
        raise UserError(f"--pick {pick}: expected a trial's name, or one of {', '.join((KNEE, *names))}")


def is_trial(pick: str) -> bool:
    """Return whether a pick is the name of a trial."""
    return bool(re.fullmatch("[0-9]{4,}", pick))
