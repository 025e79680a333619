"""What a strategy is made of: four layers, each a `Part` that knows nothing of the others.

loss transform   the model's loss -> the loss that is trained
oracle           the loss of a batch -> a direction in parameter space
rule             direction and optimiser -> new weights
averaging        the weights of many steps -> the weights that rank
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from recmodels.models.base import Recommender
from recmodels.training.batch_loss import BatchLoss, Counts

Batches = Callable[[np.random.Generator], Iterator[BatchLoss]]
"""Batches of an own random order, without end: for parts that look at the loss beside the training."""


class Part:
    """One layer's method. The keywords of the constructor are its knobs; ValueError for what they cannot be."""

    needs_features: ClassVar[bool] = False
    """Whether it trains only models whose loss reads item features."""

    def attach(self, model: Recommender, rng: np.random.Generator) -> None:
        """Called once, before training. `rng` is the part's own."""

    def new_epoch(self, epoch: int, batches: Batches) -> None:
        """Called before each epoch, counted from 0."""

    def report(self) -> dict[str, float]:
        """Figures worth a curve, by name."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """What a restored run needs between epochs."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Take up what `state_dict` gave."""


class LossTransform(Part, ABC):
    @abstractmethod
    def __call__(self, loss: BatchLoss, *, replay: bool) -> Tensor:
        """Add the gradient of the transformed loss; returns the loss as the model has it."""


class Oracle(Part):
    """The plain one: the gradient at the weights as they are."""

    def gradient(self, loss: BatchLoss, *, replay: bool = False) -> float:
        """Leave a direction in the parameters' `grad`; returns the loss at the weights, which are as before."""
        return loss(replay=replay)


class Update:
    """One step of the optimiser with the gradients at hand.

    They are scaled, then clipped to a total norm of `clip_norm`; weight decay is added by the optimiser, neither scaled
    nor clipped.
    """

    def __init__(self, optimizer: Optimizer, clip_norm: float | None = None, counts: Counts | None = None):
        self.optimizer, self.clip_norm, self.counts = optimizer, clip_norm, counts or Counts()

    def __call__(self, scale: float = 1.0, *, clip: bool = True) -> None:
        parameters = [p for group in self.optimizer.param_groups for p in group["params"] if p.grad is not None]
        gradients = [p.grad for p in parameters]
        if scale != 1.0:
            torch._foreach_mul_(gradients, scale)
        if clip and self.clip_norm is not None:
            clip_grads_with_norm_(parameters, self.clip_norm, get_total_norm(gradients))
        self.optimizer.step()
        self.counts.steps += 1

    def descend(self, scale: float) -> None:
        """theta <- theta - scale * lr * grad, whatever the optimiser."""
        with torch.no_grad():
            for group in self.optimizer.param_groups:
                for parameter in group["params"]:
                    if parameter.grad is not None:
                        parameter.add_(parameter.grad, alpha=-scale * group["lr"])

    @contextmanager
    def learning_rate_times(self, factor: float) -> Iterator[None]:
        rates = [group["lr"] for group in self.optimizer.param_groups]
        for group in self.optimizer.param_groups:
            group["lr"] *= factor
        try:
            yield
        finally:
            for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate


Gradient = Callable[..., float]
"""(*, replay=False) -> loss: the oracle on the current batch."""


class Rule(Part):
    """The plain one: theta <- theta - lr * direction, or what the optimiser makes of that."""

    def step(self, gradient: Gradient, update: Update, loss: BatchLoss) -> None:
        gradient()
        update()

    def penalty(self, learning_rate: float, squared_norm: float) -> dict[str, float]:
        """What the rule adds to the loss, to first order, where the squared norm of the gradient is this."""
        return {}


class Averaging(Part):
    """The plain one: the weights that rank are the last."""

    def after_step(self) -> None:
        """Called after each batch."""

    def after_epoch(self) -> None:
        """Called after each epoch, before its evaluation."""

    def weights(self) -> dict[str, Tensor]:
        """The averages by the parameter's name; empty while there are none."""
        return {}


@contextmanager
def kept(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Whatever happens to the parameters here, afterwards they are what they were, bit for bit and in place."""
    before = [parameter.detach().clone() for parameter in parameters]
    try:
        yield
    finally:
        assign(parameters, before)


def assign(parameters: Sequence[Tensor], values: Sequence[Tensor]) -> None:
    """Write the values into the parameters' own memory."""
    with torch.no_grad():
        if parameters:
            torch._foreach_copy_(list(parameters), list(values))
