"""A strategy: how the loss of a batch becomes a step. Four layers that know nothing of each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from torch import Tensor
from torch.optim import Optimizer

from recmodels.errors import TrainingDiverged
from recmodels.models.base import Recommender
from recmodels.training.batch_loss import BadStep, BatchLoss, Counts
from recmodels.training.strategies.base import (
    Averaging,
    Batches,
    LossTransform,
    Oracle,
    Part,
    Rule,
    Update,
    assign,
    kept,
)

MAX_BAD_STEPS = 3


class Strategy:
    """Loss transform, oracle, rule and averaging on one model.

    A batch whose loss or gradient is not finite is skipped, with the weights as they were or, in the second step of
    Mirror Gradient, as they are; MAX_BAD_STEPS of them in a row end the training. `seed` is for what parts draw.
    """

    def __init__(
        self,
        model: Recommender,
        *,
        transform: LossTransform | None = None,
        oracle: Oracle | None = None,
        rule: Rule | None = None,
        averaging: Averaging | None = None,
        clip_norm: float | None = None,
        seed: int = 0,
    ):
        self.model, self.clip_norm = model, clip_norm
        self.transform, self.oracle = transform, oracle or Oracle()
        self.rule, self.averaging = rule or Rule(), averaging or Averaging()
        self.counts, self.bad_in_a_row, self.last_fault = Counts(), 0, ""
        for layer, part in self._parts().items():  # what one layer draws does not depend on the others
            part.attach(model, np.random.default_rng([seed, *layer.encode()]))

    def loss(self, rows: Tensor, *, epoch: int = 1, number: int = 0, step: int = 1) -> BatchLoss:
        """The loss of a batch as this strategy trains it."""
        return BatchLoss(
            self.model, rows, epoch=epoch, number=number, step=step, counts=self.counts, transform=self.transform
        )

    def new_epoch(self, epoch: int, batches: Batches) -> None:
        for part in self._parts().values():
            part.new_epoch(epoch, batches)

    def step(self, loss: BatchLoss, optimizer: Optimizer) -> None:
        """Train on one batch. TrainingDiverged after too many that could not be used."""
        update = Update(optimizer, self.clip_norm, self.counts)
        try:
            self.rule.step(lambda **how: self.oracle.gradient(loss, **how), update, loss)
        except BadStep as bad:
            self.model.zero_grad()
            self.last_fault = str(bad)
            self.counts.skipped += 1
            self.bad_in_a_row += 1
            if self.bad_in_a_row >= MAX_BAD_STEPS:
                raise TrainingDiverged(f"{bad}, the last of {MAX_BAD_STEPS} such batches in a row") from None
        else:
            self.bad_in_a_row = 0
        self.averaging.after_step()

    def end_epoch(self) -> None:
        """Called after each epoch, before its evaluation."""
        self.averaging.after_epoch()

    @contextmanager
    def evaluated(self) -> Iterator[None]:
        """The model with the weights that rank."""
        means = self.averaging.weights()
        parameters = dict(self.model.named_parameters())
        averaged = [parameters[name] for name in means]
        with kept(averaged):
            assign(averaged, list(means.values()))
            yield

    def weights(self) -> dict[str, Tensor]:
        """The state dict of the model as it is evaluated, a copy."""
        weights = self.model.state_dict() | self.averaging.weights()
        return {name: tensor.detach().clone() for name, tensor in weights.items()}

    def report(self) -> dict[str, float]:
        """Figures of the parts worth a curve."""
        return {name: value for part in self._parts().values() for name, value in part.report().items()}

    def state_dict(self) -> dict[str, Any]:
        """What a restored run needs between epochs."""
        parts = {name: part.state_dict() for name, part in self._parts().items()}
        return {"parts": parts, "counts": vars(self.counts).copy(), "bad_in_a_row": self.bad_in_a_row}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name, part in self._parts().items():
            part.load_state_dict(state["parts"][name])
        vars(self.counts).update(state["counts"])
        self.bad_in_a_row = state["bad_in_a_row"]

    def _parts(self) -> dict[str, Part]:
        parts = {
            "transform": self.transform,
            "oracle": self.oracle,
            "rule": self.rule,
            "averaging": self.averaging,
        }
        return {name: part for name, part in parts.items() if part is not None}
