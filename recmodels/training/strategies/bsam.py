"""BSAM and BSAM+, reconstructed.

Xu et al., IEEE TKDE 37(11), 2025, DOI 10.1109/TKDE.2025.3604242, could not be read: its abstract speaks of sharpness-
aware minimisation "focused on batch data" and of BSAM+ as a mixed loss. What follows is a reading of that. Its results
are no results of the paper's method.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from recmodels.training.batch_loss import BatchLoss
from recmodels.training.strategies.perturbed import norm, share
from recmodels.training.strategies.sam import SAM, FirstGradient, mix


class BSAM(SAM):
    """Reconstruction: SAM whose perturbation moves only the batch's rows of tables with a row per user or item, and
    all of the other parameters. `bsam_scope="all"` moves every row, which is SAM."""

    def __init__(self, *, rho: float = 0.05, bsam_scope: Literal["batch", "all"] = "batch", every: int = 1):
        super().__init__(rho=rho, every=every)
        self.by_batch = bsam_scope == "batch"

    def epsilon(
        self, parameters: list[nn.Parameter], gradients: list[Tensor], loss: BatchLoss
    ) -> tuple[list[Tensor], float] | None:
        if self.by_batch:
            rows = self._rows(loss)
            gradients = [
                _only(gradient, rows[parameter]) if parameter in rows else gradient
                for parameter, gradient in zip(parameters, gradients, strict=True)
            ]
        scale = share(self.rho, norm(gradients))
        return None if scale is None else (gradients, scale)

    def _rows(self, loss: BatchLoss) -> dict[nn.Parameter, Tensor]:
        """The batch's rows of each table."""
        users, items = loss.rows[0].unique(), loss.rows[1:].unique()
        n_users = loss.model.n_users
        rows = {"users": users, "items": items, "nodes": torch.cat([users, items + n_users])}
        return {self.parameters[name]: rows[kind] for name, kind in loss.model.id_tables().items()}


class BSAMPlus(BSAM):
    """Reconstruction: the gradient of (1 - lam) L(theta) + lam L(theta + eps), eps held fixed; `mix="sum"`: of
    L(theta) + L(theta + eps). lam=0 is plain training, lam=1 BSAM. ValueError unless 0 <= lam <= 1."""

    def __init__(
        self,
        *,
        rho: float = 0.05,
        lam: float = 0.5,
        mix: Literal["convex", "sum"] = "convex",
        bsam_scope: Literal["batch", "all"] = "batch",
        every: int = 1,
    ):
        if not 0 <= lam <= 1:
            raise ValueError(f"0 <= lam <= 1 must hold, but got lam={lam}")
        super().__init__(rho=rho, bsam_scope=bsam_scope, every=every)
        self.lam, self.summed = lam, mix == "sum"

    @property
    def neutral(self) -> bool:
        return super().neutral or (self.lam == 0 and not self.summed)

    def first(self, loss: BatchLoss) -> FirstGradient:
        return dict(loss.gradients()) if self.summed or self.lam < 1 else {}

    def second(self, loss: BatchLoss, first: FirstGradient) -> None:
        if self.summed:
            for parameter, second in loss.gradients():
                second.add_(first[parameter])
        elif first:
            mix(loss, first, self.lam)


def _only(gradient: Tensor, rows: Tensor) -> Tensor:
    return torch.zeros_like(gradient).index_copy_(0, rows, gradient.index_select(0, rows))
