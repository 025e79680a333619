"""SearchSpec: a whole search as one checked value. Resume, replay and report start from it and from nothing else."""

from typing import Annotated, Any, ClassVar, Final, Literal, Self

from pydantic import AfterValidator, Field, PlainSerializer, PlainValidator, model_validator
from pydantic.type_adapter import TypeAdapter

from recmodels.metric import Metric
from tuning.checked_file import File, Part
from tuning.objectives import KNEE, check_objectives
from tuning.space import Pair, Space
from tuning.space import Params as Params  # imported from here together with Scores
from tuning.space.distributions import Scalar

Scores = dict[str, dict[str, float]]
"""Metrics by split: {"valid": {"recall@20": 0.1, ...}, "test": {...}}."""
CheckedMetric = Annotated[str, AfterValidator(Metric), PlainSerializer(str)]
CheckedSpace = Annotated[
    Space,
    PlainValidator(lambda value: value if isinstance(value, Space) else Space.from_data(value)),
    PlainSerializer(Space.to_data),
]
"""A Space, or the data of one."""


class Budget(Part):
    """Limits of a search; the first one reached ends it. All but `trials` stop running trials where they are."""

    trials: Annotated[int, Field(ge=1)] = 40
    """number of trials"""
    seconds: Annotated[float, Field(gt=0)] | None = None
    """wall-clock time from this start, in seconds"""
    epochs: Annotated[int, Field(ge=1)] | None = None
    """epochs in all trials together"""
    passes: Annotated[int, Field(ge=1)] | None = None
    """forward-and-backward passes over a batch in all trials together, the cost in which strategies compare"""


class Training(Part):
    """The training of every trial."""

    max_epochs: Annotated[int, Field(ge=1)] = 1000
    """most epochs of a trial"""
    patience: Annotated[int, Field(ge=0)] = 20
    """epochs without improvement that are tolerated"""
    eval_every: Annotated[int, Field(ge=1)] = 1
    """epochs between two validations; a trial's last epoch is validated besides"""
    metric: CheckedMetric = Metric("recall@20")
    """validation metric that decides, NAME@K"""
    ks: tuple[Annotated[int, Field(ge=1)], ...] = (5, 10, 20, 50)
    """cut-offs K at which metrics are measured, besides the deciding metric's"""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 999
    """seed of every trial and of the sampler"""
    flatness_every: Annotated[int, Field(ge=1)] | None = None
    """epochs between two measurements of the loss's flatness; not measured without it"""

    @property
    def cutoffs(self) -> tuple[int, ...]:
        """Every k that is evaluated, ascending: `ks` and the metric's own."""
        return tuple(sorted({*self.ks, Metric(self.metric).k}))


GRACE: Final = 10
"""Epochs before which no trial is stopped, by default: docs/search.md says why."""


def _share_or_epochs(grace: float) -> float:
    if grace > 1 and grace != round(grace):
        raise ValueError("expected a share of the most epochs, up to 1, or a whole number of epochs")
    return grace


class Scheduler(Part):
    """The rule that stops weak trials early."""

    name: Literal["asha", "hyperband", "median", "none"] = "asha"
    """rule that stops weak trials early"""
    grace: Annotated[float, Field(gt=0), AfterValidator(_share_or_epochs)] | None = None
    """epochs before which no trial is stopped, from 2 on, or up to 1 a share of a trial's most epochs; 10 by default,
    but at most half of its epochs"""
    reduction: Annotated[float, Field(gt=1)] = 3.0
    """one trial in so many goes on at each rung of asha and hyperband"""

    def grace_epochs(self, most: int) -> int:
        """Return the epochs before which no trial of at most `most` epochs is stopped."""
        if self.grace is None:
            return max(1, min(GRACE, round(most / 2)))
        return max(1, round(self.grace * most if self.grace <= 1 else self.grace))


def _placeable(gpus: float) -> float:
    if gpus != round(gpus) and not 1e-4 <= gpus < 1:  # Ray counts in steps of 1e-4
        raise ValueError("expected a share of one GPU, at least 0.0001, or a whole number of GPUs")
    return gpus


SHARE: Final = TypeAdapter(Annotated[float, Field(ge=0, allow_inf_nan=False), AfterValidator(_placeable)])


def _share_or_auto(gpus: Any) -> Any:
    return gpus if gpus == "auto" else SHARE.validate_python(gpus)


def _by_name(named: dict[str, float]) -> dict[str, float]:
    for name, much in named.items():
        if name in ("CPU", "GPU"):
            raise ValueError(f"expected other resources than {name}, which has an option of its own")
        if not (1e-4 <= much < 1 or (much >= 1 and much == round(much))):  # as Ray wants them
            raise ValueError(f"expected a share of 1, at least 0.0001, or a whole number of {name}, but got {much:g}")
    return named


Named = Annotated[dict[Annotated[str, Field(min_length=1)], float], AfterValidator(_by_name)]


class Resources(Part):
    """The share of the machine that one trial gets. None: derived from the machine."""

    cpus_per_trial: Annotated[int, Field(ge=1)] | None = None
    """cores, and threads, of a trial"""
    gpus_per_trial: Annotated[float | Literal["auto"], PlainValidator(_share_or_auto)] | None = None
    """GPUs of a trial: a whole number, a share of one such as 0.25, or auto: the share that a probe finds right; 1 by
    default if there is one"""
    max_concurrent: Annotated[int, Field(ge=1)] | None = None
    """most trials at a time"""
    ray_address: str | None = None
    """Ray cluster to join: HOST:PORT of its head, or auto; local: none; RAY_ADDRESS by default"""
    named: Named = {}  # noqa: RUF012, pydantic copies it
    """further resources of a trial, by Ray's names, as JSON such as {"accelerator_type:H100": 0.1}"""
    storage: str | None = None
    """place of checkpoints: a path that every node sees, or such as s3://bucket/prefix; the search's folder by default
    """

    @property
    def gpus(self) -> float | None:
        """The GPUs of a trial; None where the machine or a probe decides."""
        return None if isinstance(self.gpus_per_trial, str) else self.gpus_per_trial


class Tracking(Part):
    """Records of the trials, in MLflow and in other stores."""

    stores: tuple[str, ...] = ("mlflow",)
    """stores of records, with commas: mlflow, tensorboard; none: no records"""
    uri: str | None = "sqlite:///mlflow.db"
    """MLflow store or server; none: no records"""
    experiment: Annotated[str, Field(min_length=1)] = "mirrortune"
    """name of the MLflow experiment"""
    experiment_id: Annotated[str, Field(min_length=1)] | None = None
    """id of an MLflow experiment, which then counts and not the name"""
    registered_as: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9 _-]{0,99}$")] | None = None
    """name under which MLflow keeps the winner as a model that can be served; none without it"""

    @property
    def mlflow(self) -> str | None:
        """The URI of the store that `mlflow` among the stores stands for; None without records there."""
        return self.uri if "mlflow" in self.stores else None


class KnownPoint(Part):
    """A point of the space that an earlier search has found."""

    point: dict[str, Scalar]
    """value of each dimension of the space"""
    source: str
    """the search and its trial, or the file"""
    value: float | None = None
    """the metric that was measured there, which the sampler is told; without it the point is one to train"""


class WarmStart(Part):
    """What a search takes over from earlier ones. Found once, before it begins: a resume looks nothing up."""

    points: tuple[KnownPoint, ...] = ()
    """points to train before the sampler's own, and, with a value, points that the sampler is told"""
    said: tuple[str, ...] = ()
    """what was taken and what was left out, a line each"""

    @property
    def told(self) -> int:
        """Number of values that the sampler is told."""
        return sum(known.value is not None for known in self.points)


NOTHING: Final = WarmStart()


class SearchSpec(File):
    """One search of one model on one data set with one strategy."""

    what: ClassVar = "the spec of a search"
    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$")]
    """name of the search, and of its folder"""
    model: str
    """name of the model"""
    dataset: str
    """folder among the data sets, demo, or synthetic:NAME"""
    strategy: str = "mg"
    """training strategy, or parts of several joined by +"""
    data_dir: str | None = None
    """folder that holds the data set folders; data by default"""
    cache_dir: str | None = None
    """folder for parsed data; the user's cache by default"""
    space: CheckedSpace
    """all parameters of a trial, fixed or searched"""
    pair: Pair | None = None
    """origin of the model's values on this data set, and figures that others published"""
    sampler: Literal["auto", "gp", "gp_forecast", "tpe", "cmaes", "random", "qmc", "grid", "nsga2"] = "auto"
    """method that proposes the next trial; auto: grid if the budget covers it, else gp, or tpe for many trials"""
    warm_start: WarmStart = NOTHING
    """what earlier searches have found"""
    objectives: tuple[str, ...] = ()
    """several objectives, with commas: the metric, then one or more of robustness, sharpness, seconds, passes"""
    pick: str = KNEE
    """point of the front of several objectives that is exported as the best: knee, the name of an objective for its
    best, or of a trial"""
    scheduler: Scheduler = Scheduler()
    budget: Budget = Budget()
    training: Training = Training()
    resources: Resources = Resources()
    tracking: Tracking = Tracking()
    baseline: bool = False
    """whether an older search also trained the base plainly; a new one has its reference in an experiment"""
    role: Literal["search", "confirmation"] = "search"
    """purpose of its trials; confirmation: known points on seed after seed, from `training.seed` on"""
    confirmed: tuple[dict[str, Any], ...] = ()
    """points of the space that a confirmation trains, all on a seed before the next one; none: the space's one point"""
    awaits_confirmation: bool = False
    """whether its winner is chosen by a confirmation: until then no test metrics are opened for it"""
    show_test: bool = False
    """whether test metrics are shown of all trials that ended, and not of the chosen and the confirmed ones alone"""
    output_dir: str = "searches"
    """folder that holds the folders of searches"""
    export_dir: str = "best_configs"
    """folder for the best configuration"""
    export_format: Literal["mirrortune", "mmrec"] = "mirrortune"
    """form of the best configuration; mmrec: also in the keys of MMRec"""
    export_anyway: Annotated[bool, Field(exclude=True)] = False  # not kept: a resume has to wish it anew
    """whether this start's best configuration also replaces a better one, or other content of its file"""
    no_report: Annotated[bool, Field(exclude=True)] = False  # not kept, as it says nothing of the search
    """whether this start makes no page of its results"""

    @model_validator(mode="after")
    def _objectives_fit(self) -> Self:
        check_objectives(self.objectives, self.training.metric, self.scheduler.name, self.sampler, self.pick)
        return self
