"""The parts of a strategy: four layers, each a `Part` that knows nothing of the others.

loss transform   the model's loss -> the loss that is trained
oracle           the loss of a batch -> a direction in parameter space
rule             direction and optimiser -> new weights
averaging        the weights of many steps -> the evaluation weights
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils import clip_grads_with_norm_, get_total_norm
from torch.optim import Optimizer

from recmodels.models.base import Recommender
from recmodels.signatures import check_values
from recmodels.training.batch_loss import Batches, BatchLoss, Counts, Scalar


@dataclass(kw_only=True, eq=False)
class Part:
    """The method of one layer: a keyword dataclass whose fields are its knobs. Raises ValueError for an invalid one."""

    layer: ClassVar[str]
    """The layer that the part belongs to, set by the four base classes."""
    shown: ClassVar[tuple[str, ...]] = ()
    """Names of the knobs that tables of trials show, searched or not."""
    needs_features: ClassVar[bool] = False
    """True if the part trains only models whose loss reads item features."""
    reconstruction: ClassVar[bool] = False
    """True if the part was rebuilt from less than its paper's full text: its results are not those of the paper."""
    begins: ClassVar[tuple[str, ...]] = ()
    """Names of the knobs that are a number of epochs, within which the part does nothing."""
    off: ClassVar[Mapping[str, Any]] = {}
    """Knobs with which the part leaves plain training as it is, bit for bit on a CPU; empty if there are none."""
    epoch = 0
    """The current epoch, counted from 0."""

    def __post_init__(self) -> None:
        """Check each knob against its annotation; a part with rules for several knobs checks these too."""
        check_values(type(self), vars(self))

    def attach(self, model: Recommender, rng: np.random.Generator) -> None:
        """Called once, before training. `rng` belongs to this part alone."""

    def new_epoch(self, epoch: int, batches: Batches) -> None:
        """Called before each epoch, counted from 0."""
        self.epoch = epoch

    @property
    def waits(self) -> bool:
        """True if the part is waiting for the model to converge."""
        return False

    def restart(self) -> None:
        """Called when training goes on from the weights that validated best, as a part has waited for that."""

    def report(self) -> dict[str, float]:
        """Return figures worth a curve, by name."""
        return {}

    def idle(self) -> str:
        """Return why the part has done nothing in the training so far; "" if it has, or is switched off."""
        return ""

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a restored run needs between epochs; what a step changes in place has to be in it."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""


class LossTransform(Part, ABC):
    """A change of the loss that is trained; plain training has none."""

    layer = "transform"

    @abstractmethod
    def __call__(self, loss: BatchLoss, *, replay: bool) -> Tensor:
        """Add the gradient of the transformed loss; return the model's loss, a scalar."""


class Oracle(Part):
    """The plain one: the gradient at the current weights."""

    layer = "oracle"

    def gradient(self, loss: BatchLoss, *, replay: bool = False) -> Scalar:
        """Leave a direction in the parameters' `grad`; return the loss at the weights, which stay as they were."""
        return loss(replay=replay)


class Update:
    """One step of the optimiser with the current gradients.

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
        """Inside, the learning rates are multiplied by `factor`; afterwards they are as before."""
        rates = [group["lr"] for group in self.optimizer.param_groups]
        for group in self.optimizer.param_groups:
            group["lr"] *= factor
        try:
            yield
        finally:
            for group, rate in zip(self.optimizer.param_groups, rates, strict=True):
                group["lr"] = rate


class Gradient(Protocol):
    """The oracle on the current batch: leaves a direction in the parameters' `grad` and returns the loss."""

    def __call__(self, *, replay: bool = False) -> Scalar: ...


class Rule(Part):
    """The plain one: theta <- theta - lr * direction, or the optimiser's own use of the direction."""

    layer = "rule"

    def step(self, gradient: Gradient, update: Update, loss: BatchLoss) -> None:
        """Train on one batch: `gradient` gives a direction at the current weights, `update` steps along it."""
        gradient()
        update()

    def penalty(self, learning_rate: float, squared_norm: float) -> dict[str, float]:
        """Return the terms that the rule adds to the loss, to first order, by name; `squared_norm`: of the gradient."""
        return {}


class Averaging(Part):
    """The plain one: the evaluation weights are the last weights."""

    layer = "averaging"

    def after_step(self) -> None:
        """Called after each batch."""

    def after_epoch(self) -> None:
        """Called after each epoch, before its evaluation."""

    def weights(self) -> dict[str, Tensor]:
        """Return the averages by the parameter's name; empty while there are none."""
        return {}


@contextmanager
def restoring(parameters: Sequence[nn.Parameter]) -> Iterator[None]:
    """Restore the values of the parameters on leaving, bit for bit and in place."""
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
