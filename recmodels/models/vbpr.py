"""VBPR: He, McAuley, Visual Bayesian Personalized Ranking from Implicit Feedback, AAAI 2016."""

import numpy as np
import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.losses import batch_norms, bpr
from recmodels.models.base import Recommender, modalities, xavier_normal, xavier_uniform
from recmodels.tensors import constant


class VBPR(Recommender):
    """Matrix factorisation whose items have an id half and a half projected from their features.

    As in the benchmark: one projection with a bias for all modalities side by side (text first), no user, item or
    visual bias, un-squared norms as penalty. The paper has one visual feature, biases and squared penalties.
    """

    features: Tensor

    def __init__(self, data: RecDataset, *, embedding_size: int = 64, reg_weight: float = 1e-2):
        super().__init__()
        self.reg_weight = reg_weight
        columns = [data.features[name] for name in modalities(data, "VBPR", first="text")]
        features = columns[0] if len(columns) == 1 else np.concatenate(columns, axis=1)
        self.user_emb = xavier_uniform(data.n_users, 2 * embedding_size)
        self.item_emb = xavier_uniform(data.n_items, embedding_size)
        self.weight = xavier_normal(embedding_size, features.shape[1])
        self.bias = nn.Parameter(torch.zeros(embedding_size))
        self.register_buffer("features", constant(features), persistent=False)

    def embed(self) -> tuple[Tensor, Tensor]:
        return self.user_emb, torch.cat([self.item_emb, self._project(self.features)], dim=1)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        users, items = batch[0], batch[1:].flatten()
        # Only the batch's distinct items are projected; no other row of the projection has a gradient.
        distinct, place = items.unique(return_inverse=True)
        content = self._project(self.features.index_select(0, distinct)).index_select(0, place)
        positive, negative = torch.cat([self.item_emb.index_select(0, items), content], dim=1).chunk(2)
        user = self.user_emb.index_select(0, users)
        scores = (user * positive).sum(-1), (user * negative).sum(-1)
        return {
            "bpr": bpr(*scores, floor=1e-10),
            "reg": self.reg_weight * batch_norms(user, positive, negative),
        }

    def _project(self, features: Tensor) -> Tensor:
        return nn.functional.linear(features, self.weight, self.bias)
