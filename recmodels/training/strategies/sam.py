"""Sharpness-aware minimisation and its relatives: gradients at the worst nearby weights, to first order."""

from dataclasses import dataclass, field
from functools import reduce
from typing import ClassVar, Literal

import numpy as np
import torch
from torch import Tensor, nn

from recmodels.models.base import Recommender
from recmodels.signatures import NotNegative, Share
from recmodels.training.batch_loss import BatchLoss
from recmodels.training.strategies.perturbed import (
    FirstGradient,
    Perturbation,
    Scoped,
    along,
    blend,
    gradient_length,
    norm,
)


@dataclass(kw_only=True, eq=False)
class SAM(Scoped):
    """Foret, Kleiner, Mobahi, Neyshabur, ICLR 2021, arXiv 2010.01412: eps = rho g / ||g|| (eq. 2), direction
    g(theta + eps) (eq. 3).

    `rho_mode`: rho is a length, or with "relative" a share of the length of the perturbed weights, which compares
    between models.
    """

    rho_mode: Literal["absolute", "relative"] = "absolute"

    def epsilon(self, parameters: list[nn.Parameter], gradients: list[Tensor], loss: BatchLoss) -> Perturbation:
        rho = self.rho * (norm([each.detach() for each in parameters], loss) if self.rho_mode == "relative" else 1.0)
        return along(gradients, rho, loss, gradient_length(gradients, loss))


@dataclass(kw_only=True, eq=False)
class ASAM(Scoped):
    """Kwon, Kim, Park, Choi, ICML 2021, arXiv 2102.11600, eq. 7: eps = rho T^2 g / ||T g|| with T = |theta| + xi.

    For the model's biases T = 1, whatever their shape. Raises ValueError unless xi >= 0.
    """

    rho: NotNegative = 0.5
    xi: NotNegative = 0.01

    def attach(self, model: Recommender, rng: np.random.Generator) -> None:
        super().attach(model, rng)
        biases = model.biases()
        self.biases = {each for name, each in self.parameters.items() if name in biases}

    def epsilon(self, parameters: list[nn.Parameter], gradients: list[Tensor], loss: BatchLoss) -> Perturbation:
        scaled, twice = [], []
        for parameter, gradient in zip(parameters, gradients, strict=True):
            unscaled = parameter in self.biases
            t = torch.ones_like(gradient) if unscaled else parameter.detach().abs().add_(self.xi)
            scaled.append(gradient * t)
            twice.append(t.mul_(scaled[-1]))
        return along(twice, self.rho, loss, norm(scaled, loss))


@dataclass(kw_only=True, eq=False)
class GSAM(Scoped):
    """Zhuang et al., ICLR 2022, arXiv 2203.08065: SAM's gradient less `decompose` times the part of the plain gradient
    that is orthogonal to it. The learning rate is constant, and so is rho. Defaults are the authors' for ResNets.
    Raises ValueError unless decompose >= 0."""

    rho: NotNegative = 0.04
    decompose: NotNegative = 0.01

    @property
    def mixes(self) -> bool:
        return self.decompose > 0

    def combine(self, loss: BatchLoss, first: FirstGradient) -> None:
        pairs = [(first[parameter], gradient) for parameter, gradient in loss.gradients()]
        squared, dot = loss.read(
            reduce(torch.add, [second.square().sum() for _, second in pairs]),
            reduce(torch.add, [(plain * second).sum() for plain, second in pairs]),
        )
        along_second = dot / squared if loss.usable(squared, above=0.0) else 0.0
        for plain, second in pairs:
            second.mul_(1 + self.decompose * along_second).sub_(plain, alpha=self.decompose)


@dataclass(kw_only=True, eq=False)
class GradientNormPenalty(Scoped):
    """Zhao, Zhang, Hu, ICML 2022, arXiv 2202.03599, algorithm 1: (1 - c) g(theta) + c g(theta + r g / ||g||).

    The gradient, to first order, of L + c r ||grad L||: the explicit relative of Mirror Gradient, which penalises the
    squared norm. c=1 is SAM with rho=r, c=0 plain training.
    This is the paper's formula. The authors' program mixes the unit vector, (1 - c) g / ||g|| + c g(theta + ...), by
    default, and so takes other steps; and they warn of the penalty under Adam without a warm-up of the learning rate,
    which there is none of here. Raises ValueError unless r >= 0 and 0 <= c <= 1.
    """

    off: ClassVar = {"r": 0.0}
    rho: float = field(init=False, repr=False)
    r: NotNegative = 0.1
    c: Share = 0.8

    def __post_init__(self) -> None:
        super().__post_init__()
        self.rho = self.r  # the paper's name of the radius

    @property
    def neutral(self) -> bool:
        return super().neutral or self.c == 0

    @property
    def mixes(self) -> bool:
        return self.c < 1

    def combine(self, loss: BatchLoss, first: FirstGradient) -> None:
        blend(loss, first, self.c)
