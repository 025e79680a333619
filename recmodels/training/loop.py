"""The only training loop: a generator of one report per epoch. Stopping, saving and showing are the caller's."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from recmodels.data.dataset import RecDataset
from recmodels.data.sampling import BatchSampler
from recmodels.errors import TrainingDiverged
from recmodels.evaluation import Evaluator
from recmodels.models import Recommender
from recmodels.training.strategies import Strategy


@dataclass(frozen=True)
class EpochReport:
    """One epoch, counted from 1.

    `loss`: mean over the batches of the loss before each step; `terms`: the same by named term. `valid`: metrics after
    the epoch. `seconds`, `valid_seconds`: wall-clock time of training and of evaluation.
    """

    epoch: int
    loss: float
    terms: dict[str, float]
    valid: dict[str, float]
    seconds: float
    valid_seconds: float


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


@dataclass
class _BatchLoss:
    """The closure of one batch: the model's loss at the current weights, with its gradient.

    `terms` keeps the named terms of the first call, those at the weights before the step.
    """

    model: Recommender
    optimizer: Optimizer
    batch: Tensor
    place: str
    terms: dict[str, Tensor] = field(default_factory=dict)

    def __call__(self) -> float:
        self.optimizer.zero_grad()
        terms = self.model.loss(self.batch)
        loss = torch.stack(list(terms.values())).sum()
        value = float(loss.detach())
        if not math.isfinite(value):
            raise TrainingDiverged(f"the loss became {value} in {self.place}")
        loss.backward()
        if not self.terms:
            self.terms = {name: term.detach() for name, term in terms.items()}
        return value


def train(
    state: TrainingState, data: RecDataset, *, batch_size: int, max_epochs: int, evaluator: Evaluator
) -> Iterator[EpochReport]:
    """Train from the epoch after `state.epoch` to `max_epochs`, evaluating after each.

    A model without parameters has one epoch, of no batches. TrainingDiverged if a loss is NaN or infinite.
    """
    sampler = BatchSampler(data, batch_size, negatives=state.model.needs_negatives)
    weight = next(state.model.parameters(), None)
    while state.epoch < (max_epochs if weight is not None else 1):
        start = time.perf_counter()
        loss, terms = _train_epoch(state, sampler, weight.device) if weight is not None else (0.0, {})
        trained = time.perf_counter()
        state.model.eval()
        with torch.no_grad():
            valid = evaluator(*state.model.embed())
        state.epoch += 1
        yield EpochReport(state.epoch, loss, terms, valid, trained - start, time.perf_counter() - trained)


def _train_epoch(state: TrainingState, sampler: BatchSampler, device: torch.device) -> tuple[float, dict[str, float]]:
    state.model.train()
    state.model.new_epoch()
    state.strategy.new_epoch()
    losses: list[float] = []
    sums: dict[str, Tensor] = {}
    for number, rows in enumerate(sampler.epoch(state.rng), start=1):
        place = f"batch {number} of epoch {state.epoch + 1}"
        closure = _BatchLoss(state.model, state.optimizer, torch.from_numpy(rows).to(device), place)
        losses.append(state.strategy.step(closure, state.optimizer))
        for name, term in closure.terms.items():
            sums[name] = sums.get(name, torch.zeros_like(term)) + term
    return math.fsum(losses) / len(losses), {name: float(total) / len(losses) for name, total in sums.items()}
