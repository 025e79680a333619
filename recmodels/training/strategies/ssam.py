"""Sparse SAM: Mi, Shen, Ren, Zhou, Sun, Ji, Tao, NeurIPS 2022, arXiv 2210.05177: only some weights are perturbed."""

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import islice
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from recmodels.models.base import Recommender
from recmodels.signatures import Count, CountFromOne, Share
from recmodels.training.batch_loss import BadStep, Batches, BatchLoss, unread_on, without_side_effects
from recmodels.training.strategies.perturbed import Perturbation, Scoped, along, gradient_length

Score = Literal["gradient", "weight", "random"]


@dataclass(kw_only=True, eq=False)
class SparseSAM(Scoped):
    """eps = rho g / ||g|| * mask: the length is that of the whole gradient, so masking shortens eps (`renorm`: it is
    rho again). A share `sparsity` of the weights is masked out; the mask is renewed every `mask_every` epochs.

    sparsity=0 is SAM, sparsity=1 plain training. Raises ValueError unless 0 <= sparsity <= 1 and mask_every >= 1.
    """

    sparsity: Share = 0.5
    mask_every: CountFromOne = 1
    renorm: bool = False

    def attach(self, model: Recommender, rng: np.random.Generator) -> None:
        super().attach(model, rng)
        self.model, self.rng, self.device = model, rng, next(model.parameters(), torch.empty(0)).device
        self.size = sum(each.numel() for each in self.parameters.values())
        self.n_perturbed = self.size - math.ceil(self.sparsity * self.size)
        self.mask = torch.zeros(0, dtype=torch.bool)  # (N,): the perturbed weights, over all parameters in order

    @property
    def neutral(self) -> bool:
        return super().neutral or self.n_perturbed == 0

    @property
    def _masked(self) -> bool:
        """True if some but not all weights are perturbed: then there is a mask."""
        return not super().neutral and 0 < self.n_perturbed < self.size

    def epsilon(self, parameters: list[nn.Parameter], gradients: list[Tensor], loss: BatchLoss) -> Perturbation:
        whole = gradient_length(gradients, loss)
        if self._masked:
            parts = self.mask.split([each.numel() for each in self.parameters.values()])
            masks = dict(zip(self.parameters.values(), parts, strict=True))
            pairs = zip(parameters, gradients, strict=True)
            gradients = [gradient * masks[parameter].view_as(gradient) for parameter, gradient in pairs]
        return along(gradients, self.rho, loss, None if self.renorm else whole)

    def state_dict(self) -> dict[str, Any]:
        return {"mask": self.mask, "rng": self.rng.bit_generator.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.mask = state["mask"].to(self.device)
        self.rng.bit_generator.state = state["rng"]

    def _largest(self, scores: Tensor, n: int) -> Tensor:
        """Return which weights have the `n` largest scores, over all parameters together, (N,) bool from (N,).

        Which ones of equal scores is drawn: topk alone would prefer the same places in every epoch.
        """
        if n == 0:
            return torch.zeros_like(scores, dtype=torch.bool)
        least = scores.topk(n, sorted=False).values.min()
        chosen, equal = scores > least, (scores == least).nonzero().squeeze(1)
        drawn = self._random(len(equal)).topk(n - int(chosen.sum()), sorted=False).indices
        chosen[equal[drawn]] = True
        return chosen

    def _random(self, n: int) -> Tensor:
        """Return `n` uniform draws from [0, 1)."""
        return torch.from_numpy(self.rng.random(n, dtype=np.float32)).to(self.device)


@dataclass(kw_only=True, eq=False)
class FisherSAM(SparseSAM):
    """SSAM-F: perturbed are the weights with the largest empirical Fisher information, the mean of the squared
    gradients of `n_fisher` extra batches, of `fisher_batch` interactions (0: as many as in training).

    The first mask is made before the first step, and ties are broken at random; in the reference code the first step is
    plain, and samples are single interactions (fisher_batch=1). `report`: the share of weights with no information.
    Raises ValueError unless n_fisher >= 1 and fisher_batch >= 0.
    """

    n_fisher: CountFromOne = 16
    fisher_batch: Count = 0
    untouched = 0.0  # no knob: it has no annotation

    def new_epoch(self, epoch: int, batches: Batches) -> None:
        if not self._masked or epoch % self.mask_every:
            return
        information = torch.cat([torch.zeros_like(each).flatten() for each in self.parameters.values()])
        with without_side_effects(self.model):
            for loss in islice(self._samples(batches), self.n_fisher):
                with suppress(BadStep):  # a batch that cannot be measured counts as zero
                    loss()
                    squares = torch.cat([_gradient(each).square().flatten() for each in self.parameters.values()])
                    if loss.unread is not None:
                        squares = torch.where(torch.stack(loss.unread).isfinite().all(), squares, 0)
                    information += squares
        self.untouched = float((information == 0).float().mean())
        self.mask = self._largest(information, self.n_perturbed)

    def report(self) -> dict[str, float]:
        return {**super().report(), "fisher_untouched": self.untouched}

    def _samples(self, batches: Batches) -> Iterator[BatchLoss]:
        for loss in batches(self.rng):
            for rows in loss.rows.split(self.fisher_batch or loss.rows.shape[1], dim=1):
                yield replace(loss, rows=rows, unread=unread_on(self.device))


@dataclass(kw_only=True, eq=False)
class DynamicSAM(SparseSAM):
    """SSAM-D: the mask starts at random; at a renewal, in the epoch's first batch, the n perturbed weights with the
    least score of `drop` are exchanged for the n others with the largest of `grow`.

    n = floor(min(d K, N - K)) for K perturbed of N weights and d = d0 (1 + cos(pi e / horizon)) / 2 in epoch e from 0,
    d = 0 beyond the horizon. The score is |gradient|, |weight| or random; ties, such as the gradient 0 of all rows
    outside the batch, are broken at random.
    Unlike in the authors' program the number of perturbed weights stays the same (there it shrinks at times), and the
    new mask already holds for the batch whose gradient made it (there from the next batch on).
    Raises ValueError unless 0 <= d0 <= 1 and horizon >= 1.
    """

    d0: Share = 0.5
    horizon: CountFromOne = 200
    drop: Score = "gradient"
    grow: Score = "random"

    def attach(self, model: Recommender, rng: np.random.Generator) -> None:
        super().attach(model, rng)
        self.due = False
        if self._masked:
            self.mask = self._largest(self._random(self.size), self.n_perturbed)

    def new_epoch(self, epoch: int, batches: Batches) -> None:
        super().new_epoch(epoch, batches)
        self.due = self._masked and epoch % self.mask_every == 0

    def epsilon(self, parameters: list[nn.Parameter], gradients: list[Tensor], loss: BatchLoss) -> Perturbation:
        if self.due:  # in the epoch's first gradient, not in the second of a mirrored batch
            self.due = False
            self._renew()
        return super().epsilon(parameters, gradients, loss)

    def _renew(self) -> None:
        progress = min(self.epoch / self.horizon, 1.0)
        share_dropped = self.d0 * (1 + math.cos(math.pi * progress)) / 2
        n = math.floor(min(share_dropped * self.n_perturbed, self.size - self.n_perturbed))
        dropped = self._largest(torch.where(self.mask, -self._scores(self.drop), -math.inf), n)
        grown = self._largest(torch.where(self.mask, -math.inf, self._scores(self.grow)), n)
        self.mask = (self.mask & ~dropped) | grown

    def _scores(self, kind: Score) -> Tensor:
        if kind == "random":
            return self._random(self.size)
        read = _gradient if kind == "gradient" else torch.detach
        return torch.cat([read(each).abs().flatten() for each in self.parameters.values()])


def _gradient(parameter: nn.Parameter) -> Tensor:
    return torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
