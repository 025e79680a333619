"""How flat the loss is where training has come to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from statistics import fmean
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch.nn.utils import get_total_norm

from recmodels.data.sampling import BatchSampler
from recmodels.training.batch_loss import BadStep, BatchLoss, apart
from recmodels.training.strategies.base import kept

if TYPE_CHECKING:
    from recmodels.training.loop import TrainingState


@dataclass(frozen=True)
class Probe:
    """Looks every `every` epochs, at the weights that rank and the model's own loss, in training mode.

    Means over `n_batches` batches of training pairs, in every look the same ones with the same random draws:
    "gradient_norm", ||g||; "sharpness", L(theta + rho g / ||g||) - L(theta), SAM's measure; "mg_penalty", Theorem 3.2's
    first-order penalty, where the strategy mirrors; and what the strategy reports of itself. Training does not notice.
    """

    every: int
    rho: float = 0.05
    n_batches: int = 4

    def __call__(self, state: TrainingState, sampler: BatchSampler) -> dict[str, float]:
        """Empty in an epoch that is left out, and where a loss or a gradient is not finite."""
        if state.epoch % self.every:
            return {}
        try:
            norms, rises = zip(*self._looks(state, sampler), strict=True)
        except BadStep:
            return {}
        penalty = state.strategy.rule.penalty(
            state.optimizer.param_groups[0]["lr"], fmean(norm * norm for norm in norms)
        )
        return {"gradient_norm": fmean(norms), "sharpness": fmean(rises), **penalty, **state.strategy.report()}

    def _looks(self, state: TrainingState, sampler: BatchSampler) -> list[tuple[float, float]]:
        with state.strategy.evaluated(), apart(state.model):
            torch.manual_seed(0)
            state.model.train()
            device = next(state.model.parameters()).device
            batches = islice(sampler.epoch(np.random.default_rng(0)), self.n_batches)
            try:
                return [self._look(BatchLoss(state.model, torch.from_numpy(rows).to(device))) for rows in batches]
            finally:
                state.model.eval()

    def _look(self, loss: BatchLoss) -> tuple[float, float]:
        """The gradient's norm and the rise of the loss."""
        here = loss()
        parameters, gradients = zip(*loss.gradients(), strict=True)
        norm = float(get_total_norm(gradients))
        if not norm:
            return 0.0, 0.0
        with kept(parameters):
            with torch.no_grad():
                torch._foreach_add_(parameters, gradients, alpha=self.rho / norm)
            return norm, loss(replay=True) - here
