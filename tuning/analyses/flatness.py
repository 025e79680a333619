"""Sharpness and robustness of the trials of searches: does the one go with the other?"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

from recmodels.analysis.fixed_loss import Scope
from recmodels.analysis.flatness import Task, tasks
from recmodels.data import RecDataset
from tuning.analyses.fixed import Advance, Fixed
from tuning.analyses.points import PointStore
from tuning.analyses.results import Results
from tuning.analyses.robustness import Curve, Meter, Settings
from tuning.analyses.runs import Run
from tuning.analyses.sharpness import Measured, measure_scope
from tuning.analyses.subjects import Trained

RADIUS = {"one_step": 0.1, "batch": 0.1, "max": 0.1, "adaptive": 0.5}
"""Measures with several radii -> the one at which trials are compared, the strategies' own default or near it."""


@dataclass(frozen=True)
class Asked:
    """What is measured of each trial: `tasks` of the loss `fixed`, of the weights of a scope, and under `noise`."""

    fixed: Fixed
    scope: Scope
    tasks: tuple[Task, ...]
    noise: Settings

    @property
    def n_parts(self) -> int:
        """Number of parts that the measurement of one trial has."""
        return len(self.tasks) + self.noise.n_points


@dataclass(frozen=True, eq=False)
class Row:
    """A trial. `sharpness`: what each task said. `curves`: one for each perturbation, levels ascending from 0."""

    run: Run
    sharpness: tuple[Measured, ...]
    curves: tuple[Curve, ...]


def tasks_at_one_level(names: Sequence[str]) -> tuple[Task, ...]:
    """Return the tasks of some of the measures of flatness, each at one level."""
    return tuple(task for task in tasks(names) if task.level == RADIUS.get(task.measure, task.level))


def measure_flatness(
    runs: Sequence[Run],
    data: RecDataset,
    asked: Asked,
    results: Results,
    points: PointStore,
    advance: Advance = lambda: None,
) -> list[Row]:
    """Measure all trials, one after the other, on the same batches and draws; what is there is not measured again.

    UserError for a scope without weights, and for weights of another model.
    """
    return [_row(number, run, data, asked, results, points, advance) for number, run in enumerate(runs)]


def _row(
    number: int, run: Run, data: RecDataset, asked: Asked, results: Results, points: PointStore, advance: Advance
) -> Row:
    trained = Trained(run.label, run.digest(data), cache(lambda: run.model(data)))
    told: Callable[[str], None] = lambda what: advance()  # noqa: E731
    meter = Meter(trained, data, asked.noise, points, told)
    found = measure_scope(trained, number, data, asked.fixed, asked.scope, asked.tasks, results, advance)
    return Row(run, tuple(found), tuple(meter.curve(measure, levels) for measure, levels in asked.noise.measures))
