"""A strategy decides how a loss becomes a step of the optimiser."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch.optim import Optimizer

Closure = Callable[[], float]
"""Clear gradients, loss of the current batch at the current weights (same negatives at every call), backward, value."""


class Strategy(ABC):
    """Constructor: `Strategy(*, knobs)`. At its neutral setting a strategy equals plain training bit for bit."""

    def new_epoch(self) -> None:  # noqa: B027
        """Called before each epoch."""

    @abstractmethod
    def step(self, closure: Closure, optimizer: Optimizer) -> float:
        """Train on one batch; returns the loss at the weights found on entry."""

    def state_dict(self) -> dict[str, Any]:
        """What a restored run needs between epochs."""
        return {}

    def load_state_dict(self, state: dict[str, Any]) -> None:  # noqa: B027
        """Take up what `state_dict` gave."""


def scaled_step(optimizer: Optimizer, scale: float) -> None:
    """One step of the optimiser with all gradients multiplied by `scale`. Weight decay is the optimiser's: unscaled."""
    if scale != 1.0:
        gradients = [p.grad for group in optimizer.param_groups for p in group["params"] if p.grad is not None]
        torch._foreach_mul_(gradients, scale)
    optimizer.step()
