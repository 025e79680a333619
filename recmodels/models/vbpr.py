"""VBPR: He, McAuley, Visual Bayesian Personalized Ranking from Implicit Feedback, AAAI 2016."""

from collections.abc import Callable
from functools import partial
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.losses import batch_norms, batch_squares, bpr, summed_bpr
from recmodels.models.base import Recommender
from recmodels.models.parts.item_features import JoinedFeatures
from recmodels.models.parts.modalities import modalities
from recmodels.models.parts.tables import ItemTable, UserTable, xavier_normal, xavier_uniform
from recmodels.ops import distinct_ids

Form = Literal["benchmark", "paper", "amr"]


def amr_squares(users: Tensor, positives: Tensor, negatives: Tensor) -> Tensor:
    """Return the sum of the users' squares and a hundredth of the items', as AMR's reference code weighs them."""
    return users.square().sum() + 0.01 * (positives.square().sum() + negatives.square().sum())


PENALTIES: dict[Form, Callable[..., Tensor]] = {"benchmark": batch_norms, "paper": batch_squares, "amr": amr_squares}


class VBPR(Recommender):
    """Matrix factorisation whose items have an id half and a half projected from their features.

    As in the benchmark: one projection with a bias for all modalities side by side (text first), no item bias,
    un-squared norms as penalty. `variant="paper"`: no bias in the projection, a bias of each item and one linear in
    its features (eq. 4), squared penalties. A user's own bias changes no ranking and is left out of both.
    `variant="amr"`, as in AMR's reference code (Tang et al., TKDE 2020): the halves are summed, p_u . (q_i + E c_i)
    without biases, and so are losses over the batch; squares are penalised by `reg_weight` (there 0.1), those of items
    by a hundredth of it; the projection learns at a tenth and item ids at a hundredth of the learning rate (0.01).
    """

    def __init__(
        self, data: RecDataset, *, embedding_size: int = 64, reg_weight: float = 1e-2, variant: Form = "benchmark"
    ):
        super().__init__(data, variant=variant)
        self.variant, self.reg_weight = variant, reg_weight
        self.ranking: Callable[[Tensor], Tensor] = summed_bpr if variant == "amr" else partial(bpr, floor=1e-10)
        self.penalty = PENALTIES[variant]
        self.features = JoinedFeatures([data.features[name] for name in modalities(data, "VBPR", first="text")])
        width = sum(self.features.widths)
        amr = variant == "amr"
        draw_ids, draw_weight = (_small_normal, _small_normal) if amr else (xavier_uniform, xavier_normal)
        self.user_emb = UserTable(draw_ids(data.n_users, embedding_size if amr else 2 * embedding_size))
        self.item_emb = ItemTable(draw_ids(data.n_items, embedding_size))
        self.weight = nn.Parameter(draw_weight(embedding_size, width))
        self.bias = nn.Parameter(torch.zeros(embedding_size)) if variant == "benchmark" else None
        if variant == "paper":
            self.item_bias = ItemTable(torch.zeros(data.n_items, 1))
            self.visual_bias = nn.Parameter(torch.zeros(1, width))

    def rate_factors(self) -> dict[nn.Parameter, float]:
        return {self.weight: 0.1, self.item_emb: 0.01} if self.variant == "amr" else {}

    def embed(self) -> tuple[Tensor, Tensor]:
        users, items = self.user_emb, self._join(self.item_emb, self.features.linear(self.weight, self.bias))
        if self.variant == "paper":  # the biases as one more column, which every user weighs by 1
            bias = self.item_bias + self.features.linear(self.visual_bias)
            return torch.cat([users, users.new_ones(len(users), 1)], dim=1), torch.cat([items, bias], dim=1)
        return users, items

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        # Only the batch's distinct items are projected; no other row of the projection has a gradient.
        distinct, place = distinct_ids(batch[1:].flatten())
        features = self.features.rows(distinct)
        items = self._join(self.item_emb.index_select(0, distinct), F.linear(features, self.weight, self.bias))
        positive, negative = items.index_select(0, place).chunk(2)
        user = self.user_emb.index_select(0, batch[0])
        margin, penalised = (user * (positive - negative)).sum(-1), [user, positive, negative]
        if self.variant == "paper":
            bias = self.item_bias.index_select(0, distinct) + F.linear(features, self.visual_bias)
            above, below = bias.index_select(0, place).chunk(2)
            margin, penalised = margin + (above - below).squeeze(1), [*penalised, above, below]
        return {"bpr": self.ranking(margin), "reg": self.reg_weight * self.penalty(*penalised)}

    def _join(self, ids: Tensor, projected: Tensor) -> Tensor:
        return ids + projected if self.variant == "amr" else torch.cat([ids, projected], dim=1)


def _small_normal(*shape: int) -> Tensor:
    """Draw normal numbers with deviation 0.01, cut off at twice that."""
    return nn.init.trunc_normal_(torch.empty(*shape), std=0.01, a=-0.02, b=0.02)
