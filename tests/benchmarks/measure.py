"""One model's seconds and memory, to be called in a fresh process."""

import statistics
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch.optim import Optimizer

from recmodels.data import Interactions, RecDataset, load_dataset
from recmodels.evaluation import Evaluator
from recmodels.models import MODELS, Recommender
from recmodels.training import Strategy, TrainingState, make_optimizer, make_strategy, train
from recmodels.training.batch_loss import BatchLoss
from recmodels.training.strategies.base import Batches
from tests.benchmarks.machine import peak_memory, synchronise

INTERVAL = 3
KINDS: dict[str, dict[str, Any]] = {"plain": {}, "mg": {"alpha": 1.0, "beta": 0.2, "interval": INTERVAL}}
CUTOFFS = (5, 10, 20, 50)


@dataclass(frozen=True)
class Job:
    """What one process measures. `base`: {"train", "model"} -> parameters. `steps`: batches per epoch, None for all."""

    model: str
    base: dict[str, dict[str, Any]]
    dataset: str
    data_dir: Path | None
    epochs: int
    steps: int | None
    threads: int
    device: str


@dataclass(frozen=True)
class Figures:
    """Medians in seconds, peaks in bytes. `projected`: epochs of fewer batches were scaled up to `n_batches`."""

    plain: float
    mg: float
    validation: float
    construction: float
    peak: int
    gpu_peak: int
    n_batches: int
    projected: bool

    @property
    def bound(self) -> float:
        """Passes of an MG epoch over those of a plain one: one batch in 3 is passed twice, the first one included."""
        return 1 + -(-self.n_batches // INTERVAL) / self.n_batches


def stopwatch(strategy: Strategy, n_steps: int, device: torch.device) -> list[float]:
    """Let the strategy note the seconds of each of its steps, `n_steps` an epoch; the list of the current epoch's."""
    seconds: list[float] = []
    new_epoch, step = strategy.new_epoch, strategy.step

    def timed_epoch(epoch: int, batches: Batches) -> None:
        seconds.clear()
        new_epoch(epoch, batches)

    def timed_step(loss: BatchLoss, optimizer: Optimizer) -> None:
        start = time.perf_counter()
        step(loss, optimizer)
        if len(seconds) == n_steps - 1:  # else the validation would wait for the epoch's last backward pass
            synchronise(device)
        seconds.append(time.perf_counter() - start)

    strategy.new_epoch, strategy.step = timed_epoch, timed_step  # type: ignore[method-assign]
    return seconds


def measure(job: Job) -> Figures | None:
    """None for a model that has nothing to train."""
    torch.set_num_threads(job.threads)
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
    seconds, validations = _epochs(job, model, data, n_steps, n_batches, device)
    return Figures(
        plain=statistics.median(seconds["plain"][1:]),
        mg=statistics.median(seconds["mg"][1:]),
        validation=statistics.median(validations[len(KINDS) :]),
        construction=construction,
        peak=peak_memory(),
        gpu_peak=torch.cuda.max_memory_allocated(device) if device.type == "cuda" else 0,
        n_batches=n_batches,
        projected=n_steps < n_batches,
    )


def _epochs(
    job: Job, model: Recommender, data: RecDataset, n_steps: int, n_batches: int, device: torch.device
) -> tuple[dict[str, list[float]], list[float]]:
    """Seconds of each epoch by kind, and of each validation, in turn and those that warm up included."""
    train_with = dict(job.base["train"])
    batch_size, optimizer = train_with.pop("batch_size"), train_with.pop("optimizer")
    strategies = {kind: make_strategy(kind, model, knobs) for kind, knobs in KINDS.items()}
    watches = {kind: stopwatch(strategy, n_steps, device) for kind, strategy in strategies.items()}
    made = make_optimizer(optimizer, model.parameters(), **train_with)
    state = TrainingState(model, made, strategies["plain"], np.random.default_rng(0))
    turns = list(KINDS) * (job.epochs + 1)
    reports = train(
        state,
        data if n_steps == n_batches else thinned(data, n_steps * batch_size),
        batch_size=batch_size,
        max_epochs=len(turns),
        evaluator=Evaluator(data.train, data.valid, data.n_items, CUTOFFS),
    )
    seconds: dict[str, list[float]] = {kind: [] for kind in KINDS}
    validations = []
    for kind in turns:
        state.strategy = strategies[kind]
        report = next(reports)
        left_out = sum(watches[kind]) * (n_batches / n_steps - 1)
        seconds[kind].append(report.seconds + left_out)
        validations.append(report.valid_seconds)
    return seconds, validations


def thinned(data: RecDataset, n: int) -> RecDataset:
    """`n` of the training pairs at random: a shorter epoch for a model that was built on all of them."""
    rows = np.random.default_rng(0).choice(len(data.train), n, replace=False)
    pairs = Interactions.from_pairs(data.train.users[rows], data.train.items[rows], data.n_users)
    return replace(data, train=pairs, fingerprint=f"{data.fingerprint}, {n} training pairs")
