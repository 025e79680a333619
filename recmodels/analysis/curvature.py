"""Eigenvalues and trace of a symmetric matrix that is known by its products with vectors, such as a Hessian."""

import math
from collections.abc import Callable, Iterable
from typing import NamedTuple

import torch
from torch import Tensor
from torch.linalg import vector_norm

from recmodels.analysis.fixed_loss import FixedLoss

Product = Callable[[Tensor], Tensor]
"""Returns a symmetric matrix times a vector (N,)."""
NO_SECOND_DERIVATIVE = ("derivative", "differentiate", "double backward")
"""Words of torch's messages about an operation that cannot be differentiated twice."""


class Estimate(NamedTuple):
    """A value.

    `error`: standard error of a mean over random draws; of an eigenvalue the length of H v - value v, no farther than
    which there is one. `steps`: products, or draws, that it took.
    """

    value: float
    error: float
    steps: int


class Hessian:
    """The Hessian of a loss at its point. `method`: "double backward", or "differences" of gradients where an operation
    of the model has no second derivative."""

    def __init__(self, loss: FixedLoss) -> None:
        self.loss, self.method = loss, "double backward"

    def __call__(self, vector: Tensor) -> Tensor:
        """Return the Hessian times a vector (N,)."""
        if self.method == "double backward":
            try:
                return self.loss.hessian_times(vector)
            except RuntimeError as error:
                if not any(word in str(error) for word in NO_SECOND_DERIVATIVE):
                    raise
                self.method = "differences"
        return by_differences(self.loss, vector)


def by_differences(loss: FixedLoss, vector: Tensor) -> Tensor:
    """Return the Hessian times a vector (N,) as a central difference of gradients, h = 1e-3 of the weights' norm.

    A target that the model takes for a constant moves with the weights here.
    """
    length = _norm(vector)
    if not length:
        return torch.zeros_like(vector)
    step = 1e-3 * (loss.norm or 1.0) / length
    (_, ahead), (_, behind) = loss.gradient(step * vector), loss.gradient(-step * vector)
    return (ahead - behind) / (2 * step)


def largest_eigenvalue(times: Product, start: Tensor, *, tolerance: float = 1e-3, most: int = 100) -> Estimate:
    """Return the largest eigenvalue, not the one of largest magnitude, by power iteration from a vector `start` (N,).

    Each iteration ends when the eigenvalue's relative change is below `tolerance`, or after `most` products. If it ends
    at a negative eigenvalue mu, it is repeated on H - mu I.
    """
    first = _iterate(times, start, 0.0, tolerance, most)
    if first.value >= 0:
        return first
    second = _iterate(times, start, first.value, tolerance, most)
    return second._replace(steps=first.steps + second.steps)


def _iterate(times: Product, start: Tensor, shift: float, tolerance: float, most: int) -> Estimate:
    """Iterate on H - `shift` I; the eigenvalue is that of H."""
    vector, before = start / _norm(start), math.inf
    for step in range(1, most + 1):
        moved = times(vector)
        value = _dot(vector, moved)
        error = _norm(moved - value * vector)
        moved = moved - shift * vector
        length = _norm(moved)
        if abs(value - before) <= tolerance * abs(value) or not length or step == most:
            break
        vector, before = moved / length, value
    return Estimate(value, error, step)


def lanczos(times: Product, start: Tensor, *, steps: int = 30, count: int = 5) -> tuple[list[Estimate], Estimate]:
    """Return the `count` largest eigenvalues, the largest first, and the lowest one.

    From a vector `start` (N,), with every vector made orthogonal to all before it; keeps (`steps`, N). Fewer are
    returned if the vectors span less.
    """
    basis, diagonal, beside = [start / _norm(start)], [], []
    scale = 0.0
    for _ in range(steps):
        moved = times(basis[-1])
        diagonal.append(_dot(basis[-1], moved))
        scale = max(scale, _norm(moved))
        for _ in range(2):  # twice is enough: Parlett, The Symmetric Eigenvalue Problem, section 6.9
            for vector in basis:
                moved = moved - _dot(vector, moved) * vector
        beside.append(_norm(moved))
        # What is left is rounding: the vectors so far span all that the start reaches.
        if beside[-1] <= 10 * torch.finfo(start.dtype).eps * max(scale, 1e-300) * math.sqrt(len(start)):
            beside[-1] = 0.0
            break
        basis.append(moved / beside[-1])
    n = len(diagonal)
    off = torch.tensor(beside[: n - 1], dtype=torch.float64)
    matrix = torch.diag(torch.tensor(diagonal, dtype=torch.float64)) + torch.diag(off, 1) + torch.diag(off, -1)
    values, vectors = torch.linalg.eigh(matrix)
    found = [Estimate(float(values[i]), abs(beside[-1] * float(vectors[-1, i])), n) for i in range(n)]
    return found[::-1][:count], found[0]


def trace(times: Product, signs: Iterable[Tensor]) -> Estimate:
    """Return Hutchinson's estimate of the trace from vectors (N,) of random signs, at least two."""
    return mean_and_error([_dot(vector, times(vector)) for vector in signs])


def mean_and_error(values: list[float]) -> Estimate:
    """Return the mean of at least two values and its standard error."""
    count = len(values)
    mean = math.fsum(values) / count
    variance = math.fsum((value - mean) ** 2 for value in values) / (count - 1)
    return Estimate(mean, math.sqrt(variance / count), count)


def _norm(vector: Tensor) -> float:
    return float(vector_norm(vector, dtype=torch.float64))


def _dot(one: Tensor, other: Tensor) -> float:
    return float(one.double() @ other.double())
