"""Passes that go wrong where a test wants it."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from recmodels.training import TrainingState


def with_faults(state: TrainingState, faults: Mapping[tuple[int, int, int], str]) -> TrainingState:
    """The state with a model whose `loss` or `gradient` goes wrong in passes by epoch, batch and number, from 0."""
    model: Any = state.model
    strategy: Any = state.strategy
    loss_of, batch_of, place = model.loss, strategy.loss, [0, 0, 0]

    def batch(rows: Tensor, **named: Any) -> Any:
        place[:] = named.get("epoch", -1), named.get("batch_index", -1), 0
        return batch_of(rows, **named)

    def loss(rows: Tensor) -> dict[str, Tensor]:
        terms = dict(loss_of(rows))
        fault = faults.get((place[0], place[1], place[2]))
        place[2] += 1
        some = next(model.parameters()).sum()
        if fault:
            terms["fault"] = some * torch.inf if fault == "loss" else (some * 0).sqrt()
        return terms

    model.loss, strategy.loss = loss, batch
    return state
