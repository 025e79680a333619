"""Sharpness-aware minimisation and its relatives: gradients at the worst nearby weights, to first order."""

from typing import Literal

import torch
from torch import Tensor, nn

from recmodels.training.batch_loss import BatchLoss
from recmodels.training.strategies.perturbed import Perturbed, Scope, norm, share

FirstGradient = dict[nn.Parameter, Tensor]


class SAM(Perturbed):
    """Foret, Kleiner, Mobahi, Neyshabur, ICLR 2021, arXiv 2010.01412: eps = rho g / ||g|| (eq. 2), direction
    g(theta + eps) (eq. 3).

    `rho_mode`: rho is a length, or with "relative" a share of the length of the perturbed weights, which compares
    between models.
    """

    def __init__(
        self,
        *,
        rho: float = 0.05,
        rho_mode: Literal["absolute", "relative"] = "absolute",
        every: int = 1,
        scope: Scope = "all",
        exclude: str = "",
    ):
        super().__init__(rho=rho, every=every, scope=scope, exclude=exclude)
        self.rho_mode = rho_mode

    def epsilon(
        self, parameters: list[nn.Parameter], gradients: list[Tensor], loss: BatchLoss
    ) -> tuple[list[Tensor], float] | None:
        rho = self.rho * (norm([each.detach() for each in parameters]) if self.rho_mode == "relative" else 1.0)
        scale = share(rho, norm(gradients))
        return None if scale is None else (gradients, scale)


class ASAM(Perturbed):
    """Kwon, Kim, Park, Choi, ICML 2021, arXiv 2102.11600, eq. 7: eps = rho T^2 g / ||T g|| with T = |theta| + xi.

    Scaled are tensors of two or more dimensions; for the others, biases, T = 1.
    """

    def __init__(self, *, rho: float = 0.5, xi: float = 0.01, every: int = 1, scope: Scope = "all", exclude: str = ""):
        super().__init__(rho=rho, every=every, scope=scope, exclude=exclude)
        self.xi = xi

    def epsilon(
        self, parameters: list[nn.Parameter], gradients: list[Tensor], loss: BatchLoss
    ) -> tuple[list[Tensor], float] | None:
        scaled, twice = [], []
        for parameter, gradient in zip(parameters, gradients, strict=True):
            t = parameter.detach().abs().add_(self.xi) if parameter.dim() > 1 else torch.ones_like(gradient)
            scaled.append(gradient * t)
            twice.append(t.mul_(scaled[-1]))
        scale = share(self.rho, norm(scaled))
        return None if scale is None else (twice, scale)


class GSAM(SAM):
    """Zhuang et al., ICLR 2022, arXiv 2203.08065: SAM's gradient less `decompose` times the part of the plain gradient
    that is orthogonal to it. The learning rate is constant, and with it rho."""

    def __init__(
        self, *, rho: float = 0.05, decompose: float = 0.4, every: int = 1, scope: Scope = "all", exclude: str = ""
    ):
        super().__init__(rho=rho, every=every, scope=scope, exclude=exclude)
        self.decompose = decompose

    def first(self, loss: BatchLoss) -> FirstGradient:
        return dict(loss.gradients()) if self.decompose else {}

    def second(self, loss: BatchLoss, first: FirstGradient) -> None:
        if not first:
            return
        pairs = [(first[parameter], gradient) for parameter, gradient in loss.gradients()]
        squared = float(sum(second.square().sum() for _, second in pairs))
        along = float(sum((plain * second).sum() for plain, second in pairs)) / squared if squared else 0.0
        for plain, second in pairs:
            second.mul_(1 + self.decompose * along).sub_(plain, alpha=self.decompose)


class GradientNormPenalty(Perturbed):
    """Zhao, Zhang, Hu, ICML 2022, arXiv 2202.03599, algorithm 1: (1 - c) g(theta) + c g(theta + r g / ||g||).

    The gradient, to first order, of L + c r ||grad L||: the explicit relative of Mirror Gradient, which penalises the
    squared norm. c=1 is SAM with rho=r, c=0 plain training. ValueError unless 0 <= c <= 1.
    """

    def __init__(self, *, r: float = 0.1, c: float = 0.8, every: int = 1, scope: Scope = "all", exclude: str = ""):
        if not 0 <= c <= 1:
            raise ValueError(f"0 <= c <= 1 must hold, but got c={c}")
        if not r >= 0:
            raise ValueError(f"r >= 0 must hold, but got r={r}")
        super().__init__(rho=r, every=every, scope=scope, exclude=exclude)
        self.c = c

    @property
    def neutral(self) -> bool:
        return super().neutral or self.c == 0

    def epsilon(
        self, parameters: list[nn.Parameter], gradients: list[Tensor], loss: BatchLoss
    ) -> tuple[list[Tensor], float] | None:
        scale = share(self.rho, norm(gradients))
        return None if scale is None else (gradients, scale)

    def first(self, loss: BatchLoss) -> FirstGradient:
        return dict(loss.gradients()) if self.c < 1 else {}

    def second(self, loss: BatchLoss, first: FirstGradient) -> None:
        if first:
            mix(loss, first, self.c)


def mix(loss: BatchLoss, first: FirstGradient, share_of_second: float) -> None:
    """(1 - c) first + c second, in place of the second."""
    for parameter, second in loss.gradients():
        second.mul_(share_of_second).add_(first[parameter], alpha=1 - share_of_second)
