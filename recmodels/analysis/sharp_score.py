"""How sharp a model's minimum is, as one number that costs little: an objective of a search."""

import math

from recmodels.analysis.ascent import highest_rise
from recmodels.analysis.fixed_loss import fixed_batches, fixed_loss
from recmodels.analysis.flatness import XI, noise
from recmodels.data.dataset import RecDataset
from recmodels.models.base import Recommender

RHO = 0.5
"""Radius of the ball, in units of each weight's magnitude."""
BATCHES, STEPS = 4, 5
"""Training batches of the loss, and steps of the ascent: some thirty passes over a batch in all."""


def sharp_score(model: Recommender, data: RecDataset, batch_size: int, seed: int) -> float | None:
    """Return the largest rise of the training loss that a short ascent finds in ASAM's scale-free ball around a model.

    The ball, Kwon et al., ICML 2021, eq. 3: it does not change when a model's weights are scaled without effect on what
    it computes. The loss is the model's own, in training mode; batches, negatives, what the model draws and the start
    of the ascent follow from the seed alone, so that models with as many weights are measured alike. The model is as it
    was afterwards, bit for bit. None if a loss is not finite. ValueError for a model without weights.
    """
    batches = fixed_batches(model, data, batch_size=batch_size, n=BATCHES, seed=seed)
    with fixed_loss(model, batches, seed=seed) as loss:
        starts = noise(loss, 1, seed, "sharp_score")
        rise = highest_rise(loss, RHO, starts, scale=loss.point.abs() + XI, steps=STEPS)
    return rise if math.isfinite(rise) else None
