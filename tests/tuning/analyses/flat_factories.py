"""Trials with made numbers: a sharpness, and what noise leaves of the metric."""

from pathlib import Path

import numpy as np

from recmodels.analysis.flatness import Reading, Task
from recmodels.analysis.measures import measure
from recmodels.analysis.robustness import Point
from recmodels.metric import Metric
from tests.tuning.factories import made_metrics, made_plan, made_row, made_spec
from tuning.analyses.fixed import Fixed
from tuning.analyses.flatness import Asked, Row
from tuning.analyses.robustness import Curve, Settings
from tuning.analyses.runs import Run
from tuning.analyses.sharpness import Measured
from tuning.records import SearchFolder
from tuning.records.trials import TrialResult, record_of

METRIC = Metric("recall@20")
LEVELS = (0.0, 0.5, 1.0)
TASKS = (Task("gradient"), Task("adaptive", 0.5))
ASKED = Asked(
    Fixed(1, 8, 0),
    "all",
    TASKS,
    Settings(((measure("embedding"), LEVELS), (measure("mix"), LEVELS)), 1, METRIC, "valid", 0),
)


def made_trial(
    strategy: str,
    seed: int,
    sharpness: float,
    lost: float,
    *,
    clean: float = 0.5,
    model: str = "BPR",
    embedding: bool = True,
    test: float | None = None,
) -> Row:
    """A trial that loses `lost` percent at level 1 of `embedding`, half of it at 0.5, and nothing under `mix`, which
    does not reach it. `embedding`: whether the noise does."""
    plan = made_plan(trial=f"{seed:04}", strategy=strategy, seed=seed)
    record = record_of(plan, [made_row("0000", 1, valid=made_metrics("0000", 1))], TrialResult("finished", ""))
    seen = {} if test is None else {METRIC: test}
    run = Run(SearchFolder(Path(f"s-{strategy}-seeds")), made_spec(model=model), plan, record, Path("w"), seen)
    norms = [Reading("gradient_norm", 2 * sharpness), Reading("gradient_norm_squared", 4 * sharpness**2)]
    found = tuple(
        Measured(0, "all", task, readings, 0.25, 3.0, 7, {}, 0.5, 1, 1)
        for task, readings in zip(TASKS, (norms, [Reading("adaptive_max", sharpness)]), strict=True)
    )
    reached = curve("embedding", [clean * (1 - lost * level / 100) for level in LEVELS], embedding)
    return Row(run, found, (reached, curve("mix", [clean] * 3, False)))


def curve(name: str, values: list[float], applies: bool) -> Curve:
    points = tuple(
        Point(applies or not place, ({METRIC: value},), np.zeros(1, dtype=np.float32), (0,), None, {}, 0.25)
        for place, value in enumerate(values)
    )
    return Curve("made", measure(name), METRIC, LEVELS, points)
