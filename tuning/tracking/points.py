"""What MLflow is told about a search: tags, parameters and points, as pure functions of what the search's folder says.

MLflow takes no '@' in a name, so recall@20 is called recall_at_20 there. None, NaN and infinity make no point.
"""

import math
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from tuning.records.folder import TrialRecord
from tuning.spec import SearchSpec

WITNESS = "epoch_seconds"
"""The last point of an epoch: whoever has it has the whole epoch."""
PARAM_LIMIT, TAG_LIMIT = 6000, 8000  # characters, MLflow 3.17

Values = dict[str, float | None]


class Point(NamedTuple):
    """One value of one metric. `time`: unix ms."""

    name: str
    value: float
    time: int
    step: int


def points(values: Values, *, seconds: float, step: int) -> list[Point]:
    """The finite ones of `values`, at one moment (unix s) and one step."""
    time = milliseconds(seconds)
    return [Point(name, v, time, step) for name, v in values.items() if v is not None and math.isfinite(v)]


def non_finite(values: Iterable[Values]) -> list[str]:
    """The names that once carry a value which is no finite number."""
    return sorted({name for each in values for name, v in each.items() if v is None or not math.isfinite(v)})


def epoch_points(row: dict[str, Any]) -> list[Point]:
    """The points of one line of epochs.jsonl, `WITNESS` last."""
    return points(epoch_values(row), seconds=row["time"], step=row["epoch"])


def epoch_values(row: dict[str, Any]) -> Values:
    best = {} if row["best"] is None else {"best": row["best"]}
    return {
        **_named("valid", row["valid"]),
        **best,
        "loss": row["loss"],
        **_named("terms", row["terms"]),
        **_named("flatness", row.get("flatness", {})),
        **{name: float(row[name]) for name in ("passes", "steps", "skipped") if name in row},
        "valid_seconds": row["valid_seconds"],
        WITNESS: row["seconds"],
    }


def best_values(record: TrialRecord) -> Values:
    """A trial's validation metrics at its best epoch, and that epoch."""
    epoch = {} if record.best_epoch is None else {"best/epoch": float(record.best_epoch)}
    return {**_named("best/valid", record.valid), **epoch}


def test_values(record: TrialRecord, prefix: str) -> Values:
    return _named(prefix, record.test)


def trial_params(plan: dict[str, Any]) -> dict[str, str]:
    """A trial's plan without sections; a parameter's name that two sections use keeps the section the second time."""
    flat: dict[str, Any] = {}
    for section, values in plan["params"].items():
        for name, value in values.items():
            flat[f"{section}.{name}" if name in flat else name] = value
    return _texts(flat | {name: plan[name] for name in ("strategy", "seed", "threads", "device")}, PARAM_LIMIT)


def search_params(spec: SearchSpec) -> dict[str, str]:
    return _texts(
        {
            "sampler": spec.sampler,
            "scheduler": spec.scheduler.name,
            "grace": spec.scheduler.grace,
            "reduction": spec.scheduler.reduction,
            "trials": spec.budget.trials,
            "budget_seconds": spec.budget.seconds,
            "budget_epochs": spec.budget.epochs,
            "baseline": spec.baseline,
            **spec.training.model_dump(),
        },
        PARAM_LIMIT,
    )


def identity(spec: SearchSpec, environment: Mapping[str, Any]) -> dict[str, str]:
    """The tags that every run of a search carries, since MLflow's filters do not look at the parent."""
    from recmodels.training.strategies import is_reconstruction  # it loads torch

    git = environment.get("git") or {}
    versions = environment.get("versions") or {}
    tags = {
        "mirrortune.search": spec.name,
        "model": spec.model,
        "dataset": spec.dataset,
        "strategy": spec.strategy,
        "reconstruction": "true" if is_reconstruction(spec.strategy) else None,
        "data_fingerprint": (environment.get("data") or {}).get("fingerprint"),
        "mlflow.source.git.commit": git.get("commit"),
        "git_dirty": git.get("dirty"),
        **{f"version.{name}": versions.get(name) for name in ("torch", "ray", "optuna", "mlflow", "mirrortune")},
    }
    return _texts(tags, TAG_LIMIT)


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _texts(values: Mapping[str, Any], limit: int) -> dict[str, str]:
    return {name: cut(str(value), limit) for name, value in values.items() if value is not None}


def _named(prefix: str, metrics: Mapping[str, float]) -> Values:
    return {f"{prefix}/{name.replace('@', '_at_')}": value for name, value in metrics.items()}
