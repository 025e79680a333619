"""AMR: Tang, Du, He, Yuan, Tian, Chua, Adversarial Training Towards Robust Multimedia Recommender System, IEEE TKDE
32(5), 2020, arXiv 1809.07062."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from recmodels.models.base import Recommender
from recmodels.models.parts.item_features import feature_tables, shifted
from recmodels.ops import Distinct, distinct_ids, uploaded
from recmodels.signatures import Count, NotNegative
from recmodels.training.batch_loss import BatchLoss, Terms, unpenalised
from recmodels.training.strategies.base import LossTransform

TINY = 1e-12
"""Gradients of a mean loss are small, so the authors' 1e-6 would let the adversary fade."""


@dataclass(kw_only=True, eq=False)
class AMR(LossTransform):
    """J = L + adv_weight * L_adv: the same loss once more, with the features of the batch's items perturbed against it.

    Delta_i = adv_eps * Gamma_i / ||Gamma_i||, Gamma_i = dL/dc_i, over the modalities of item i together, and taken as
    constant. The penalty, the term "reg", counts in L alone: neither L_adv nor Gamma has it, as in the authors' code,
    or a step could lower the ranking loss that it is to raise. The pass that gives the gradient of L gives Gamma too,
    but for a model whose penalty reads features (VBPR): it goes back to the features once more, which is no further
    pass in the counts. Both passes see the same random draws. adv_weight=0 is plain training. A graph over items that
    was made from their features stays as it is.

    `adv_eps_mode`: adv_eps is a length, or with "relative" a share of the median length of the items' features.
    `adv_type`: "grad" as above; "sign", adv_eps * sign(Gamma_i); "rand", a random direction, as a control (on a GPU
    another one than on a CPU).
    `adv_warmup`: epochs of plain training before; "converged": until validation improves no more, and then from the
    weights that did best, with a fresh optimiser: the authors start from a converged model. `adv_freeze`: further
    gradients on a batch, such as Mirror Gradient's second, keep the perturbation of the first.
    Raises ValueError unless adv_eps, adv_weight and a number adv_warmup >= 0, and for a model whose loss reads no
    features.
    """

    needs_features: ClassVar = True
    begins: ClassVar = ("adv_warmup",)
    off: ClassVar = {"adv_weight": 0.0}
    adv_eps: NotNegative = 0.1
    adv_eps_mode: Literal["absolute", "relative"] = "absolute"
    adv_weight: NotNegative = 1.0
    adv_type: Literal["grad", "sign", "rand"] = "grad"
    adv_warmup: Count | Literal["converged"] = 0
    adv_freeze: bool = False
    converged = False  # no knob, as the next two: it has no annotation
    has_passed, reads_features = False, False

    def attach(self, model: Recommender, rng: np.random.Generator) -> None:
        self.tables, self.rng = feature_tables(model), rng
        if not self.tables:
            raise ValueError(f"amr moves item features, but the loss of {type(model).__name__} reads none")
        median = _lengths([each.table.detach() for each in self.tables]).median()
        self.length = self.adv_eps * (float(median) if self.adv_eps_mode == "relative" else 1.0)
        self.deltas: list[Tensor] = []

    def __call__(self, loss: BatchLoss, *, replay: bool) -> Tensor:
        if self.adv_weight == 0 or not self._has_begun:
            return loss.accumulate(replay=replay)
        items = distinct_ids(loss.rows[1:])
        is_first_gradient = not loss.terms
        if is_first_gradient or not (self.adv_freeze or (self.adv_type == "rand" and replay)):
            value, self.deltas = self._first_pass(loss, items, replay=replay)
        else:
            value = loss.accumulate(replay=replay)
        with shifted(self.tables, items.values, self.deltas):
            loss.accumulate(self._adversarial, replay=True)
        return value

    @property
    def waits(self) -> bool:
        return self.adv_weight > 0 and not self._has_begun and self.adv_warmup == "converged"

    @property
    def _has_begun(self) -> bool:
        return self.converged if isinstance(self.adv_warmup, str) else self.epoch >= self.adv_warmup

    def restart(self) -> None:
        self.converged = True

    def idle(self) -> str:
        if self.adv_weight == 0:
            return ""
        if not self._has_begun:
            return f"the adversary never began (adv_warmup={self.adv_warmup})"
        if self.reads_features or not self.has_passed:
            return ""
        return "the adversary moved nothing (the loss reads no features at these values)"

    def state_dict(self) -> dict[str, Any]:
        return {"rng": self.rng.bit_generator.state, "converged": self.converged}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rng.bit_generator.state = state["rng"]
        self.converged = state.get("converged", False)  # older checkpoints know numbers of epochs alone

    def _first_pass(self, loss: BatchLoss, items: Distinct, *, replay: bool) -> tuple[Tensor, list[Tensor]]:
        """Return the loss of the model, whose gradient is added, and the perturbations of the features of `items` (n,),
        (n, F) for each table."""
        length = self.length * items.first().to(self.tables[0].table)  # an item that is there twice moves once
        shapes = [(len(items.values), table.table.shape[1]) for table in self.tables]
        like = self.tables[0].table
        if self.adv_type == "rand":
            noise = [uploaded(self.rng.standard_normal(shape, dtype=np.float32), like.device) for shape in shapes]
            return loss.accumulate(replay=replay), self._scaled([each.to(like) for each in noise], length)
        leaves = [like.new_zeros(shape, requires_grad=True) for shape in shapes]
        with shifted(self.tables, items.values, leaves):
            value = loss.accumulate(replay=replay, leaves=leaves)
        self.has_passed = True
        self.reads_features = self.reads_features or any(leaf.grad is not None for leaf in leaves)
        directions = [torch.zeros_like(leaf) if leaf.grad is None else leaf.grad for leaf in leaves]
        return value, self._scaled(directions, length)

    def _scaled(self, directions: list[Tensor], length: Tensor) -> list[Tensor]:
        """Return the directions (n, F) with rows of `length` (n,) over all of them together."""
        if self.adv_type == "sign":
            return [direction.sign() * length.unsqueeze(1) for direction in directions]
        scale = _lengths(directions).clamp(min=TINY).reciprocal() * length
        return [direction * scale.unsqueeze(1) for direction in directions]

    def _adversarial(self, terms: Terms) -> Tensor:
        return self.adv_weight * unpenalised(terms)


def _lengths(parts: Sequence[Tensor]) -> Tensor:
    """Return the length of each row over all parts side by side, (n,)."""
    return torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(part, dim=1) for part in parts]), dim=0)
