"""The measures of flatness by name: which there are, at which levels, and what each says of a loss."""

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor
from torch.linalg import vector_norm

from recmodels.analysis.ascent import average_rise, batch_one_step, highest_rise, one_step
from recmodels.analysis.curvature import Estimate, Hessian, lanczos, largest_eigenvalue, trace
from recmodels.analysis.draws import generator_of
from recmodels.analysis.fixed_loss import FixedLoss

Mode = Literal["absolute", "relative"]
XI = 1e-3
"""What is added to a weight's magnitude in the adaptive ball, as in ASAM."""
STARTS, AVERAGE_DRAWS, TRACE_DRAWS = 3, 20, 30
"""Random starts of an ascent, and draws of the measures that are means."""


@dataclass(frozen=True)
class Task:
    """One measure at one level, which is computed as a whole.

    `level`: the radius, or the noise's standard deviation; None if the measure has none. `mode`: "relative" if the
    level is multiplied by the norm of the weights; by their root mean square for "average"; weight by weight by their
    magnitude for "average_each_weight".
    """

    measure: str
    level: float | None = None
    mode: Mode = "absolute"


class Reading(NamedTuple):
    """A number that a task found.

    `measure`: its name; a task may give several. `value`: None where it is not finite. `error`: as of an Estimate; None
    where there is none. `remark`: how it was found, where that is worth a word.
    """

    measure: str
    value: float | None
    error: float | None = None
    remark: str = ""


RHOS: tuple[tuple[float, Mode], ...] = (
    *((rho, "absolute") for rho in (0.01, 0.05, 0.1, 0.5)),
    *((rho, "relative") for rho in (1e-3, 1e-2)),
)
NO_LEVEL: tuple[tuple[float | None, Mode], ...] = ((None, "absolute"),)


def tasks(measures: Sequence[str]) -> list[Task]:
    """Return the tasks of some of MEASURES, at all their levels."""
    return [Task(name, *level) for name in measures for level in MEASURES[name].levels]


def measured(task: Task, loss: FixedLoss, seed: int = 0) -> list[Reading]:
    """Return what a task says of a loss. What it draws follows from the seed and the task."""
    return [
        Reading(name, _finite(found.value), _finite(found.error), remark)
        for name, found, remark in MEASURES[task.measure].run(task, loss, seed)
    ]


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


Found = Iterator[tuple[str, Estimate, str]]
Run = Callable[[Task, FixedLoss, int], Found]


class Measure(NamedTuple):
    """How a measure is computed, and its levels. `title`: what it says, in a few words."""

    run: Run
    levels: tuple[tuple[float | None, Mode], ...]
    title: str


def radius(task: Task, loss: FixedLoss) -> float:
    """Return the radius of a task's ball in the units of the weights."""
    assert task.level is not None
    return task.level * loss.norm if task.mode == "relative" else task.level


def noise(loss: FixedLoss, n: int, *parts: object) -> Iterator[Tensor]:
    """Yield `n` vectors (N,) of standard normal noise, the same in every model with as many weights."""
    for repeat in range(n):
        yield torch.randn(loss.point.shape, generator=generator_of(*parts, repeat)).to(loss.point)


def _only(value: float) -> Estimate:
    return Estimate(value, math.nan, 1)


def _gradient(task: Task, loss: FixedLoss, seed: int) -> Found:
    _, gradient = loss.gradient()
    norm = float(vector_norm(gradient, dtype=torch.float64))
    yield "gradient_norm", _only(norm), ""
    yield "gradient_norm_squared", _only(norm**2), ""


def _one_step(task: Task, loss: FixedLoss, seed: int) -> Found:
    yield "one_step", _only(one_step(loss, radius(task, loss))), ""


def _batch(task: Task, loss: FixedLoss, seed: int) -> Found:
    yield "batch_one_step", _only(batch_one_step(loss, radius(task, loss))), ""


def _max(task: Task, loss: FixedLoss, seed: int) -> Found:
    starts = noise(loss, STARTS, seed, "max", task.level, task.mode)
    yield "max", _only(highest_rise(loss, radius(task, loss), starts)), ""


def _adaptive(task: Task, loss: FixedLoss, seed: int) -> Found:
    assert task.level is not None
    starts = noise(loss, STARTS, seed, "adaptive", task.level)
    yield "adaptive_max", _only(highest_rise(loss, task.level, starts, scale=loss.point.abs() + XI)), ""


def _average(task: Task, loss: FixedLoss, seed: int) -> Found:
    assert task.level is not None
    draws = noise(loss, AVERAGE_DRAWS, seed, task.measure, task.level)
    rms = loss.norm / math.sqrt(len(loss.point))
    each_weight = task.measure == "average_each_weight"
    sigma, scale = (task.level, loss.point.abs()) if each_weight else (task.level * rms, None)
    yield task.measure, average_rise(loss, sigma, draws, scale=scale), ""


def _power(task: Task, loss: FixedLoss, seed: int) -> Found:
    hessian = Hessian(loss)
    (start,) = noise(loss, 1, seed, "power")
    found = largest_eigenvalue(hessian, start)
    yield "lambda_max_power", found, f"{found.steps} products, {hessian.method}"


def _lanczos(task: Task, loss: FixedLoss, seed: int) -> Found:
    hessian = Hessian(loss)
    (start,) = noise(loss, 1, seed, "lanczos")
    largest, lowest = lanczos(hessian, start)
    for place, found in enumerate(largest, start=1):
        yield f"lambda_{place}", found, hessian.method
    yield "lambda_min", lowest, hessian.method


def _trace(task: Task, loss: FixedLoss, seed: int) -> Found:
    hessian = Hessian(loss)
    signs = (each.sign() for each in noise(loss, TRACE_DRAWS, seed, "trace"))
    yield "trace", trace(hessian, signs), hessian.method


MEASURES: dict[str, Measure] = {
    "gradient": Measure(_gradient, NO_LEVEL, "norm of the gradient"),
    "one_step": Measure(_one_step, RHOS, "rise after one step along the gradient, SAM's sharpness"),
    "batch": Measure(_batch, RHOS, "mean of each batch's own one-step rise"),
    "max": Measure(_max, RHOS, "largest rise in a ball, by projected gradient ascent"),
    "adaptive": Measure(
        _adaptive, tuple((rho, "absolute") for rho in (0.1, 0.5, 1.0)), "largest rise in ASAM's scale-free ball"
    ),
    "average": Measure(_average, ((0.1, "relative"),), "mean rise under Gaussian noise"),
    "average_each_weight": Measure(
        _average, ((0.1, "relative"),), "mean rise under Gaussian noise as large as each weight"
    ),
    "power": Measure(_power, NO_LEVEL, "largest eigenvalue of the Hessian, by power iteration"),
    "lanczos": Measure(_lanczos, NO_LEVEL, "largest and lowest eigenvalues of the Hessian, by Lanczos"),
    "trace": Measure(_trace, NO_LEVEL, "trace of the Hessian, by Hutchinson's estimate"),
}
"""Name -> how it is computed, in the order of the tables."""
