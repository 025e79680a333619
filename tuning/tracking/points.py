"""The tags, parameters and points of a search's runs, as pure functions of the values in the search's folder.

MLflow takes no '@' in a name, so recall@20 is called recall_at_20. None, NaN and infinity make no point.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tuning.records import Confirmation, Environment, EpochRow, TrialPlan, TrialRecord
from tuning.spec import SearchSpec

LAST_POINT_OF_EPOCH = "epoch_seconds"
"""The last point of an epoch: a store that has it has the whole epoch."""
TEXT_LIMIT = 6000  # characters of a parameter in MLflow 3.17; longer texts are cut
VERSIONS = ("torch", "ray", "optuna", "mlflow", "mirrortune")
"""Packages whose versions are tags."""

Values = dict[str, float | None]


class Point(NamedTuple):
    """One value of one metric. `time`: unix ms."""

    name: str
    value: float
    time: int
    step: int


def finite_points(values: Values, *, seconds: float, step: int) -> list[Point]:
    """Return the finite `values` as points at one moment (unix s) and one step."""
    time = milliseconds(seconds)
    return [Point(name, v, time, step) for name, v in values.items() if v is not None and math.isfinite(v)]


def non_finite(values: Iterable[Values]) -> list[str]:
    """Return the names of metrics that were None, NaN or infinite at least once."""
    return sorted({name for each in values for name, v in each.items() if v is None or not math.isfinite(v)})


def epoch_points(row: EpochRow) -> list[Point]:
    """Return the points of one epoch, LAST_POINT_OF_EPOCH last."""
    return finite_points(epoch_values(row), seconds=row.time, step=row.epoch)


def epoch_values(row: EpochRow) -> Values:
    """Return the metrics of one epoch by name; those of validation where it was measured."""
    return {
        **_named("valid", row.valid),
        **({"best": row.best} if row.evaluated else {}),
        "loss": row.loss,
        **_named("terms", row.terms),
        **_named("flatness", row.flatness),
        **{name: float(getattr(row, name)) for name in ("passes", "steps", "skipped")},
        **({"valid_seconds": row.valid_seconds} if row.evaluated else {}),
        LAST_POINT_OF_EPOCH: row.seconds,
    }


def best_values(record: TrialRecord) -> Values:
    """Return a trial's validation metrics at its best epoch, and that epoch."""
    epoch = {} if record.best_epoch is None else {"best/epoch": float(record.best_epoch)}
    return {**_named("best/valid", record.valid), **epoch}


def test_values(metrics: Mapping[str, float], prefix: str) -> Values:
    """Return test metrics by name. `prefix`: `test`, or `best/test` on the search's own run."""
    return _named(prefix, metrics)


def confirmed_values(confirmation: Confirmation) -> Values:
    """Return the figures of a chosen configuration on fresh seeds, and of its difference from the reference on test."""
    values: Values = {"confirmed/seeds": float(len(confirmation.seeds))}
    for split, spread in (("valid", confirmation.valid), ("test", confirmation.test)):
        for part in ("mean", "deviation", "low", "high"):
            values |= _named(f"confirmed/{split}", {f"{confirmation.metric}/{part}": getattr(spread, part)})
    for over, test in (("seeds", confirmation.over_seeds), ("users", confirmation.over_users)):
        if test:
            parts = {f"over_{over}/{name}": float(value) for name, value in test.model_dump().items()}
            values |= _named("confirmed", parts)
    return values


def confirmed_tags(confirmation: Confirmation) -> dict[str, str]:
    """Return what was decided about a chosen configuration, as tags of its search's run."""
    names = ("experiment", "trial", "choice", "reference", "compared", "verdict")
    return _texts({f"confirmed.{name}": getattr(confirmation, name) for name in names})


def trial_params(plan: TrialPlan) -> dict[str, str]:
    """Return a plan's parameters by name; a name that two sections use has its section in front the second time."""
    flat: dict[str, Any] = {}
    for section, values in plan.params.items():
        for name, value in values.items():
            flat[f"{section}.{name}" if name in flat else name] = value
    return _texts(flat | {name: getattr(plan, name) for name in ("strategy", "seed", "threads", "device")})


def search_params(spec: SearchSpec) -> dict[str, str]:
    return _texts(
        {
            "sampler": spec.sampler,
            "scheduler": spec.scheduler.name,
            "grace": spec.scheduler.grace_epochs(spec.training.max_epochs),
            "reduction": spec.scheduler.reduction,
            "trials": spec.budget.trials,
            "told": spec.warm_start.told or None,
            "budget_seconds": spec.budget.seconds,
            "budget_epochs": spec.budget.epochs,
            "baseline": spec.baseline,
            **spec.training.model_dump(),
        }
    )


def identity(spec: SearchSpec, environment: Environment | None) -> dict[str, str]:
    """Return the tags of every run of a search, since a store's filters do not look at the parent."""
    from recmodels.training.strategies import is_reconstruction  # it loads torch

    tags: dict[str, Any] = {
        "mirrortune.search": spec.name,
        "model": spec.model,
        "dataset": spec.dataset,
        "strategy": spec.strategy,
        "reconstruction": "true" if is_reconstruction(spec.strategy) else None,
    }
    if environment:
        tags |= {"data_fingerprint": environment.data.fingerprint}
        if git := environment.git:
            tags |= {"git_commit": git.commit, "git_dirty": git.dirty}
        tags |= {f"version.{name}": environment.versions.get(name) for name in VERSIONS}
    return _texts(tags)


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: cut(str(value), TEXT_LIMIT) for name, value in values.items() if value is not None}


def _named(prefix: str, metrics: Mapping[str, float | None]) -> Values:
    return {f"{prefix}/{name.replace('@', '_at_')}": value for name, value in metrics.items()}
