"""Small things that torch lacks or does slowly."""

import warnings
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.autograd.function import once_differentiable


def constant(array: NDArray[Any]) -> Tensor:
    """A tensor over the array's own memory, never to be written to: the array may be shared with other processes."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


class Dropout(nn.Module):
    """Each entry zero with probability `rate`, the others over 1 - `rate`.

    As torch's, whose Bernoulli draws take several times as long as uniform ones.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, values: Tensor) -> Tensor:
        return values * (torch.rand_like(values) >= self.rate) / (1 - self.rate) if self.rate else values


def unit_rows(matrix: Tensor) -> Tensor:
    """Each row of (n, D) over its length, or over 1e-12 if that is larger. As torch's `normalize`, whose backward pass
    takes three times as long."""
    return _UnitRows.apply(matrix)


def frobenius(matrix: Tensor) -> Tensor:
    """The root of the sum of squares; its gradient at zero is zero. As torch's `vector_norm`, whose backward pass masks
    every entry to that end."""
    norm: Tensor = _Frobenius.apply(matrix)
    return norm


def refined(matrix: Tensor, unit: Tensor) -> Tensor:
    """Each row of (n, D) times its cosine with the same row of `unit` (n, D), whose rows have length 1 or 0."""
    scaled: Tensor = _Refined.apply(matrix, unit)
    return scaled


class _UnitRows(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        inverse = torch.linalg.vector_norm(matrix, dim=1, keepdim=True).clamp_(min=1e-12).reciprocal_()
        unit = matrix * inverse
        ctx.save_for_backward(unit, inverse)
        return unit

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        unit, inverse = ctx.saved_tensors
        along = (grad * unit).sum(dim=1, keepdim=True)
        return torch.addcmul(grad, unit, along, value=-1).mul_(inverse)


class _Frobenius(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor) -> Tensor:
        norm = torch.linalg.vector_norm(matrix)
        ctx.save_for_backward(matrix, norm)
        return norm

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> Tensor:
        matrix, norm = ctx.saved_tensors
        return matrix * torch.where(norm > 0, grad / norm, 0)


class _Refined(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Tensor, unit: Tensor) -> Tensor:
        inverse = torch.linalg.vector_norm(matrix, dim=1, keepdim=True).clamp_(min=1e-8).reciprocal_()
        cosine = (matrix * unit).sum(dim=1, keepdim=True).mul_(inverse)
        ctx.save_for_backward(matrix, unit, inverse, cosine)
        return matrix * cosine

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        matrix, unit, inverse, cosine = ctx.saved_tensors
        along = (grad * matrix).sum(dim=1, keepdim=True).mul_(inverse)
        of_matrix = (grad * cosine).addcmul_(unit, along).addcmul_(matrix, along * inverse * cosine, value=-1)
        return of_matrix, matrix * along
