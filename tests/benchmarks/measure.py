"""One model's seconds and memory under one strategy or several, to be called in a fresh process."""

import statistics
import time
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer

from recmodels.data import Interactions, RecDataset, load_dataset
from recmodels.evaluation import Evaluator
from recmodels.models import MODELS, Recommender
from recmodels.training import Strategy, TrainingState, make_optimizer, make_strategy, train
from recmodels.training.batch_loss import Batches, BatchLoss
from recmodels.training.memory import keep_freed_memory
from tests.benchmarks.machine import peak_memory, synchronise

CUTOFFS = (5, 10, 20, 50)


@dataclass(frozen=True)
class Job:
    """What one process measures. `base`: {"train", "model"} -> parameters. `steps`: batches per epoch, None for all.
    `strategies`: names, "plain" among them; those that the model cannot have are left out."""

    model: str
    base: dict[str, dict[str, Any]]
    dataset: str
    data_dir: Path | None
    epochs: int
    steps: int | None
    threads: int
    device: str
    strategies: tuple[str, ...]


@dataclass(frozen=True)
class Figures:
    """Medians in seconds, peaks in bytes. `epoch`, `cpu`, `passes`: by strategy, of an epoch, on the clock, of the
    processor and in forward and backward passes. `projected`: `epoch` was scaled up from fewer batches than the data
    set has."""

    epoch: dict[str, float]
    cpu: dict[str, float]
    passes: dict[str, int]
    validation: float
    construction: float
    peak: int
    gpu_peak: int
    projected: bool

    def bound(self, strategy: str) -> float:
        """What an epoch would be, in plain ones, if passes were all that costs."""
        return self.passes[strategy] / self.passes["plain"]


@dataclass
class Watch:
    """Seconds of the current epoch: of each step on the clock, and of the processor, all of its threads together."""

    steps: list[float] = field(default_factory=list)
    cpu: float = 0.0


@dataclass
class Turns:
    """What the epochs of one strategy have cost, the one that warms up included."""

    strategy: Strategy
    watch: Watch
    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    passes: list[int] = field(default_factory=list)


def stopwatch(strategy: Strategy, n_steps: int, device: torch.device) -> Watch:
    """A watch that runs while the strategy trains, `n_steps` an epoch."""
    watch = Watch()
    new_epoch, step, end_epoch = strategy.new_epoch, strategy.step, strategy.end_epoch

    def timed_epoch(epoch: int, batches: Batches) -> None:
        watch.steps.clear()
        watch.cpu = -time.process_time()
        new_epoch(epoch, batches)

    def timed_step(loss: BatchLoss, optimizer: Optimizer) -> None:
        start = time.perf_counter()
        step(loss, optimizer)
        if len(watch.steps) == n_steps - 1:  # else the validation would wait for the epoch's last backward pass
            synchronise(device)
        watch.steps.append(time.perf_counter() - start)

    def timed_end() -> None:
        end_epoch()
        watch.cpu += time.process_time()

    strategy.new_epoch, strategy.step, strategy.end_epoch = timed_epoch, timed_step, timed_end  # type: ignore[method-assign]
    return watch


def measure(job: Job) -> Figures | None:
    """None for a model that has nothing to train."""
    torch.set_num_threads(job.threads)
    keep_freed_memory()  # as a trial does
    # Without a cache every construction pays for its graphs.
    data, device = replace(load_dataset(job.dataset, job.data_dir), cache_dir=None), torch.device(job.device)
    start = time.perf_counter()
    torch.manual_seed(0)
    model = MODELS[job.model](data, **job.base["model"]).to(device)
    synchronise(device)
    construction = time.perf_counter() - start
    if not any(parameter.requires_grad for parameter in model.parameters()):
        return None
    n_batches = -(-len(data.train) // job.base["train"]["batch_size"])
    n_steps = min(job.steps or n_batches, n_batches)
    turns, validations = _epochs(job, model, data, n_steps, n_batches, device)
    return Figures(
        epoch={name: statistics.median(each.seconds[1:]) for name, each in turns.items()},
        cpu={name: statistics.median(each.cpu[1:]) for name, each in turns.items()},
        passes={name: each.passes[-1] for name, each in turns.items()},
        validation=statistics.median(validations[len(turns) :]),
        construction=construction,
        peak=peak_memory(),
        gpu_peak=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0,
        projected=n_steps < n_batches,
    )


def _epochs(
    job: Job, model: Recommender, data: RecDataset, n_steps: int, n_batches: int, device: torch.device
) -> tuple[dict[str, Turns], list[float]]:
    """The epochs of each strategy, in turn on the same weights, and the seconds of each validation."""
    train_with = dict(job.base["train"])
    batch_size, optimizer = train_with.pop("batch_size"), train_with.pop("optimizer")
    turns: dict[str, Turns] = {}
    for name in job.strategies:
        with suppress(ValueError):  # a model without features cannot have a strategy that moves them
            strategy = make_strategy(name, model)
            turns[name] = Turns(strategy, stopwatch(strategy, n_steps, device))
    made = make_optimizer(optimizer, model.parameters(), **train_with)
    state = TrainingState(model, made, turns["plain"].strategy, np.random.default_rng(0))
    reports = train(
        state,
        data if n_steps == n_batches else thinned(data, n_steps * batch_size),
        batch_size=batch_size,
        max_epochs=len(turns) * (job.epochs + 1),
        evaluator=Evaluator(data, "valid", CUTOFFS),
    )
    validations = []
    for turn in [*turns.values()] * (job.epochs + 1):
        state.strategy = turn.strategy
        report = next(reports)
        left_out = sum(turn.watch.steps) * (n_batches / n_steps - 1)
        turn.seconds.append(report.seconds + left_out)
        turn.cpu.append(turn.watch.cpu)
        turn.passes.append(report.counts.backward)
        validations.append(report.valid_seconds)
    return turns, validations


def thinned(data: RecDataset, n: int) -> RecDataset:
    """`n` of the training pairs at random: a shorter epoch for a model that was built on all of them."""
    rows = np.random.default_rng(0).choice(len(data.train), n, replace=False)
    pairs = Interactions.from_pairs(data.train.users[rows], data.train.items[rows], data.n_users)
    return replace(data, train=pairs, fingerprint=f"{data.fingerprint}, {n} training pairs")
