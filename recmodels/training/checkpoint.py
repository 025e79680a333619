"""Checkpoints, written whole or not at all and read without executing anything from the file."""

import os
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write `TrainingState.state_dict()` and whatever plain values the caller adds."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    torch.save(state, temporary)
    os.replace(temporary, path)


def load_state(path: Path, device: torch.device) -> dict[str, Any]:
    """What `save_state` wrote. Generator states stay on the CPU, where torch wants them."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    state["model"] = {name: tensor.to(device) for name, tensor in state["model"].items()}
    return state


def save_weights(path: Path, weights: dict[str, Tensor]) -> None:
    """Write a model's state dict as safetensors."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    save_file({name: tensor.contiguous() for name, tensor in weights.items()}, temporary)
    os.replace(temporary, path)


def load_weights(path: Path) -> dict[str, Tensor]:
    return load_file(path)
