"""SearchSpec: a whole search as one checked value. Resume, replay and report start from it and from nothing else."""

from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

import yaml
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, ValidationError

from recmodels.errors import UserError
from recmodels.metric import Metric
from tuning.space.space import Space

Params = dict[str, dict[str, Any]]
"""A trial's parameters by section: {"strategy": {"alpha": 1.0, ...}, "train": {...}, "model": {...}}."""
Scores = dict[str, dict[str, float]]
"""Metrics by split: {"valid": {"recall@20": 0.1, ...}, "test": {...}}."""


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


CheckedMetric = Annotated[str, AfterValidator(Metric), PlainSerializer(str)]


def _space(value: Any) -> Space:
    return value if isinstance(value, Space) else Space.from_data(value)


SpaceField = Annotated[Space, PlainValidator(_space), PlainSerializer(lambda space: space.to_data())]


class Budget(_Part):
    """When a search ends: whichever comes first. All but `trials` stop running trials where they are.

    `passes`: forward and backward passes over a batch, the cost units in which strategies compare.
    """

    trials: Annotated[int, Field(ge=1)] = 40
    seconds: Annotated[float, Field(gt=0)] | None = None
    epochs: Annotated[int, Field(ge=1)] | None = None
    passes: Annotated[int, Field(ge=1)] | None = None


class Training(_Part):
    """What every trial does alike. `patience`: evaluations without improvement that are tolerated. `flatness_every`:
    how often, in epochs, the flatness of the loss is measured; None for never."""

    max_epochs: Annotated[int, Field(ge=1)] = 1000
    patience: Annotated[int, Field(ge=0)] = 20
    metric: CheckedMetric = Metric("recall@20")
    ks: tuple[Annotated[int, Field(ge=1)], ...] = (5, 10, 20, 50)
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 999
    flatness_every: Annotated[int, Field(ge=1)] | None = None

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """Every k that is evaluated, ascending: `ks` and the metric's own."""
        return tuple(sorted({*self.ks, Metric(self.metric).k}))


class Scheduler(_Part):
    """Early stopping of weak trials. `grace`: share of `max_epochs` before which no trial is stopped."""

    name: Literal["asha", "hyperband", "median", "none"] = "asha"
    grace: Annotated[float, Field(gt=0, le=1)] = 0.5
    reduction: Annotated[float, Field(gt=1)] = 2.0


class Resources(_Part):
    """What one trial gets; None means chosen from the machine. `ray_address`: an existing cluster."""

    cpus_per_trial: Annotated[int, Field(ge=1)] | None = None
    gpus_per_trial: Annotated[float, Field(ge=0)] | None = None
    max_concurrent: Annotated[int, Field(ge=1)] | None = None
    ray_address: str | None = None


class Tracking(_Part):
    """Where MLflow records go; `uri` None means no tracking at all."""

    uri: str | None = "sqlite:///mlflow.db"
    experiment: Annotated[str, Field(min_length=1)] = "mirrortune"


class SearchSpec(_Part):
    """One search of one (model, dataset, strategy). `space` is the resolved space as plain data (`Space.to_data`).

    `role`: "confirmation" for no search at all but the space's one point on one seed after the other, from
    `training.seed` on.
    """

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    model: str
    dataset: str
    strategy: str = "mg"
    data_dir: str | None = None
    cache_dir: str | None = None
    space: SpaceField
    sampler: Literal["auto", "gp", "tpe", "cmaes", "random", "qmc", "grid", "nsga2"] = "auto"
    scheduler: Scheduler = Scheduler()
    budget: Budget = Budget()
    training: Training = Training()
    resources: Resources = Resources()
    tracking: Tracking = Tracking()
    baseline: bool = False
    role: Literal["search", "confirmation"] = "search"
    output_dir: str = "searches"
    export_dir: str = "best_configs"
    export_format: Literal["mirrortune", "mmrec"] = "mirrortune"

    def to_yaml(self) -> str:
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)

    @classmethod
    def read(cls, path: Path) -> "SearchSpec":
        """The spec in a YAML file. UserError if it is missing or not a spec."""
        return read_model(path, cls, "the spec of a search")


Model = TypeVar("Model", bound=BaseModel)


def read_model(path: Path, kind: type[Model], what: str) -> Model:
    """A YAML file as a checked value. UserError, one line, if it is missing or not `what` it should be."""
    try:
        content = yaml.safe_load(path.read_bytes())
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}, expected {what}") from None
    except RecursionError:
        raise UserError(f"{path}: not YAML: nested too deeply") from None
    except Exception as error:  # values such as 2001-99-99 make PyYAML raise half a dozen kinds
        raise UserError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    try:
        return kind.model_validate(content)
    except ValidationError as error:
        raise UserError(f"{path}: {first_fault(error)}") from None


def first_fault(error: ValidationError) -> str:
    """The first fault of a validation as one line: `budget.trials: Input should be ..., but got 0`."""
    # A misspelt key is two faults, an unknown key and a missing one: the unknown one says more.
    fault = min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
    where = ".".join(str(part) for part in fault["loc"]) or "spec"
    got = "" if fault["type"] == "missing" else f", but got {fault['input']!r}"
    return f"{where}: {fault['msg']}{got}"
