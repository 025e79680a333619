"""The columns of every table of trials: while a search runs, at its end, and on its page of Markdown.

A new column is one line in `trial_columns`.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from types import MappingProxyType
from typing import Any, Literal

from tuning.objectives import Objective, objectives_of
from tuning.records import EpochRow, Role, Status, TrialPlan, TrialRecord
from tuning.reports.tables import Column
from tuning.space import Fixed, Parameter
from tuning.spec import Params, Scores, SearchSpec


@dataclass(frozen=True)
class TrialRow:
    """A row of a table: a trial that runs or has ended, or popularity, which needs no trial.

    `role`: of the trial. `epochs`: trained so far. `value`: best validation score so far. `test`: test metrics, {}
    while they are sealed. `record`: of an ended trial.
    """

    name: str
    role: Role | None = None
    status: Status | Literal["running"] | None = None
    epochs: int | None = None
    params: Params = field(default_factory=dict)
    value: float | None = None
    test: Mapping[str, float] = field(default_factory=dict)
    record: TrialRecord | None = None


def running_row(plan: TrialPlan, row: EpochRow | None) -> TrialRow:
    """Return the row of a trial that runs; `row`: its last epoch, None before the first."""
    epochs, best = (row.epoch, row.best) if row else (0, None)
    return TrialRow(plan.trial, plan.role, "running", epochs, plan.params, best)


def ended_row(record: TrialRecord, test: Mapping[str, float] = MappingProxyType({})) -> TrialRow:
    """Return the row of a trial that has ended. `test`: its test metrics, if they may be seen."""
    progress = (record.status, record.epochs, record.params, record.value)
    return TrialRow(record.trial, record.role, *progress, test, record)


def popularity_row(scores: Scores, metric: str) -> TrialRow:
    """Return the row of the ranking by popularity, which every model has to beat."""
    return TrialRow("popularity", value=scores["valid"].get(metric), test=scores["test"])


def trial_columns(spec: SearchSpec) -> tuple[Column[TrialRow], ...]:
    """Return the columns of a search's tables: progress, parameters, scores."""
    metric = spec.training.metric
    return (
        Column("trial", lambda row: row.name, justify="left"),
        Column("status", lambda row: row.status, justify="left"),
        Column("epochs", lambda row: row.epochs),
        Column("best epoch", lambda row: row.record and row.record.best_epoch, live=False),
        *(Column(parameter.name, partial(_value, parameter)) for parameter in shown_parameters(spec)),
        Column(f"valid {metric}", lambda row: row.value),
        *(Column(each.name, partial(_objective, each)) for each in objectives_of(spec.objectives)[1:]),
        Column(f"test {metric}", lambda row: row.test.get(metric), live=False),
    )


def _objective(objective: Objective, row: TrialRow) -> float | None:
    return objective.of(row.record) if row.record else None


def shown_parameters(spec: SearchSpec) -> list[Parameter]:
    """Return the parameters with a column: those that differ between trials, and those in the attribute `shown` of a
    part of the strategy."""
    from recmodels.training.strategies import parts_of  # loads torch

    declared = {("strategy", name) for part in parts_of(spec.strategy).values() for name in part.shown}
    parameters = spec.space.parameters
    searched = {each.name for each in parameters if not isinstance(each.distribution, Fixed)}
    return [each for each in parameters if {each.name, each.of} & searched or (each.section, each.name) in declared]


def _value(parameter: Parameter, row: TrialRow) -> Any:
    return row.params.get(parameter.section, {}).get(parameter.name)
