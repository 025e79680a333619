"""Checkpoints, written whole or not at all and read without executing anything from the file."""

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from recmodels.files import replacing


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write `TrainingState.state_dict()`, with any plain values that the caller adds."""
    with replacing(path) as temporary:
        torch.save(state, temporary)


def load_state(path: Path, device: torch.device) -> dict[str, Any]:
    """Read a file that `save_state` wrote. Generator states stay on the CPU, as torch expects them."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    state["model"] = {name: tensor.to(device) for name, tensor in state["model"].items()}
    return state


def save_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Write a model's state dict as safetensors."""
    with replacing(path) as temporary:
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary)


def load_weights(path: Path) -> dict[str, Tensor]:
    """Read a file that `save_weights` wrote."""
    return load_file(path)
