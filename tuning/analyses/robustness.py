"""How robust trained exports are, side by side: every measure at every level, on the same draws."""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean, stdev

import numpy as np

from recmodels.analysis.drops import PAPERS_DROP, CurveSummary, Intervals, bootstrap, curve_summary, drop, level_of_drop
from recmodels.analysis.measures import Measure, measure
from recmodels.analysis.robustness import Point, Probed
from recmodels.data.dataset import RecDataset, Split
from recmodels.metric import Metric
from tuning.analyses.points import PointStore
from tuning.analyses.subjects import Trained

RELATIVE, ABSOLUTE = "embedding", "embedding-absolute"


@dataclass(frozen=True)
class Settings:
    """What is measured. `measures`: each with its levels, ascending from 0. `repeats`: draws at a level. `target`: the
    drop in percent at which the models are compared once more, None: at none."""

    measures: tuple[tuple[Measure, tuple[float, ...]], ...]
    repeats: int
    metric: Metric
    split: Split
    seed: int
    target: float | None = PAPERS_DROP

    @property
    def n_points(self) -> int:
        """Number of levels over all measures, for one model, without those that the calibration tries."""
        return sum(len(levels) for _, levels in self.measures)


@dataclass(frozen=True, eq=False)
class Curve:
    """A model under a measure. `levels`: ascending from 0, and the point of each."""

    label: str
    measure: Measure
    metric: Metric
    levels: tuple[float, ...]
    points: tuple[Point, ...]

    @property
    def clean(self) -> float:
        """The metric without a perturbation."""
        return self.points[0].metrics[0][self.metric]

    @property
    def applies(self) -> bool:
        """Whether the measure reaches the model: else it is not applicable, and all drops are exactly 0."""
        return all(point.applies for point in self.points)

    def value(self, place: int) -> float:
        """Return the metric at a level, mean over the draws."""
        return fmean(self.points[place].values(self.metric))

    def drop(self, place: int) -> float | None:
        """Return the relative drop at a level in percent, mean over the draws; None for a clean metric of almost 0."""
        return drop(self.clean, self.value(place))

    def deviation(self, place: int) -> float | None:
        """Return the sample deviation of the drop over the draws; None for a single draw."""
        found = [drop(self.clean, value) for value in self.points[place].values(self.metric)]
        known = [each for each in found if each is not None]
        return stdev(known) if len(known) > 1 else None

    @property
    def summary(self) -> CurveSummary | None:
        """What sums up the drops; None if there are none."""
        drops = [self.drop(place) for place in range(len(self.levels))]
        known = [each for each in drops if each is not None]
        return curve_summary(self.levels, known) if self.applies and len(known) == len(drops) else None


@dataclass(frozen=True, eq=False)
class Comparison:
    """All models under one measure, at the same levels. `intervals`: over the users, models and levels in order."""

    measure: Measure
    levels: tuple[float, ...]
    curves: tuple[Curve, ...]
    intervals: Intervals

    @property
    def reaches(self) -> bool:
        """Whether the measure reaches any of the models."""
        return any(curve.applies for curve in self.curves)

    @property
    def reference(self) -> int:
        """The place of the level that short tables show: the nearest to the measure's own, but never level 0."""
        away = [abs(level - self.measure.reference) if level else math.inf for level in self.levels]
        return int(np.argmin(away))

    def winner(self, place: int) -> int:
        """Return which model has the highest metric at a level; of equal ones the first."""
        values = [curve.value(place) for curve in self.curves]
        return values.index(max(values))


@dataclass(frozen=True, eq=False)
class Calibration:
    """All models at the noise by which the first one loses `target` percent, as the paper's table 4 has it.

    `level`: of the relative noise, None if no level reached the target; `sigma`: its deviation, None if the first model
    has several tables of different sizes. `relative`, `absolute`: the comparison at level 0 and at that one.
    """

    target: float
    level: float | None
    sigma: float | None = None
    relative: Comparison | None = None
    absolute: Comparison | None = None


@dataclass(frozen=True, eq=False)
class Robustness:
    """The result. `comparisons`: in the order of the measures. `calibration`: None if it was not asked for."""

    settings: Settings
    labels: tuple[str, ...]
    comparisons: tuple[Comparison, ...]
    calibration: Calibration | None


class Meter:
    """Measures one model, which is made when a point of it is not there yet.

    `told`: gets a line before each point.
    """

    def __init__(
        self, trained: Trained, data: RecDataset, settings: Settings, store: PointStore, told: Callable[[str], None]
    ):
        self.trained, self.data, self.settings, self.store, self.told = trained, data, settings, store, told

    @cached_property
    def probed(self) -> Probed:
        """The model as it is."""
        return Probed(self.trained.load(), self.data, self.settings.split, self.settings.metric)

    def at(self, measure: Measure, level: float) -> Point:
        """Return one point, measured if the store does not have it."""
        settings = self.settings
        key = {
            "model": self.trained.digest,
            "data": self.data.fingerprint,
            "measure": measure.name,
            "level": level,
            "repeats": settings.repeats,
            "metric": settings.metric,
            "split": settings.split,
            "seed": settings.seed,
        }
        self.told(f"{self.trained.label}: {measure.name} {level:g}")
        return self.store.point(key, lambda: self.probed.at(measure, level, settings.seed, settings.repeats))

    def curve(self, measure: Measure, levels: Sequence[float]) -> Curve:
        """Return the model under a measure at these levels."""
        points = tuple(self.at(measure, level) for level in levels)
        return Curve(self.trained.label, measure, self.settings.metric, tuple(levels), points)


def measure_robustness(
    models: Sequence[Trained],
    data: RecDataset,
    settings: Settings,
    store: PointStore,
    told: Callable[[str], None] = lambda what: None,
) -> Robustness:
    """Measure the models, one after the other, on the same draws.

    `told`: gets a line before each point. What the store has is not measured again. UserError for a modality that the
    data lack.
    """
    wanted = settings.target is not None and RELATIVE in {each.name for each, _ in settings.measures}
    goal: tuple[float | None, float | None] = (None, None)
    curves: list[list[Curve]] = []
    extra: list[Mapping[str, Curve]] = []
    for number, trained in enumerate(models):
        meter = Meter(trained, data, settings, store, told)  # one model in memory at a time
        curves.append([meter.curve(each, levels) for each, levels in settings.measures])
        if wanted and settings.target is not None:
            if number == 0:
                goal = _calibrated(meter, settings.target)
            extra.append(dict(_at_goal(meter, goal)))
    comparisons = tuple(compared(each, settings) for each in zip(*curves, strict=True))
    calibration = None
    if wanted and settings.target is not None:
        both = [
            compared([each[name] for each in extra], settings) if name in extra[0] else None
            for name in (RELATIVE, ABSOLUTE)
        ]
        calibration = Calibration(settings.target, *goal, *both)
    return Robustness(settings, tuple(each.label for each in models), comparisons, calibration)


def _calibrated(meter: Meter, target: float) -> tuple[float | None, float | None]:
    """Return the relative level at which a model loses `target` percent, and that noise's deviation."""
    noise, metric = measure(RELATIVE), meter.settings.metric
    clean = meter.at(noise, 0.0)
    tried: dict[float, Point] = {}

    def drop_at(level: float) -> float | None:
        tried[level] = meter.at(noise, level)
        if not tried[level].applies:
            return None
        return drop(clean.metrics[0][metric], fmean(tried[level].values(metric)))

    level = level_of_drop(drop_at, target)
    sizes = list(tried[level].sizes.values()) if level is not None else []
    return level, level * sizes[0] if level is not None and len(sizes) == 1 else None


def _at_goal(meter: Meter, goal: tuple[float | None, float | None]) -> Iterator[tuple[str, Curve]]:
    for name, level in zip((RELATIVE, ABSOLUTE), goal, strict=True):
        if level is not None:
            yield name, meter.curve(measure(name), (0.0, level))


def compared(curves: Sequence[Curve], settings: Settings) -> Comparison:
    """Return the curves of all models under one measure with their intervals."""
    clean = np.stack([curve.points[0].users for curve in curves]).astype(np.float64)
    under = np.stack([[point.users for point in curve.points] for curve in curves]).astype(np.float64)
    first = curves[0]
    return Comparison(first.measure, first.levels, tuple(curves), bootstrap(clean, under, settings.seed))
