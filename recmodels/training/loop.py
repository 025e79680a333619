"""The only training loop: a generator of one report per epoch. Stopping, saving, showing and measuring are the
caller's."""

import copy
import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count, islice
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from recmodels.data import BatchSampler, RecDataset
from recmodels.errors import TrainingDiverged
from recmodels.evaluation import Evaluator
from recmodels.models import Recommender
from recmodels.ops import uploaded
from recmodels.signatures import CountFromOne, check_value
from recmodels.training.batch_loss import BatchLoss, Counts, unread_on
from recmodels.training.optimizers import decay_rates
from recmodels.training.strategies import Strategy

WINDOW = 32
"""Batches between two looks of the host at a GPU's numbers."""


@dataclass(frozen=True)
class EpochReport:
    """One epoch, counted from 1.

    `loss`: mean over the batches of the model's loss before each step; `terms`: the same by named term. `valid`:
    metrics after the epoch, {} if it was not evaluated. `seconds`, `valid_seconds`: wall-clock time of training and of
    evaluation. `counts`: the cost of the epoch's training.
    """

    epoch: int
    loss: float
    terms: dict[str, float]
    valid: dict[str, float]
    seconds: float
    valid_seconds: float
    counts: Counts


@dataclass
class TrainingState:
    """Everything that training changes. `epoch`: the next epoch, counted from 0, which is the number of epochs done.
    `rng`: orders batches and draws negatives."""

    model: Recommender
    optimizer: Optimizer
    strategy: Strategy
    rng: np.random.Generator
    epoch: int = 0

    def state_dict(self) -> dict[str, Any]:
        """Return all of it, with torch's generators of the CPU and of the model's device.

        On the CPU a restored run goes on as if it had not been interrupted, bit for bit. On a GPU, which adds in no
        fixed order, it sees the same batches and draws, and its numbers differ by rounding.
        """
        device = self.model.device
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "strategy": self.strategy.state_dict(),
            "rng": self.rng.bit_generator.state,
            "torch_rng": torch.get_rng_state(),
            # The device in use alone: asking for another card's generator would take memory there.
            "cuda_rng": [torch.cuda.get_rng_state(device)] if device.type == "cuda" else [],
            "epoch": self.epoch,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned, on this or another device; a GPU's draws have no use on a
        CPU."""
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.strategy.load_state_dict(state["strategy"])
        self.rng.bit_generator.state = state["rng"]
        torch.set_rng_state(state["torch_rng"])
        if state["cuda_rng"] and self.model.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda_rng"][0], self.model.device)  # older files hold one of each card
        self.epoch = state["epoch"]


def train(
    state: TrainingState,
    data: RecDataset,
    *,
    batch_size: int,
    max_epochs: int,
    evaluator: Evaluator,
    eval_every: CountFromOne = 1,
) -> Iterator[EpochReport]:
    """Train from epoch `state.epoch` on until `max_epochs` are done; yields a report after each.

    Every `eval_every`-th epoch, counted from the first of all, is evaluated, and so is the last one. A model without
    parameters has one epoch, of no batches. Raises ValueError unless eval_every >= 1, and TrainingDiverged if losses or
    gradients keep being NaN or infinite.

    >>> import numpy as np
    >>> from recmodels.data import load_dataset
    >>> from recmodels.models import MODELS
    >>> from recmodels.training import make_optimizer, make_strategy
    >>> data = load_dataset("demo")
    >>> model = MODELS["BPR"](data, embedding_size=8)
    >>> optimizer = make_optimizer("adam", model.parameters(), learning_rate=0.01)
    >>> state = TrainingState(model, optimizer, make_strategy("mg", model), np.random.default_rng(0))
    >>> evaluator = Evaluator(data, "valid", ks=(20,))
    >>> for report in train(state, data, batch_size=512, max_epochs=2, evaluator=evaluator):
    ...     print(report.epoch, report.loss > 0, 0 <= report.valid["recall@20"] <= 1)
    1 True True
    2 True True
    """
    check_value("eval_every", eval_every, CountFromOne)
    sampler = BatchSampler(data, batch_size, negatives=state.model.needs_negatives)
    trains = next(state.model.parameters(), None) is not None
    last = max_epochs if trains else 1
    while state.epoch < last:
        start, before = time.perf_counter(), replace(state.strategy.counts)
        loss, terms = _train_epoch(state, sampler) if trains else (0.0, {})
        trained = time.perf_counter()
        state.epoch += 1
        state.model.eval()
        valid, valid_seconds = {}, 0.0
        if state.epoch % eval_every == 0 or state.epoch == last:
            with state.strategy.evaluation_weights(), torch.no_grad():
                valid = evaluator.metrics(state.model)
            valid_seconds = time.perf_counter() - trained
        counts = state.strategy.counts - before
        yield EpochReport(state.epoch, loss, terms, valid, trained - start, valid_seconds, counts)


def batches_on(device: torch.device, sampler: BatchSampler, rng: np.random.Generator) -> Iterator[Tensor]:
    """Yield the sampler's batches of an epoch on a device; all are drawn, and uploaded at once, in this call."""
    rows = uploaded(sampler.rows(rng), device)
    return (rows[:, start : start + sampler.batch_size] for start in range(0, rows.shape[1], sampler.batch_size))


def _train_epoch(state: TrainingState, sampler: BatchSampler) -> tuple[float, dict[str, float]]:
    """Return the means over the epoch's batches of the loss and of its named terms."""
    epoch, strategy, device = state.epoch, state.strategy, state.model.device

    def batches(rng: np.random.Generator) -> Iterator[BatchLoss]:
        while True:
            yield from map(strategy.loss, batches_on(device, sampler, rng))

    decay_rates(state.optimizer, epoch)
    state.model.train()
    state.model.new_epoch()
    strategy.new_epoch(epoch, batches)
    places = zip(count(), count(epoch * len(sampler)), batches_on(device, sampler, state.rng), strict=False)
    values: list[float] = []
    sums: dict[str, Tensor] = {}
    while window := list(islice(places, WINDOW)):
        for loss in _take_and_look(state, window):
            if loss.value is not None:
                values.append(float(loss.value))
                for name, term in loss.terms.items():
                    sums[name] = sums.get(name, torch.zeros_like(term)) + term
    strategy.end_epoch()
    if not values:
        raise TrainingDiverged(f"{strategy.last_fault}, and no other batch of the epoch could be used")
    means = [total / len(values) for total in torch.stack(list(sums.values())).tolist()]
    return math.fsum(values) / len(values), dict(zip(sums, means, strict=True))


Place = tuple[int, int, Tensor]
"""A batch: its index in the epoch and in the training, and its rows."""


def _take_and_look(state: TrainingState, window: list[Place]) -> list[BatchLoss]:
    """Take the steps of a window; return the losses of its batches, whose values are read.

    On a GPU the host waits once, at the end. If a number is not finite it goes back to where the window began and takes
    the same steps again, reading in each: so batches are skipped, and counted, as on a CPU.
    """
    unread = unread_on(state.model.device)
    if unread is None:
        return _take(state, window)
    beginning = _Bookmark(state)
    losses = _take(state, window, unread)
    values = {loss: loss.value for loss in losses if isinstance(loss.value, Tensor)}
    numbers = torch.stack([*values.values(), *unread]).tolist()
    if not all(map(math.isfinite, numbers)):
        beginning.go_back()
        return _take(state, window)
    for loss, value in zip(values, numbers, strict=False):
        loss.value = value
    return losses


def _take(state: TrainingState, window: list[Place], unread: list[Tensor] | None = None) -> list[BatchLoss]:
    losses = []
    for batch_index, step, rows in window:
        loss = state.strategy.loss(rows, epoch=state.epoch, batch_index=batch_index, step=step, unread=unread)
        state.strategy.step(loss, state.optimizer)
        losses.append(loss)
    return losses


class _Bookmark:
    """A copy of a state, on its device, to which training can go back in the midst of an epoch."""

    def __init__(self, state: TrainingState):
        self.state, self.saved = state, _copied(state.state_dict())
        # What a part knows within an epoch alone.
        self.attributes = {layer: dict(vars(part)) for layer, part in state.strategy.parts.items()}

    def go_back(self) -> None:
        for layer, part in self.state.strategy.parts.items():
            vars(part).clear()
            vars(part).update(self.attributes[layer])
        self.state.load_state_dict(self.saved)


def _copied(value: Any) -> Any:
    """Return a copy of nested containers, and of the tensors in them, each on its device."""
    if isinstance(value, Tensor):
        return value.detach().clone()
    if isinstance(value, dict):
        return {key: _copied(each) for key, each in value.items()}
    return [_copied(each) for each in value] if isinstance(value, list) else copy.deepcopy(value)
