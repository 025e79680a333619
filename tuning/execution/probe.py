"""One epoch of a trial as a probe of the memory and the time of the card that it runs on."""

import gc
import shutil
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Protocol

import torch

from recmodels.data.dataset import RecDataset
from recmodels.evaluation import Evaluator
from recmodels.training import train
from recmodels.training.memory import keep_freed_memory
from tuning.execution.cards import Meter, Reading
from tuning.execution.memory import memory_lack
from tuning.execution.trial import build
from tuning.records import TrialPlan
from tuning.space import Choice, Parameter, Range
from tuning.spec import SearchSpec

SECONDS = 3.0
"""The probe trains one epoch at least, and for so long: of a shorter time there are few samples of the load."""
NO_ROOM = float("inf")


class Gauge(Protocol):
    """Measures a card while a trial runs on it. `name`, `memory`: of the card, as in `Meter`; `device`: its kind."""

    name: str
    memory: int | None
    device: str

    def begin(self) -> None:
        """Measure from now on."""

    def read(self) -> Reading:
        """Return what was taken since `begin`, and measure no more."""


def probe(spec: SearchSpec, data: RecDataset, gauge: Gauge) -> Meter:
    """Train at each of `probed_points` in turn, and return what was measured. Raises what a trial raises, but for a
    lack of memory, which is a reading too."""
    torch.set_num_threads(spec.resources.cpus_per_trial or 1)
    keep_freed_memory()
    return Meter(gauge.name, gauge.memory, tuple(_reading(spec, data, point, gauge) for point in probed_points(spec)))


def probed_points(spec: SearchSpec) -> list[dict[str, Any]]:
    """Return the point that a trial usually is at, and, if it is another, the one with the most memory: its whole
    numbers of the model, such as the embedding size, and its batch size are the largest of the space."""
    usual = _usual(spec)
    largest = {p.coordinate: _largest(spec.space.dimensions.get(p.coordinate)) for p in _sizes(spec)}
    points = [usual, usual | {name: size for name, size in largest.items() if size is not None}]
    return points if points[1] != usual else points[:1]


def _usual(spec: SearchSpec) -> dict[str, Any]:
    space = spec.space
    starts: Sequence[Mapping[str, Any]] = [start.point for start in space.starts()[0]]
    listed = [*spec.confirmed, *space.points, *starts]
    if listed:
        return dict(listed[0])
    return {name: each.at(0) if isinstance(each, Choice) else each.low for name, each in space.dimensions.items()}


def _sizes(spec: SearchSpec) -> list[Parameter]:
    return [p for p in spec.space.parameters if p.section == "model" or p.name == "batch_size"]


def _largest(values: Choice | Range | None) -> int | None:
    """Return the largest of whole numbers; None for other values."""
    if isinstance(values, Range):
        return int(values.high) if values.whole else None
    if values is None or not all(type(value) is int for value in values.values):
        return None
    return max(map(int, values.values))


def _reading(spec: SearchSpec, data: RecDataset, point: Mapping[str, Any], gauge: Gauge) -> Reading:
    plan = TrialPlan(
        trial="probe",
        role="search",
        params=spec.space.resolve(point),
        point=dict(point),
        seed=spec.training.seed,
        threads=1,
        device=gauge.device,
        strategy=spec.strategy,
        time=time.time(),
    )
    has_room = True
    gauge.begin()
    try:
        _train(plan, spec, data)
    except Exception as error:
        if memory_lack(error) is None:
            raise
        has_room = False
    finally:
        reading = gauge.read()
    return reading if has_room else replace(reading, torch=NO_ROOM)


def _train(plan: TrialPlan, spec: SearchSpec, data: RecDataset) -> None:
    """Train whole epochs, each with its validation, as a trial of the plan does."""
    state, end = build(plan, spec.model, data, torch.device(plan.device)), time.monotonic() + SECONDS
    evaluator = Evaluator(data, "valid", spec.training.cutoffs)
    size, most = plan.params["train"]["batch_size"], spec.training.max_epochs
    epochs = train(state, data, batch_size=size, max_epochs=most, evaluator=evaluator)
    for _ in epochs:
        if time.monotonic() > end:
            return


class CudaGauge:
    """Measures the first GPU that this process sees, by torch and, for its load, by the driver's own program."""

    device = "cuda"

    def __init__(self) -> None:
        self.name = torch.cuda.get_device_name()
        self.memory: int | None = torch.cuda.mem_get_info()[1]
        self._load = Load(str(torch.cuda.get_device_properties(0).uuid))

    def begin(self) -> None:
        gc.collect()
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        self._load.begin()

    def read(self) -> Reading:
        busy = self._load.read()
        free, total = torch.cuda.mem_get_info()
        around = max(0, total - free - torch.cuda.memory_reserved())
        return Reading(torch.cuda.max_memory_reserved(), around, busy)


class Load:
    """The share of the time in which a GPU computes, as `nvidia-smi` samples it ten times a second. `uuid`: of the
    GPU."""

    def __init__(self, uuid: str):
        self.uuid = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
        self._running: subprocess.Popen[str] | None = None

    def begin(self) -> None:
        program = shutil.which("nvidia-smi")
        if program is None:
            return
        what = ("--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "--loop-ms=100")
        self._running = subprocess.Popen(
            [program, f"--id={self.uuid}", *what],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def read(self) -> float | None:
        """Return the mean of the samples since `begin`, 0 to 1; None if there is no sample, as on a part of a card."""
        if self._running is None:
            return None
        self._running.terminate()
        said, self._running = self._running.communicate()[0], None
        samples = [int(line) for line in said.split("\n")[:-1] if line.strip().isdecimal()]
        return sum(samples) / len(samples) / 100 if samples else None
