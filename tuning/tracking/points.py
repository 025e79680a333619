"""The tags, parameters and points of a search's runs, as pure functions of the values in the search's folder.

MLflow takes no '@' in a name, so recall@20 is called recall_at_20. None, NaN and infinity make no point.
"""

import getpass
import math
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import accumulate
from typing import Any, NamedTuple

from tuning.objectives import objectives_of
from tuning.records import Confirmation, Environment, EpochRow, TrialPlan, TrialRecord
from tuning.records.front import Front
from tuning.space.distributions import Fixed
from tuning.spec import SearchSpec

LAST_POINT_OF_EPOCH = "epoch_seconds"
"""The last point of an epoch: a store that has it has the whole epoch."""
TEXT_LIMIT = 6000  # characters of a parameter in MLflow 3.17; longer texts are cut
BEHIND = "various/"
"""The beginning of the names of points that few people look at: stores list metrics by name, and it comes last."""
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


def epoch_points(rows: Sequence[EpochRow], metric: str, delivered: Collection[int] = ()) -> Iterator[Point]:
    """Yield the points of the epochs that are not delivered yet, LAST_POINT_OF_EPOCH as the last one of each.

    `rows`: of all epochs of a trial, from the first one on. `metric`: the one that decides.
    """
    for row, passes in zip(rows, accumulate(row.passes for row in rows), strict=True):
        if row.epoch not in delivered:
            values = {"total_passes": float(passes)} | epoch_values(row, metric)
            yield from finite_points(values, seconds=row.time, step=row.epoch)


def epoch_values(row: EpochRow, metric: str) -> Values:
    """Return the metrics of one epoch by name; those of validation where it was measured."""
    return {
        **(_named("best/valid", {metric: row.best}) if row.evaluated else {}),
        **_named("valid", row.valid),
        "loss": row.loss,
        **_named("terms", row.terms),
        **_named("flatness", row.flatness),
        **{name: float(getattr(row, name)) for name in ("passes", "steps", "skipped")},
        **({"valid_seconds": row.valid_seconds} if row.evaluated else {}),
        LAST_POINT_OF_EPOCH: row.seconds,
    }


def arranged(points: Iterable[Point], metric: str) -> list[Point]:
    """Return the points of the deciding metric first, and last those of what few people look at, with BEHIND in front
    of their names: other metrics, terms of the loss, and counts. LAST_POINT_OF_EPOCH comes after all others.

    What a store is told first it may show first: MLflow lists a run's metrics in that order, and its page that compares
    runs takes the first one.
    """
    first = {f"best/valid/{_name(metric)}": 0, f"valid/{_name(metric)}": 1, LAST_POINT_OF_EPOCH: 4}

    def place(point: Point) -> int:
        return 3 if point.name.startswith(BEHIND) else first.get(point.name, 2)

    named = [point._replace(name=BEHIND + point.name) if _is_behind(point.name, metric) else point for point in points]
    return sorted(named, key=place)


def _is_behind(name: str, metric: str) -> bool:
    group, _, last = name.rpartition("/")
    if group in ("valid", "best/valid", "test", "best/test"):
        return last != _name(metric)
    return group == "terms" or name in ("passes", "steps", "skipped", "valid_seconds", "best/epoch")


def best_values(record: TrialRecord) -> Values:
    """Return a trial's validation metrics at its best epoch, and that epoch."""
    epoch = {} if record.best_epoch is None else {"best/epoch": float(record.best_epoch)}
    return {**_named("best/valid", record.valid), **epoch}


def ending_points(
    record: TrialRecord, rows: Sequence[EpochRow], metric: str, told: bool, objectives: Values | None = None
) -> list[Point]:
    """Return the points of a trial's end: the metrics of its best epoch, and its `objectives` besides the metric.

    `told`: whether the store has the deciding metric's best value from the epochs; else it is the best epoch's point.
    """
    decides, step = _named("best/valid", {metric: record.value}), record.best_epoch or 0
    best = [] if told else [row.time for row in rows if row.epoch == record.best_epoch]
    own = [point for time in best for point in finite_points(decides, seconds=time, step=step)]
    rest = {name: value for name, value in best_values(record).items() if name not in decides} | (objectives or {})
    return own + (finite_points(rest, seconds=rows[-1].time, step=step) if rows else [])


def objective_values(spec: SearchSpec, record: TrialRecord, prefix: str) -> Values:
    """Return a trial's objectives besides the metric by name; {} where a search has one alone. `prefix`: `objective`,
    or `best/objective` on the search's own run."""
    return {f"{prefix}/{each.name}": each.of(record) for each in objectives_of(spec.objectives)[1:]}


def front_values(front: Front) -> Values:
    """Return the number of points on a front, and the best value of each objective there."""
    best: Values = {
        f"front/best/{_name(each.name)}": max(found, key=each.gain)
        for each in front.objectives
        if (found := [value for point in front.points if (value := each.of(point)) is not None])
    }
    return {"front/points": float(len(front.points)), **best}


def front_tags(front: Front, pick: str) -> dict[str, str]:
    """Return the objectives, the names of the trials on the front, and the pick as tags of the search's run."""
    names = ", ".join(f"{each.direction} {each.name}" for each in front.objectives)
    return _texts({"objectives": names, "front": ", ".join(each.trial for each in front.points), "pick": pick})


def knob_values(spec: SearchSpec, record: TrialRecord) -> Values:
    """Return the values that make a winner: the numbers among its strategy's knobs and among what was searched."""
    searched = {each.name for each in spec.space.parameters if not isinstance(each.distribution, Fixed)}
    return {
        f"best/{name}": float(value)
        for section, values in record.params.items()
        for name, value in values.items()
        if (section == "strategy" or name in searched) and type(value) in (int, float)
    }


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
    own = next((point for point in confirmation.front if point.trial == confirmation.trial), None)
    for name, spread in own.values.items() if own else ():
        for part in ("mean", "deviation", "low", "high"):
            values[f"confirmed/objective/{_name(name)}/{part}"] = getattr(spread, part)
    return values


def confirmed_tags(confirmation: Confirmation) -> dict[str, str]:
    """Return what was decided about a chosen configuration, as tags of its search's run."""
    names = ("experiment", "trial", "choice", "reference", "compared", "verdict")
    stays = ", ".join(point.trial for point in confirmation.front if point.stays) or None
    return _texts({f"confirmed.{name}": getattr(confirmation, name) for name in names} | {"confirmed.front": stays})


def trial_title(spec: SearchSpec, plan: TrialPlan) -> str:
    """Return the name of a trial's run, which says what was trained: `GRCN-tiktok-mg 0003`."""
    title = f"{spec.model}-{spec.dataset}-{plan.strategy} {plan.trial}"
    return f"{title}, seed {plan.seed}" if plan.role == "confirmation" else title


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
    tags["user"] = _user()
    if environment:
        tags["source"] = (environment.starts[-1].argv or ["mirrortune"])[0]
        tags |= {"data_fingerprint": environment.data.fingerprint}
        if git := environment.git:
            tags |= {"git_commit": git.commit, "git_dirty": git.dirty}
        tags |= {f"version.{name}": environment.versions.get(name) for name in VERSIONS}
    return _texts(tags)


def cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 3] + "..."


def milliseconds(seconds: float) -> int:
    return int(seconds * 1000)


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):  # a container may run under a number that has no name
        return None


def _texts(values: Mapping[str, Any]) -> dict[str, str]:
    return {name: cut(str(value), TEXT_LIMIT) for name, value in values.items() if value is not None}


def _named(prefix: str, metrics: Mapping[str, float | None]) -> Values:
    return {f"{prefix}/{_name(name)}": value for name, value in metrics.items()}


def _name(metric: str) -> str:
    return metric.replace("@", "_at_")
