"""BSAM and BSAM+, reconstructed.

Xu et al., IEEE TKDE 37(11), 2025, DOI 10.1109/TKDE.2025.3604242, could not be read: its abstract speaks of sharpness-
aware minimisation "focused on batch data" and of BSAM+ as a mixed loss. What follows is our reading of it: results
are not those of the paper's method.
"""

from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from recmodels.signatures import Share
from recmodels.training.batch_loss import BatchLoss
from recmodels.training.strategies.perturbed import FirstGradient, Perturbation, Perturbed, blend


@dataclass(kw_only=True, eq=False)
class BSAM(Perturbed):
    """Reconstruction: SAM whose perturbation moves only the batch's rows of tables with a row per user or item, and
    all of the other parameters. `bsam_scope="all"` moves every row, which is SAM."""

    reconstruction: ClassVar = True
    bsam_scope: Literal["batch", "all"] = "batch"

    def epsilon(self, parameters: list[nn.Parameter], gradients: list[Tensor], loss: BatchLoss) -> Perturbation:
        if self.bsam_scope == "batch":
            rows = self._rows(loss)
            gradients = [
                _only(gradient, rows[parameter]) if parameter in rows else gradient
                for parameter, gradient in zip(parameters, gradients, strict=True)
            ]
        return super().epsilon(parameters, gradients, loss)

    def _rows(self, loss: BatchLoss) -> dict[nn.Parameter, Tensor]:
        """Return the batch's rows of each table, some of them several times."""
        users, items = loss.rows[0], loss.rows[1:].flatten()
        n_users = loss.model.n_users
        rows = {"users": users, "items": items, "nodes": torch.cat([users, items + n_users])}
        return {self.parameters[name]: rows[kind] for name, kind in loss.model.id_tables().items()}


@dataclass(kw_only=True, eq=False)
class BSAMPlus(BSAM):
    """Reconstruction: the gradient of (1 - lam) L(theta) + lam L(theta + eps), eps held fixed; `mix="sum"`: of
    L(theta) + L(theta + eps). lam=0 is plain training, lam=1 BSAM. Raises ValueError unless 0 <= lam <= 1."""

    lam: Share = 0.5
    mix: Literal["convex", "sum"] = "convex"

    @property
    def neutral(self) -> bool:
        return super().neutral or (self.lam == 0 and self.mix == "convex")

    @property
    def mixes(self) -> bool:
        return self.mix == "sum" or self.lam < 1

    def combine(self, loss: BatchLoss, first: FirstGradient) -> None:
        if self.mix == "convex":
            blend(loss, first, self.lam)
            return
        for parameter, second in loss.gradients():
            second.add_(first[parameter])


def _only(gradient: Tensor, rows: Tensor) -> Tensor:
    return torch.zeros_like(gradient).index_copy_(0, rows, gradient.index_select(0, rows))
