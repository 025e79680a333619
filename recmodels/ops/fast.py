"""The switch between fast operations and their plain twins."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

import torch
from torch import Tensor

_plain = ContextVar("plain", default=False)


@contextmanager
def plain() -> Iterator[None]:
    """Run the plain twin of every fast operation inside: slower, but differentiable any number of times.

    A fast operation has a first derivative only; with `create_graph=True` its backward pass raises RuntimeError. The
    switch holds for the thread and for the forward pass: a loss computed inside may be differentiated outside.
    """
    before = _plain.set(True)
    try:
        yield
    finally:
        _plain.reset(before)


def first_order(backward: Callable[..., Any]) -> Callable[..., Any]:
    """Let a backward pass refuse to be differentiated.

    torch's `once_differentiable` does not: it drops terms in silence when only some inputs are asked for.
    """

    @wraps(backward)
    def checked(ctx: Any, *gradients: Tensor) -> Any:
        if torch.is_grad_enabled():  # true in a backward pass only with create_graph=True
            raise RuntimeError("a fast operation has one derivative only; compute the loss inside `with ops.plain():`")
        return backward(ctx, *gradients)

    return checked


class FastOp(torch.autograd.Function):
    """A differentiable operation written out twice: `forward` and `backward` are fast, `plain` is made of torch's own.

    Both take the same inputs and agree up to rounding.
    """

    @staticmethod
    def plain(*inputs: Any) -> Any:
        """Return what `forward` returns, by operations of torch."""
        raise NotImplementedError

    @classmethod
    def run(cls, *inputs: Any) -> Any:
        """Return the result of the fast operation, or of its twin inside `plain`."""
        return cls.plain(*inputs) if _plain.get() else cls.apply(*inputs)
