"""LightGCN: He, Deng, Wang, Li, Zhang, Wang, SIGIR 2020, arXiv 2002.02126."""

import torch
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.graphs import NormalisedAdjacency
from recmodels.losses import batch_norms, bpr
from recmodels.models.base import Recommender, xavier_uniform


class LightGCN(Recommender):
    """Mean of the embeddings after 0..`n_layers` hops on the user-item graph (eq. 3 and 4).

    `n_layers=0` is matrix factorisation. The penalty is the benchmark's: un-squared norms of the batch's layer-0
    embeddings over the batch size, where the paper squares them.
    """

    def __init__(self, data: RecDataset, *, embedding_size: int = 64, n_layers: int = 2, reg_weight: float = 1e-3):
        super().__init__()
        self.sizes, self.n_layers, self.reg_weight = [data.n_users, data.n_items], n_layers, reg_weight
        self.user_emb = xavier_uniform(data.n_users, embedding_size)
        self.item_emb = xavier_uniform(data.n_items, embedding_size)
        self.graph = NormalisedAdjacency(data)

    def embed(self) -> tuple[Tensor, Tensor]:
        hop = torch.cat([self.user_emb, self.item_emb])  # (U + I, D)
        total = hop
        for _ in range(self.n_layers):
            hop = self.graph(hop)
            total = total + hop
        users, items = (total / (self.n_layers + 1)).split(self.sizes)
        return users, items

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        users, positives, negatives = batch
        user_repr, item_repr = self.embed()
        user = user_repr.index_select(0, users)
        positive = (user * item_repr.index_select(0, positives)).sum(-1)
        negative = (user * item_repr.index_select(0, negatives)).sum(-1)
        penalty = batch_norms(
            self.user_emb.index_select(0, users),
            self.item_emb.index_select(0, positives),
            self.item_emb.index_select(0, negatives),
        )
        return {"bpr": bpr(positive, negative, floor=1e-10), "reg": self.reg_weight * penalty}
