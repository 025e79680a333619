"""VBPR: He, McAuley, Visual Bayesian Personalized Ranking from Implicit Feedback, AAAI 2016."""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.losses import batch_norms, batch_squares, bpr
from recmodels.models.base import Recommender, Variant, is_paper, modalities, xavier_normal, xavier_uniform
from recmodels.tensors import constant


class VBPR(Recommender):
    """Matrix factorisation whose items have an id half and a half projected from their features.

    As in the benchmark: one projection with a bias for all modalities side by side (text first), no item bias,
    un-squared norms as penalty. `variant="paper"`: no bias in the projection, a bias of each item and one linear in
    its features (eq. 4), squared penalties. A user's own bias changes no ranking and is left out of both.
    """

    features: Tensor

    def __init__(
        self, data: RecDataset, *, embedding_size: int = 64, reg_weight: float = 1e-2, variant: Variant = "benchmark"
    ):
        super().__init__(data)
        self.reg_weight = reg_weight
        columns = [data.features[name] for name in modalities(data, "VBPR", first="text")]
        features = columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)
        self.user_emb = xavier_uniform(data.n_users, 2 * embedding_size)
        self.item_emb = xavier_uniform(data.n_items, embedding_size)
        self.weight = xavier_normal(embedding_size, features.shape[1])
        self.paper = is_paper(variant)
        self.penalty = batch_squares if self.paper else batch_norms
        if self.paper:
            self.item_bias = nn.Parameter(torch.zeros(data.n_items, 1))
            self.visual_bias = nn.Parameter(torch.zeros(1, features.shape[1]))
        else:
            self.bias = nn.Parameter(torch.zeros(embedding_size))
        self.register_buffer("features", constant(features), persistent=False)

    def embed(self) -> tuple[Tensor, Tensor]:
        users, items = self.user_emb, torch.cat([self.item_emb, self._project(self.features)], dim=1)
        if self.paper:  # the biases as one more column, which every user weighs by 1
            bias = self.item_bias + F.linear(self.features, self.visual_bias)
            return torch.cat([users, users.new_ones(len(users), 1)], dim=1), torch.cat([items, bias], dim=1)
        return users, items

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        # Only the batch's distinct items are projected; no other row of the projection has a gradient.
        distinct, place = batch[1:].flatten().unique(return_inverse=True)
        features = self.features.index_select(0, distinct)
        items = torch.cat([self.item_emb.index_select(0, distinct), self._project(features)], dim=1)
        positive, negative = items.index_select(0, place).chunk(2)
        user = self.user_emb.index_select(0, batch[0])
        margin, penalised = (user * (positive - negative)).sum(-1), [user, positive, negative]
        if self.paper:
            bias = self.item_bias.index_select(0, distinct) + F.linear(features, self.visual_bias)
            above, below = bias.index_select(0, place).chunk(2)
            margin, penalised = margin + (above - below).squeeze(1), [*penalised, above, below]
        return {"bpr": bpr(margin, floor=1e-10), "reg": self.reg_weight * self.penalty(*penalised)}

    def _project(self, features: Tensor) -> Tensor:
        return F.linear(features, self.weight, None if self.paper else self.bias)
