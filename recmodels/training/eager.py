"""Optimisers of torch that leave torch's compiler unloaded."""

from inspect import isfunction, unwrap
from typing import Any, TypeVar

import torch
from torch.optim import Optimizer

Kind = TypeVar("Kind", bound=Optimizer)


def eager(kind: type[Kind]) -> type[Kind]:
    """Return the optimiser without what hides it from torch.compile; it takes the same steps.

    That is: `step` computes no gradients of itself (`differentiable` has no effect), and no method imports
    `torch._dynamo`, which takes a second and 800 modules in each process, whether anything is compiled or not.
    """
    plain: dict[str, Any] = {
        name: unwrap(method)
        for name, method in vars(Optimizer).items()
        if isfunction(method) and hasattr(method, "__wrapped__")
    }
    return type(kind.__name__, (kind,), {**plain, "step": torch.no_grad()(unwrap(kind.step))})
