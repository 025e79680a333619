"""Averages of the weights over training: models are evaluated with them, the weights themselves train on."""

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from recmodels.models.base import Recommender
from recmodels.signatures import CountFromOne, ShareBelowOne
from recmodels.training.strategies.base import Averaging


@dataclass(kw_only=True, eq=False)
class _RunningMean(Averaging):
    """A weighted mean of the trainable weights over time."""

    def attach(self, model: Recommender, rng: np.random.Generator) -> None:
        self.parameters = {name: each for name, each in model.named_parameters() if each.requires_grad}
        self.means: dict[str, Tensor] = {}
        self.terms = 0

    def weights(self) -> dict[str, Tensor]:
        return self.means

    def restart(self) -> None:
        self.means, self.terms = {}, 0

    def state_dict(self) -> dict[str, Any]:
        return {"means": self.means, "terms": self.terms}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.means = {name: mean.to(self.parameters[name].device, copy=True) for name, mean in state["means"].items()}
        self.terms = state["terms"]

    def mix_in(self, weight: float) -> None:
        """mean <- (1 - weight) mean + weight * the current weights; the first term is the mean itself."""
        self.terms += 1
        weights = {name: each.detach() for name, each in self.parameters.items()}
        if not self.means:
            self.means = {name: each.clone() for name, each in weights.items()}
        else:
            torch._foreach_lerp_(list(self.means.values()), list(weights.values()), weight)


@dataclass(kw_only=True, eq=False)
class EMA(_RunningMean):
    """The exponential moving average after each batch, normalised from the first batch on.

    Mean_t = sum_i decay^(t-i) theta_i / sum_i decay^(t-i); decay=0 is plain training. ValueError unless
    0 <= decay < 1.
    """

    off: ClassVar = {"decay": 0.0}
    decay: ShareBelowOne = 0.999

    def after_step(self) -> None:
        if self.decay:
            self.mix_in((1 - self.decay) / (1 - self.decay ** (self.terms + 1)))


@dataclass(kw_only=True, eq=False)
class SWA(_RunningMean):
    """The mean of the weights after each epoch from `swa_start` on, counted from 1; until then the last weights.

    Izmailov, Podoprikhin, Garipov, Vetrov, Wilson, UAI 2018, with a constant learning rate. ValueError unless
    swa_start >= 1.
    """

    begins: ClassVar = ("swa_start",)
    off: ClassVar = {"swa_start": 10**9}
    swa_start: CountFromOne = 10

    def after_epoch(self) -> None:
        if self.epoch + 1 >= self.swa_start:
            self.mix_in(1 / (self.terms + 1))

    def idle(self) -> str:
        return "" if self.terms > 1 else f"no two epochs were averaged (swa_start={self.swa_start})"
