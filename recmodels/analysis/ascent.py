"""How far a loss rises within a given distance of its point."""

import math
from collections.abc import Iterable

import torch
from torch import Tensor
from torch.linalg import vector_norm

from recmodels.analysis.curvature import Estimate, mean_and_error
from recmodels.analysis.fixed_loss import FixedLoss


def ascent_step(gradient: Tensor, rho: float, scale: Tensor | None = None) -> Tensor:
    """Return the step (N,) to where the linearised loss is highest in a ball of radius `rho`; 0 for no gradient.

    `scale` (N,), positive: the ball is ||e / scale|| <= rho, as in ASAM, Kwon et al., ICML 2021, eq. 7: the step is rho
    scale^2 g / ||scale g||.
    """
    scaled = gradient if scale is None else scale * gradient
    length = vector_norm(scaled, dtype=torch.float64)
    if not length:
        return torch.zeros_like(gradient)
    return (scaled if scale is None else scale * scaled) * (rho / length).to(gradient.dtype)


def one_step(loss: FixedLoss, rho: float) -> float:
    """Return L(theta + rho g / ||g||) - L(theta), the sharpness of SAM, Foret et al., ICLR 2021."""
    before, gradient = loss.gradient()
    return loss(ascent_step(gradient, rho)) - before


def batch_one_step(loss: FixedLoss, rho: float) -> float:
    """Return the mean over the batches of each batch's own one-step sharpness, which is what SAM trains."""
    rises = []
    for index in range(len(loss.batches)):
        before, gradient = loss.gradient_of_batch(index)
        rises.append(loss.of_batch(index, ascent_step(gradient, rho)) - before)
    return math.fsum(rises) / len(rises) if all(map(math.isfinite, rises)) else math.nan


def highest_rise(
    loss: FixedLoss, rho: float, starts: Iterable[Tensor], *, scale: Tensor | None = None, steps: int = 20
) -> float:
    """Return the largest L(theta + e) - L(theta) found in a ball of radius `rho`, at least 0 and the one-step rise.

    Projected gradient ascent: e <- the ascent step of the gradient at theta + e, `steps` times from each random
    direction (N,) of `starts`, and the best iterate of all. `scale`: as for `ascent_step`. NaN if a loss is not finite.
    """
    before, gradient = loss.gradient()
    rises = [0.0, loss(ascent_step(gradient, rho, scale)) - before]
    for direction in starts:
        shift = direction * (rho / vector_norm(direction, dtype=torch.float64)).to(direction.dtype)
        shift = shift if scale is None else scale * shift
        for _ in range(steps):
            value, gradient = loss.gradient(shift)
            rises.append(value - before)
            shift = ascent_step(gradient, rho, scale)
        rises.append(loss(shift) - before)
    return max(rises) if all(map(math.isfinite, rises)) else math.nan


def average_rise(loss: FixedLoss, sigma: float, noise: Iterable[Tensor], *, scale: Tensor | None = None) -> Estimate:
    """Return the mean of L(theta + sigma z) - L(theta) over vectors z (N,) of standard normal noise, at least two.

    `scale` (N,): each weight's noise is multiplied by it.
    """
    before = loss()
    return mean_and_error([loss(sigma * (z if scale is None else scale * z)) - before for z in noise])
