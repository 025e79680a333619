"""Sharpness of the loss at the evaluation weights."""

from itertools import islice
from statistics import fmean

import numpy as np
import torch

from recmodels.data import BatchSampler, RecDataset
from recmodels.training.batch_loss import BadStep, BatchLoss, without_side_effects
from recmodels.training.loop import TrainingState, batches_on
from recmodels.training.strategies.base import restoring


def sharpness(
    state: TrainingState, data: RecDataset, *, batch_size: int, rho: float = 0.05, n_batches: int = 4
) -> dict[str, float]:
    """Return figures of the model's own loss in training mode, by name. Training goes on as if nothing was measured.

    Means over `n_batches` batches of training pairs, in every call the same ones with the same random draws:
    "gradient_norm", ||g||; "sharpness", L(theta + rho g / ||g||) - L(theta), SAM's measure; "mg_penalty", Theorem 3.2's
    first-order penalty, if the strategy mirrors; and the strategy's own report. Empty if a loss or a gradient is not
    finite, and for a model without parameters.
    """
    model, strategy = state.model, state.strategy
    if not model.trains:
        return {}
    sampler = BatchSampler(data, batch_size, negatives=model.needs_negatives)
    with strategy.evaluation_weights(), without_side_effects(model):
        torch.manual_seed(0)
        model.train()
        batches = islice(batches_on(model.device, sampler, np.random.default_rng(0)), n_batches)
        try:
            measured = [_rise(BatchLoss(model, rows), rho) for rows in batches]
        except BadStep:
            return {}
        finally:
            model.eval()
    norms, rises = zip(*measured, strict=True)
    penalty = strategy.rule.penalty(state.optimizer.param_groups[0]["lr"], fmean(norm * norm for norm in norms))
    return {"gradient_norm": fmean(norms), "sharpness": fmean(rises), **penalty, **strategy.report()}


def _rise(loss: BatchLoss, rho: float) -> tuple[float, float]:
    """Return the gradient's norm, and the rise of the loss after a step of length `rho` along it."""
    before, norm = float(loss()), float(loss.gradient_norm)
    if not norm:
        return 0.0, 0.0
    parameters, gradients = zip(*loss.gradients(), strict=True)
    with restoring(parameters):
        with torch.no_grad():
            torch._foreach_add_(parameters, gradients, alpha=rho / norm)
        return norm, float(loss(replay=True)) - before
