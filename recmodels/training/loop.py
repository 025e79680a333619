"""The only training loop: a generator of one report per epoch. Stopping, saving and showing are the caller's."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from recmodels.data.dataset import RecDataset
from recmodels.data.sampling import BatchSampler
from recmodels.errors import TrainingDiverged
from recmodels.evaluation import Evaluator
from recmodels.models import Recommender
from recmodels.training.batch_loss import BatchLoss, Counts
from recmodels.training.strategies import Strategy

if TYPE_CHECKING:
    from recmodels.analysis.sharpness import Probe


@dataclass(frozen=True)
class EpochReport:
    """One epoch, counted from 1.

    `loss`: mean over the batches of the model's loss before each step; `terms`: the same by named term. `valid`:
    metrics after the epoch. `seconds`, `valid_seconds`: wall-clock time of training and of evaluation. `counts`: what
    the training cost. `flatness`: what the probe found, where it looked.
    """

    epoch: int
    loss: float
    terms: dict[str, float]
    valid: dict[str, float]
    seconds: float
    valid_seconds: float
    counts: Counts
    flatness: dict[str, float] = field(default_factory=dict)


@dataclass
class TrainingState:
    """Everything that training changes. `epoch`: epochs done. `rng`: orders batches and draws negatives."""

    model: Recommender
    optimizer: Optimizer
    strategy: Strategy
    rng: np.random.Generator
    epoch: int = 0

    def state_dict(self) -> dict[str, Any]:
        """All of it, torch's generators included, so that a restored run goes on as if never interrupted."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "strategy": self.strategy.state_dict(),
            "rng": self.rng.bit_generator.state,
            "torch_rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "epoch": self.epoch,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.strategy.load_state_dict(state["strategy"])
        self.rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        if state["cuda_rng"] and torch.cuda.is_available():
            torch.cuda.set_rng_state_all(state["cuda_rng"])
        self.epoch = state["epoch"]


def train(
    state: TrainingState,
    data: RecDataset,
    *,
    batch_size: int,
    max_epochs: int,
    evaluator: Evaluator,
    probe: "Probe | None" = None,
) -> Iterator[EpochReport]:
    """Train from the epoch after `state.epoch` to `max_epochs`, evaluating after each.

    A model without parameters has one epoch, of no batches. TrainingDiverged if losses or gradients keep being NaN or
    infinite.
    """
    sampler = BatchSampler(data, batch_size, negatives=state.model.needs_negatives)
    weight = next(state.model.parameters(), None)
    while state.epoch < (max_epochs if weight is not None else 1):
        start, before = time.perf_counter(), replace(state.strategy.counts)
        loss, terms = _train_epoch(state, sampler, weight.device) if weight is not None else (0.0, {})
        trained = time.perf_counter()
        state.model.eval()
        with state.strategy.evaluated(), torch.no_grad():
            valid = evaluator(*state.model.embed())
        evaluated = time.perf_counter()
        state.epoch += 1
        flatness = probe(state, sampler) if probe and weight is not None else {}
        yield EpochReport(
            state.epoch,
            loss,
            terms,
            valid,
            trained - start,
            evaluated - trained,
            state.strategy.counts.since(before),
            flatness,
        )


def _train_epoch(state: TrainingState, sampler: BatchSampler, device: torch.device) -> tuple[float, dict[str, float]]:
    epoch, strategy = state.epoch + 1, state.strategy

    def batches(rng: np.random.Generator) -> Iterator[BatchLoss]:
        while True:
            yield from (strategy.loss(torch.from_numpy(rows).to(device)) for rows in sampler.epoch(rng))

    state.model.train()
    state.model.new_epoch()
    strategy.new_epoch(state.epoch, batches)
    losses: list[float] = []
    sums: dict[str, Tensor] = {}
    for number, rows in enumerate(sampler.epoch(state.rng)):
        step = state.epoch * len(sampler) + number + 1
        loss = strategy.loss(torch.from_numpy(rows).to(device), epoch=epoch, number=number, step=step)
        strategy.step(loss, state.optimizer)
        if loss.value is not None:
            losses.append(loss.value)
            for name, term in loss.terms.items():
                sums[name] = sums.get(name, torch.zeros_like(term)) + term
    strategy.end_epoch()
    if not losses:
        raise TrainingDiverged(f"{strategy.last_fault}, and no other batch of the epoch could be used")
    return math.fsum(losses) / len(losses), {name: float(total) / len(losses) for name, total in sums.items()}
