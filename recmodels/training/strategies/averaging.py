"""Averages of the weights over training; they rank, the weights themselves train on."""

from typing import Any

import numpy as np
import torch
from torch import Tensor

from recmodels.models.base import Recommender
from recmodels.training.strategies.base import Averaging


class _RunningMean(Averaging):
    """A weighted mean of the trainable weights: each new term is mixed in with a share of its own."""

    def attach(self, model: Recommender, rng: np.random.Generator) -> None:
        self.parameters = {name: each for name, each in model.named_parameters() if each.requires_grad}
        self.means: dict[str, Tensor] = {}
        self.terms = 0

    def weights(self) -> dict[str, Tensor]:
        return self.means

    def state_dict(self) -> dict[str, Any]:
        return {"means": self.means, "terms": self.terms}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.means = {name: mean.to(self.parameters[name].device, copy=True) for name, mean in state["means"].items()}
        self.terms = state["terms"]

    def mix(self, share: float) -> None:
        self.terms += 1
        weights = {name: each.detach() for name, each in self.parameters.items()}
        if not self.means:
            self.means = {name: each.clone() for name, each in weights.items()}
        else:
            torch._foreach_lerp_(list(self.means.values()), list(weights.values()), share)


class EMA(_RunningMean):
    """The exponential moving average after each batch, with the weights of the first t batches brought to sum 1.

    Mean_t = sum_i decay^(t-i) theta_i / sum_i decay^(t-i); decay=0 is plain training. ValueError unless
    0 <= decay < 1.
    """

    def __init__(self, *, decay: float = 0.999):
        if not 0 <= decay < 1:
            raise ValueError(f"0 <= decay < 1 must hold, but got decay={decay}")
        self.decay = decay

    def after_step(self) -> None:
        if self.decay:
            self.mix((1 - self.decay) / (1 - self.decay ** (self.terms + 1)))


class SWA(_RunningMean):
    """The mean of the weights after each epoch from `swa_start` on, counted from 1; until then the last weights.

    Izmailov, Podoprikhin, Garipov, Vetrov, Wilson, UAI 2018, with a constant learning rate. ValueError unless
    swa_start >= 1.
    """

    def __init__(self, *, swa_start: int = 10):
        if swa_start < 1:
            raise ValueError(f"swa_start >= 1 must hold, but got swa_start={swa_start}")
        self.swa_start, self.epochs = swa_start, 0

    def after_epoch(self) -> None:
        self.epochs += 1
        if self.epochs >= self.swa_start:
            self.mix(1 / (self.terms + 1))

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "epochs": self.epochs}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.epochs = state["epochs"]
