"""Fast operations, each with a plain twin, and the switch between them."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any, ParamSpec, TypeVar

import torch
from torch import Tensor

Inputs = ParamSpec("Inputs")
Output = TypeVar("Output")
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


def fast(
    forward: Callable[..., Any], backward: Callable[..., Any]
) -> Callable[[Callable[Inputs, Output]], Callable[Inputs, Output]]:
    """Decorate a function of tensors, the plain twin, with faster passes that agree with it up to rounding.

    `forward(ctx, *inputs)` and `backward(ctx, *gradients)` are those of a `torch.autograd.Function`. Inside
    `torch.autocast` they compute in float32 all the same: their kernels take no mixed types.
    """

    def first_order(ctx: Any, *gradients: Tensor) -> Any:
        # torch's `once_differentiable` drops terms in silence when only some inputs need a gradient.
        if torch.is_grad_enabled():  # true in a backward pass only with create_graph=True
            raise RuntimeError("a fast operation has one derivative only; compute the loss inside `with ops.plain():`")
        return backward(ctx, *gradients)

    def decorate(twin: Callable[Inputs, Output]) -> Callable[Inputs, Output]:
        passes = {"forward": staticmethod(forward), "backward": staticmethod(first_order)}
        operation: Any = type(twin.__name__, (torch.autograd.Function,), passes)

        @wraps(twin)
        def run(*inputs: Inputs.args, **named: Inputs.kwargs) -> Output:
            if _plain.get():
                return twin(*inputs, **named)
            mixed = next((kind for kind in ("cpu", "cuda") if torch.is_autocast_enabled(kind)), None)
            if mixed is None:
                return operation.apply(*inputs, **named)
            with torch.autocast(mixed, enabled=False):
                return operation.apply(*map(_full, inputs), **{name: _full(each) for name, each in named.items()})

        return run

    return decorate


def _full(value: Any) -> Any:
    """Return a tensor of lower precision as float32, and everything else as it is."""
    return value.float() if isinstance(value, Tensor) and value.dtype in (torch.bfloat16, torch.float16) else value
