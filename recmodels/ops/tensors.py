"""Operations on dense tensors."""

import warnings
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recmodels.ops.fast import fast


def shared_tensor(array: NDArray[Any]) -> Tensor:
    """Return a tensor over the array's own memory, never to be written to: other processes may share the array."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="The given NumPy array is not writable")
        return torch.from_numpy(array)


def uploaded(array: NDArray[Any], device: torch.device) -> Tensor:
    """Return the array on a device; on the CPU in its own memory. A GPU copies it while the host goes on."""
    tensor = torch.from_numpy(array)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


class Dropout(nn.Module):
    """Sets each entry to zero with probability `rate` and divides the others by 1 - `rate`, in training or not.

    torch's own dropout draws Bernoulli numbers, which take several times as long as uniform ones. The mask is made of
    the draws themselves: one of truth values would be converted first.
    """

    def __init__(self, rate: float):
        super().__init__()
        self.rate = rate

    def forward(self, values: Tensor) -> Tensor:
        return values * torch.rand_like(values).ge_(self.rate).div_(1 - self.rate) if self.rate else values


def lengths(matrix: Tensor, least: float) -> Tensor:
    """Return the length of each row, at least `least`, (n, 1); unlike a norm's, its derivatives at zero are finite."""
    return matrix.square().sum(dim=1, keepdim=True).clamp(min=least**2).sqrt()


def inverse_lengths(matrix: Tensor, least: float) -> Tensor:
    """Return 1 / `lengths`, (n, 1), without a gradient."""
    return torch.linalg.vector_norm(matrix, dim=1, keepdim=True).clamp_(min=least).reciprocal_()


def is_longer(inverse: Tensor, least: float) -> Tensor:
    """Return 1 for a row whose `inverse_lengths` is that of its own length, 0 for one that is taken to be `least` long:
    that length is a constant, (n, 1)."""
    return (inverse * least < 1 - 1e-6).to(inverse)


def _unit_rows_forward(ctx: Any, matrix: Tensor) -> Tensor:
    inverse = inverse_lengths(matrix, 1e-12)
    unit = matrix * inverse
    ctx.save_for_backward(unit, inverse)
    return unit


def _unit_rows_backward(ctx: Any, grad: Tensor) -> Tensor:
    unit, inverse = ctx.saved_tensors
    along = (grad * unit).sum(dim=1, keepdim=True).mul_(is_longer(inverse, 1e-12))
    return torch.addcmul(grad, unit, along, value=-1).mul_(inverse)


@fast(_unit_rows_forward, _unit_rows_backward)
def unit_rows(matrix: Tensor) -> Tensor:
    """Divide each row of (n, D) by its length, or by 1e-12 if that is larger.

    The backward pass of torch's `normalize` takes three times as long.
    """
    return matrix / lengths(matrix, 1e-12)


def _cosine_forward(ctx: Any, a: Tensor, b: Tensor) -> Tensor:
    of_a, of_b = inverse_lengths(a, 1e-12), inverse_lengths(b, 1e-12)
    cosine = (a * b).sum(dim=1, keepdim=True).mul_(of_a).mul_(of_b)
    ctx.save_for_backward(a, b, of_a, of_b, cosine)
    return cosine.squeeze(1)


def _cosine_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, Tensor | None]:
    a, b, of_a, of_b, cosine = ctx.saved_tensors
    grad = grad.unsqueeze(1)
    across, along = grad * of_a * of_b, grad * cosine
    for_a, for_b = ctx.needs_input_grad
    return (
        (b * across).addcmul_(a, along * of_a * of_a * is_longer(of_a, 1e-12), value=-1) if for_a else None,
        (a * across).addcmul_(b, along * of_b * of_b * is_longer(of_b, 1e-12), value=-1) if for_b else None,
    )


@fast(_cosine_forward, _cosine_backward)
def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Return the cosine of each row of `a` (n, D) with the same row of `b`, (n,); 0 where one of the rows is 0.

    No unit rows are written, and a target without a gradient costs none.
    """
    return (a / lengths(a, 1e-12) * (b / lengths(b, 1e-12))).sum(dim=1)


def _frobenius_forward(ctx: Any, matrix: Tensor) -> Tensor:
    norm = torch.linalg.vector_norm(matrix)
    ctx.save_for_backward(matrix, norm)
    return norm


def _frobenius_backward(ctx: Any, grad: Tensor) -> Tensor:
    matrix, norm = ctx.saved_tensors
    return matrix * torch.where(norm > 0, grad / norm, 0)


@fast(_frobenius_forward, _frobenius_backward)
def frobenius(matrix: Tensor) -> Tensor:
    """Return the root of the sum of squares, (); its gradient at zero is zero.

    The backward pass of torch's `vector_norm` masks every entry to that end.
    """
    squares = matrix.square().sum()
    return torch.where(squares > 0, squares, 1).sqrt() * (squares > 0)
