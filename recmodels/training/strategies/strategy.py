"""A strategy: how the loss of a batch becomes a step. Four layers that know nothing of each other."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from typing import Any

import numpy as np
from torch import Tensor
from torch.optim import Optimizer

from recmodels.errors import TrainingDiverged
from recmodels.models.base import Recommender
from recmodels.signatures import Positive, check_value
from recmodels.training.batch_loss import BadStep, Batches, BatchLoss, Counts, Precision
from recmodels.training.strategies.base import Averaging, LossTransform, Oracle, Part, Rule, Update, assign, restoring

MAX_BAD_STEPS = 3


class Strategy:
    """Loss transform, oracle, rule and averaging on one model.

    A batch whose loss or gradient is not finite is skipped; the weights stay as they were before it or, if only the
    second step of Mirror Gradient failed, as the first step left them. MAX_BAD_STEPS such batches in a row end the
    training. `clip_norm`: the total norm to which the gradients of every step are clipped, None for no clipping.
    `seed`: for the random draws of the parts. `precision`: of the forward passes. Raises ValueError unless
    clip_norm > 0 and the precision is known.
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
        precision: Precision = "fp32",
    ):
        check_value("precision", precision, Precision)
        if clip_norm is not None:
            check_value("clip_norm", clip_norm, Positive)
        self.model, self.clip_norm, self.precision = model, clip_norm, precision
        self.transform, self.oracle = transform, oracle or Oracle()
        self.rule, self.averaging = rule or Rule(), averaging or Averaging()
        self.counts, self.bad_in_a_row, self.last_fault = Counts(), 0, ""
        parts: list[Part | None] = [transform, self.oracle, self.rule, self.averaging]
        self.parts = {part.layer: part for part in parts if part}
        for layer, part in self.parts.items():  # what one layer draws does not depend on the others
            part.attach(model, np.random.default_rng([seed, *layer.encode()]))

    def loss(
        self, rows: Tensor, *, epoch: int = 0, batch_index: int = 0, step: int = 0, unread: list[Tensor] | None = None
    ) -> BatchLoss:
        """Return the loss of a batch (3, B) as this strategy trains it; `BatchLoss` explains the numbers."""
        return BatchLoss(
            self.model,
            rows,
            self.counts,
            self.transform,
            unread=unread,
            precision=self.precision,
            epoch=epoch,
            batch_index=batch_index,
            step=step,
        )

    def new_epoch(self, epoch: int, batches: Batches) -> None:
        """Called before each epoch, counted from 0."""
        for part in self.parts.values():
            part.new_epoch(epoch, batches)

    def step(self, loss: BatchLoss, optimizer: Optimizer) -> None:
        """Train on one batch. Raises TrainingDiverged after MAX_BAD_STEPS skipped batches in a row.

        A batch whose numbers are not read (`BatchLoss.unread`) is trained on as a good one.
        """
        update = Update(optimizer, self.clip_norm, self.counts)
        try:
            self.rule.step(partial(self.oracle.gradient, loss), update, loss)
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

    def restart(self) -> bool:
        """Called when the model has converged. Return whether a part has waited for that: then training is to go on,
        from the weights that validated best and with a fresh optimiser."""
        if not any(part.waits for part in self.parts.values()):
            return False
        for part in self.parts.values():
            part.restart()
        return True

    @contextmanager
    def evaluation_weights(self) -> Iterator[None]:
        """Inside, the model has the evaluation weights: its own, or their average if there is an averaging."""
        means = self.averaging.weights()
        averaged = [self.model.get_parameter(name) for name in means]
        with restoring(averaged):
            assign(averaged, list(means.values()))
            yield

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of the model's state dict with the evaluation weights, on the CPU: a GPU's memory is scarce."""
        weights = self.model.state_dict() | self.averaging.weights()
        return {name: tensor.detach().to("cpu", copy=True) for name, tensor in weights.items()}

    def report(self) -> dict[str, float]:
        """Return the parts' figures that are worth a curve, by name."""
        return {name: value for part in self.parts.values() for name, value in part.report().items()}

    def idle(self) -> list[str]:
        """Return why parts have done nothing in the training so far, one line for each that has not."""
        return [reason for part in self.parts.values() if (reason := part.idle())]

    def state_dict(self) -> dict[str, Any]:
        """Return the state that a restored run needs between epochs."""
        parts = {name: part.state_dict() for name, part in self.parts.items()}
        return {"parts": parts, "counts": asdict(self.counts), "bad_in_a_row": self.bad_in_a_row}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore the state that `state_dict` returned."""
        for name, part in self.parts.items():
            part.load_state_dict(state["parts"][name])
        self.counts, self.bad_in_a_row = Counts(**state["counts"]), state["bad_in_a_row"]
