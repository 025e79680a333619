"""Optimisers that leave torch's compiler unloaded."""

import subprocess
import sys
from typing import Any

import pytest
import torch
from torch import nn, optim

from recmodels.training.eager import eager

KINDS: list[tuple[type[optim.Optimizer], dict[str, Any]]] = [
    (optim.Adam, {"fused": True, "weight_decay": 0.1}),
    (optim.SGD, {"fused": True, "momentum": 0.9}),
    (optim.RMSprop, {"weight_decay": 0.1}),
    (optim.Adagrad, {"initial_accumulator_value": 0.2}),
]


def steps(kind: type[optim.Optimizer], settings: dict[str, Any], restored_after: int = 9) -> torch.Tensor:
    """The parameter after five steps, the optimiser being restored from its state on the way."""
    parameter = nn.Parameter(torch.linspace(-1, 1, 12).reshape(4, 3))
    made = kind([parameter], lr=0.1, **settings)  # type: ignore[call-arg]
    for step in range(5):
        if step == restored_after:
            state = made.state_dict()
            made = kind([parameter], lr=0.1, **settings)  # type: ignore[call-arg]
            made.load_state_dict(state)
        made.zero_grad()
        (parameter.sin() * (step + 1)).sum().backward()
        made.step()
    assert not made.state[parameter].get("step", torch.zeros(())).requires_grad
    return parameter.detach()


@pytest.mark.parametrize(("kind", "settings"), KINDS)
def test_takes_the_steps_of_torch_also_when_restored(kind: type[optim.Optimizer], settings: dict[str, Any]) -> None:
    expected = steps(kind, settings)
    assert not torch.equal(expected, torch.linspace(-1, 1, 12).reshape(4, 3))
    assert torch.equal(steps(eager(kind), settings), expected)
    assert torch.equal(steps(eager(kind), settings, restored_after=3), expected)


def test_a_step_loads_no_compiler() -> None:
    program = """
import sys, torch
from recmodels.training.optimizers import OPTIMIZERS
for make in OPTIMIZERS.values():
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = make([parameter], lr=0.1)
    optimizer.zero_grad()
    parameter.sum().backward()
    optimizer.step()
    optimizer.load_state_dict(optimizer.state_dict())
sys.exit("torch._dynamo" in sys.modules)
"""
    assert subprocess.run([sys.executable, "-c", program], timeout=900).returncode == 0
