"""Sparse SAM: Mi, Shen, Ren, Zhou, Sun, Ji, Tao, NeurIPS 2022, arXiv 2210.05177: only some weights are perturbed."""

import math
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from recmodels.models.base import Recommender
from recmodels.training.batch_loss import BadStep, BatchLoss, apart
from recmodels.training.strategies.base import Batches
from recmodels.training.strategies.perturbed import Perturbed, Scope, norm, share

Score = Literal["gradient", "weight", "random"]


class SparseSAM(Perturbed):
    """eps = rho g / ||g|| * mask: the length is that of the whole gradient, so masking shortens eps (`renorm`: it is
    rho again). A share `sparsity` of the weights is masked out; the mask is renewed every `mask_every` epochs.

    sparsity=0 is SAM, sparsity=1 plain training. ValueError unless 0 <= sparsity <= 1 and mask_every >= 1.
    """

    def __init__(
        self,
        *,
        rho: float,
        sparsity: float,
        mask_every: int,
        renorm: bool,
        every: int,
        scope: Scope,
        exclude: str,
    ):
        super().__init__(rho=rho, every=every, scope=scope, exclude=exclude)
        if not 0 <= sparsity <= 1:
            raise ValueError(f"0 <= sparsity <= 1 must hold, but got sparsity={sparsity}")
        if mask_every < 1:
            raise ValueError(f"mask_every >= 1 must hold, but got mask_every={mask_every}")
        self.sparsity, self.mask_every, self.renorm = sparsity, mask_every, renorm

    def attach(self, model: Recommender, rng: np.random.Generator) -> None:
        super().attach(model, rng)
        self.model, self.rng = model, rng
        self.size = sum(each.numel() for each in self.parameters.values())
        self.n_kept = self.size - math.ceil(self.sparsity * self.size)
        self.masks: dict[str, Tensor] = {}

    @property
    def neutral(self) -> bool:
        return super().neutral or self.n_kept == 0

    @property
    def _masked(self) -> bool:
        """Whether there is anything to choose."""
        return not super().neutral and 0 < self.n_kept < self.size

    def epsilon(
        self, parameters: list[nn.Parameter], gradients: list[Tensor], loss: BatchLoss
    ) -> tuple[list[Tensor], float] | None:
        whole = norm(gradients)
        if self._masked:
            by_parameter = {self.parameters[name]: mask for name, mask in self.masks.items()}
            gradients = [
                gradient * by_parameter[parameter] for parameter, gradient in zip(parameters, gradients, strict=True)
            ]
        scale = share(self.rho, norm(gradients) if self.renorm else whole)
        return None if scale is None else (gradients, scale)

    def state_dict(self) -> dict[str, Any]:
        return {"masks": self.masks, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.masks = {name: mask.to(self.parameters[name].device) for name, mask in state["masks"].items()}
        self.rng.bit_generator.state = state["rng"]

    def _keep(self, scores: Tensor) -> None:
        """The mask of the `n_kept` largest of the scores (N,), over all parameters together."""
        kept = torch.zeros_like(scores, dtype=torch.bool)
        kept[scores.topk(self.n_kept, sorted=False).indices] = True
        self._set(kept)

    def _set(self, kept: Tensor) -> None:
        parts = kept.split([each.numel() for each in self.parameters.values()])
        self.masks = {
            name: part.view_as(each) for (name, each), part in zip(self.parameters.items(), parts, strict=True)
        }

    def _random(self) -> Tensor:
        """Uniform in [0, 1), one per weight."""
        draws = torch.from_numpy(self.rng.random(self.size, dtype=np.float32))
        return draws.to(next(iter(self.parameters.values())).device)


class FisherSAM(SparseSAM):
    """SSAM-F: perturbed are the weights with the largest empirical Fisher information, the mean of the squared
    gradients of `n_fisher` batches of their own, of `fisher_batch` interactions (0: as many as in training).

    The first mask is there before the first step, and ties at zero are broken at random (the reference's first step is
    plain, its samples are single: fisher_batch=1). `report`: the share of weights that no sample touched.
    """

    def __init__(
        self,
        *,
        rho: float = 0.05,
        sparsity: float = 0.5,
        mask_every: int = 1,
        n_fisher: int = 16,
        fisher_batch: int = 0,
        renorm: bool = False,
        every: int = 1,
        scope: Scope = "all",
        exclude: str = "",
    ):
        super().__init__(
            rho=rho,
            sparsity=sparsity,
            mask_every=mask_every,
            renorm=renorm,
            every=every,
            scope=scope,
            exclude=exclude,
        )
        if n_fisher < 1 or fisher_batch < 0:
            raise ValueError(f"n_fisher >= 1 and fisher_batch >= 0 must hold, but got {n_fisher} and {fisher_batch}")
        self.n_fisher, self.fisher_batch = n_fisher, fisher_batch
        self.untouched = 0.0

    def new_epoch(self, epoch: int, batches: Batches) -> None:
        if not self._masked or epoch % self.mask_every:
            return
        information = torch.cat([torch.zeros_like(each).flatten() for each in self.parameters.values()])
        with apart(self.model):
            for loss in islice(self._samples(batches), self.n_fisher):
                with suppress(BadStep):  # what cannot be measured counts as zero
                    loss()
                    information += torch.cat([_gradient(each).square().flatten() for each in self.parameters.values()])
        untouched = information == 0
        self.untouched = float(untouched.float().mean())
        self._keep(torch.where(untouched, -1 - self._random(), information))

    def report(self) -> dict[str, float]:
        return {**super().report(), "fisher_untouched": self.untouched}

    def _samples(self, batches: Batches) -> Iterator[BatchLoss]:
        for loss in batches(self.rng):
            if not self.fisher_batch:
                yield loss
                continue
            for rows in loss.rows.split(self.fisher_batch, dim=1):
                yield BatchLoss(loss.model, rows, counts=loss.counts, transform=loss.transform)


class DynamicSAM(SparseSAM):
    """SSAM-D: the mask starts at random; at a renewal, in the epoch's first batch, the n perturbed weights with the
    least score of `drop` are exchanged for the n others with the largest of `grow`.

    n = floor(min(d K, N - K)) for K perturbed of N weights and d = d0 (1 + cos(pi e / horizon)) / 2 in epoch e from 0,
    d = 0 beyond the horizon. The score is |gradient|, |weight| or random. The number of perturbed weights stays the
    same (in the reference it shrinks at times). ValueError unless 0 <= d0 <= 1 and horizon >= 1.
    """

    def __init__(
        self,
        *,
        rho: float = 0.05,
        sparsity: float = 0.5,
        mask_every: int = 1,
        d0: float = 0.5,
        horizon: int = 200,
        drop: Score = "gradient",
        grow: Score = "random",
        renorm: bool = False,
        every: int = 1,
        scope: Scope = "all",
        exclude: str = "",
    ):
        super().__init__(
            rho=rho,
            sparsity=sparsity,
            mask_every=mask_every,
            renorm=renorm,
            every=every,
            scope=scope,
            exclude=exclude,
        )
        if not 0 <= d0 <= 1 or horizon < 1:
            raise ValueError(f"0 <= d0 <= 1 and horizon >= 1 must hold, but got {d0} and {horizon}")
        self.d0, self.horizon, self.drop, self.grow = d0, horizon, drop, grow
        self.epoch, self.due = 0, False

    def attach(self, model: Recommender, rng: np.random.Generator) -> None:
        super().attach(model, rng)
        if self._masked:
            self._keep(self._random())

    def new_epoch(self, epoch: int, batches: Batches) -> None:
        self.epoch, self.due = epoch, self._masked and epoch % self.mask_every == 0

    def epsilon(
        self, parameters: list[nn.Parameter], gradients: list[Tensor], loss: BatchLoss
    ) -> tuple[list[Tensor], float] | None:
        if self.due:  # in the epoch's first gradient, not in the second of a mirrored batch
            self.due = False
            self._renew()
        return super().epsilon(parameters, gradients, loss)

    def _renew(self) -> None:
        progress = min(self.epoch / self.horizon, 1.0)
        share_dropped = self.d0 * (1 + math.cos(math.pi * progress)) / 2
        n = math.floor(min(share_dropped * self.n_kept, self.size - self.n_kept))
        kept = torch.cat([self.masks[name].flatten() for name in self.parameters])
        dropped = torch.where(kept, -self._scores(self.drop), -math.inf).topk(n, sorted=False).indices
        grown = torch.where(kept, -math.inf, self._scores(self.grow)).topk(n, sorted=False).indices
        kept[dropped], kept[grown] = False, True
        self._set(kept)

    def _scores(self, kind: Score) -> Tensor:
        if kind == "random":
            return self._random()
        values = self.parameters.values()
        read = _gradient if kind == "gradient" else torch.detach
        return torch.cat([read(each).abs().flatten() for each in values])


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
