"""Sharpness of the loss at the evaluation weights."""

from itertools import islice
from statistics import fmean

import numpy as np
import torch
from torch.nn.utils import get_total_norm

from recmodels.data.dataset import RecDataset
from recmodels.data.sampling import BatchSampler
from recmodels.training.batch_loss import BadStep, BatchLoss, without_side_effects
from recmodels.training.loop import TrainingState
from recmodels.training.strategies.base import restoring


def sharpness(
    state: TrainingState, data: RecDataset, *, batch_size: int, rho: float = 0.05, n_batches: int = 4
) -> dict[str, float]:
    """Figures of the model's own loss in training mode, by name; training goes on as if they had not been measured.

    Means over `n_batches` batches of training pairs, in every call the same ones with the same random draws:
    "gradient_norm", ||g||; "sharpness", L(theta + rho g / ||g||) - L(theta), SAM's measure; "mg_penalty", Theorem 3.2's
    first-order penalty, if the strategy mirrors; and the strategy's own report. Empty if a loss or a gradient is not
    finite, and for a model without parameters.
    """
    if next(state.model.parameters(), None) is None:
        return {}
    sampler = BatchSampler(data, batch_size, negatives=state.model.needs_negatives)
    try:
        norms, rises = zip(*_measured(state, sampler, rho, n_batches), strict=True)
    except BadStep:
        return {}
    learning_rate = state.optimizer.param_groups[0]["lr"]
    penalty = state.strategy.rule.penalty(learning_rate, fmean(norm * norm for norm in norms))
    return {"gradient_norm": fmean(norms), "sharpness": fmean(rises), **penalty, **state.strategy.report()}


def _measured(state: TrainingState, sampler: BatchSampler, rho: float, n_batches: int) -> list[tuple[float, float]]:
    """The gradient's norm and the rise of the loss in each batch."""
    with state.strategy.evaluation_weights(), without_side_effects(state.model):
        torch.manual_seed(0)
        state.model.train()
        device = next(state.model.parameters()).device
        batches = islice(sampler.epoch(np.random.default_rng(0)), n_batches)
        try:
            return [_rise(BatchLoss(state.model, torch.from_numpy(rows).to(device)), rho) for rows in batches]
        finally:
            state.model.eval()


def _rise(loss: BatchLoss, rho: float) -> tuple[float, float]:
    """The gradient's norm, and the rise of the loss after a step of length `rho` along it."""
    before = loss()
    parameters, gradients = zip(*loss.gradients(), strict=True)
    norm = float(get_total_norm(gradients))
    if not norm:
        return 0.0, 0.0
    with restoring(parameters):
        with torch.no_grad():
            torch._foreach_add_(parameters, gradients, alpha=rho / norm)
        return norm, loss(replay=True) - before
