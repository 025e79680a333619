"""The loss on a plane through the weights, and on the line between two minima."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from torch import Tensor

from recmodels.analysis.draws import generator_of
from recmodels.analysis.fixed_loss import FixedLoss

Normalisation = Literal["row", "layer", "raw"]
"""Length of a direction: that of the weights row by row, as Li et al., Visualizing the Loss Landscape of Neural Nets,
NeurIPS 2018, do filter by filter; that of the weights tensor by tensor; or 0.01 of the length of all weights."""
NORMALISATIONS: tuple[Normalisation, ...] = get_args(Normalisation)
TAUS = (0.01, 0.05, 0.1, 0.5)
"""Shares of the loss at the centre, up to which a rise counts as low."""
NEAR = 0.25
"""Radius, as a share of the reach, of the points that the curvature is fitted to."""


def direction(loss: FixedLoss, normalisation: Normalisation, *parts: object) -> Tensor:
    """Return a random direction (N,): standard normal numbers that follow from `parts`, brought to length.

    A parameter of the same name and shape gets the same numbers in every model. Tensors of one dimension, such as
    biases, stay where they are, but in "raw".
    """
    drawn = [
        torch.randn(each.shape, generator=generator_of(*parts, name)).to(each) for name, each in loss.parameters.items()
    ]
    if normalisation == "raw":
        flat = torch.cat([each.flatten() for each in drawn])
        return flat * (0.01 * loss.norm / float(flat.double().norm()))
    parameters = loss.split(loss.point)
    return torch.cat([_sized(*pair, normalisation).flatten() for pair in zip(drawn, parameters, strict=True)])


def _sized(drawn: Tensor, parameter: Tensor, normalisation: Normalisation) -> Tensor:
    if parameter.dim() < 2:
        return torch.zeros_like(drawn)
    one, other = (each.flatten(1) if normalisation == "row" else each.flatten()[None] for each in (drawn, parameter))
    lengths = (each.norm(dim=1, keepdim=True) for each in (other, one))
    of_parameter, of_drawn = lengths
    return (one * (of_parameter / (of_drawn + 1e-10))).view_as(drawn)


def cosine(one: Tensor, other: Tensor) -> float:
    """Return the cosine of two directions (N,); 0 if one of them is 0."""
    lengths = float(one.double().norm() * other.double().norm())
    return float(one.double() @ other.double()) / lengths if lengths else 0.0


def grid_axis(points: int, reach: float) -> list[float]:
    """Return equally spaced values from -`reach` to `reach`; 0 is one of them if `points`, at least 2, is odd."""
    return [reach * (2 * place / (points - 1) - 1) for place in range(points)]


def grid_row(loss: FixedLoss, first: Tensor, second: Tensor, m: float, axis: Sequence[float]) -> list[float]:
    """Return L(theta + m `first` + n `second`) for each n of an axis. At m = n = 0 it is the loss itself, exactly."""
    along = m * first
    return [loss(along + n * second) for n in axis]


@dataclass(frozen=True)
class Scalars:
    """Numbers of a surface, of the rise D = L(m, n) - L(0, 0) over its finite points.

    `low_area`: share of the points with D <= tau |L(0, 0)|, for each of TAUS. `curv`: trace of the quadratic that fits
    the points near the centre, with m and n as shares of the reach; None for too few points. `min_gap`: L(0, 0) less
    the lowest point. `not_finite`: number of points without a finite loss, which count as high.
    """

    mean_rise: float | None
    max_rise: float | None
    low_area: tuple[float, ...]
    curv: float | None
    min_gap: float | None
    not_finite: int


def scalars(axis: Sequence[float], losses: Sequence[Sequence[float | None]], centre: float) -> Scalars:
    """Return the numbers of a surface: `losses` (n, n) over an axis (n,), None for what is not finite, and L(0, 0)."""
    rise = np.array(losses, dtype=float) - centre
    finite = np.isfinite(rise)
    known = rise[finite]
    low = tuple(float((known <= tau * abs(centre)).sum() / rise.size) for tau in TAUS)
    if not known.size:
        return Scalars(None, None, low, None, None, int(rise.size))
    curv = _fitted_trace(np.array(axis) / max(axis), rise)
    return Scalars(float(known.mean()), float(known.max()), low, curv, float(-known.min()), int((~finite).sum()))


def _fitted_trace(axis: np.ndarray, rise: np.ndarray) -> float | None:
    m, n = np.meshgrid(axis, axis, indexing="ij")
    near = (m**2 + n**2 <= NEAR**2 + 1e-12) & np.isfinite(rise)
    m, n = m[near], n[near]
    columns = np.stack([np.ones_like(m), m, n, m**2 / 2, m * n, n**2 / 2], axis=1)
    if np.linalg.matrix_rank(columns) < columns.shape[1]:
        return None
    fitted = np.linalg.lstsq(columns, rise[near], rcond=None)[0]
    return float(fitted[3] + fitted[5])


def line_point(loss: FixedLoss, other: Tensor, t: float) -> float:
    """Return the loss at (1 - t) theta + t `other`; exactly theta's at t = 0 and that of `other` (N,) at t = 1."""
    return loss.at((1 - t) * loss.point + t * other)


def barrier(places: Sequence[float], losses: Sequence[float | None]) -> float | None:
    """Return how far the loss between two minima, t in [0, 1], rises above the straight line between their losses.

    The linear mode connectivity of Frankle et al., ICML 2020. At least 0. None if a loss there is not finite.
    """
    between = {t: value for t, value in zip(places, losses, strict=True) if 0 <= t <= 1 and value is not None}
    if len(between) < sum(0 <= t <= 1 for t in places) or not all(map(math.isfinite, between.values())):
        return None
    start, end = between[0.0], between[1.0]
    return max(value - ((1 - t) * start + t * end) for t, value in between.items())
