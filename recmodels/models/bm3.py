"""BM3: Zhou, Zhou, Liu, Zeng, Miao, Wang, You, Jiang, Bootstrap Latent Representations for Multi-modal Recommendation,
WWW 2023, arXiv 2207.05969."""

import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import UserItemGraph
from recmodels.models.base import Recommender, Variant
from recmodels.models.parts.content import FeatureTable
from recmodels.models.parts.modalities import modalities
from recmodels.models.parts.tables import id_embeddings
from recmodels.ops import Dropout, cosine, distinct_ids, frobenius


class BM3(Recommender):
    """Users and items predict each other; features predict their item and their own dropped-out view.

    There are no negatives, and targets carry no gradient. The benchmark trains the feature tables, and penalises the
    un-squared norms of all propagated embeddings over the number of items; `variant="paper"` freezes the features and
    squares the norms (its `cl_weight` is 1).
    """

    needs_negatives = False

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        n_layers: int = 1,
        dropout: float = 0.3,
        reg_weight: float = 0.1,
        cl_weight: float = 2.0,
        variant: Variant = "benchmark",
    ):
        super().__init__(data, variant=variant)
        self.n_layers, self.reg_weight, self.cl_weight = n_layers, reg_weight, cl_weight
        self.paper = variant == "paper"
        self.user_emb, self.item_emb = id_embeddings(data, embedding_size)
        self.predictor = nn.Linear(embedding_size, embedding_size)
        nn.init.xavier_normal_(self.predictor.weight)
        self.content = nn.ModuleDict()
        for name in modalities(data, "BM3"):
            self.content[name] = FeatureTable(data, name, embedding_size, trained=not self.paper)
            nn.init.xavier_normal_(self.content[name].get_parameter("projection.weight"))
        self.dropout = Dropout(dropout)
        self.graph = UserItemGraph.of(data)

    def embed(self) -> tuple[Tensor, Tensor]:
        users, items = self._propagate()
        return self.predictor(users), self.predictor(items)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        users, items = self._propagate()
        # One dropout mask for each user and item of the batch, however often it occurs there.
        distinct_users, user_place = distinct_ids(batch[0])
        distinct_items, item_place = distinct_ids(batch[1])
        user, item = users.index_select(0, distinct_users), items.index_select(0, distinct_items)
        user_target = self.dropout(user.detach()).index_select(0, user_place)
        item_target = self.dropout(item.detach()).index_select(0, item_place)
        predicted_user = self.predictor(user).index_select(0, user_place)
        predicted_item = self.predictor(item).index_select(0, item_place)
        terms = {
            "interaction": _distance(predicted_user, item_target) + _distance(predicted_item, user_target),
            "reg": self.reg_weight * self._penalty(users, items),
        }
        for name, content in self.content.items():
            view = content(distinct_items)
            view_target = self.dropout(view.detach()).index_select(0, item_place)
            predicted = self.predictor(view).index_select(0, item_place)
            distance = _distance(predicted, item_target) + _distance(predicted, view_target)
            terms[name] = self.cl_weight * distance
        return terms

    def _propagate(self) -> tuple[Tensor, Tensor]:
        users, items = self.graph.mean_of_hops(self.user_emb, self.item_emb, self.n_layers)
        return users, items + self.item_emb

    def _penalty(self, users: Tensor, items: Tensor) -> Tensor:
        norms = torch.stack([frobenius(users), frobenius(items)])
        return (norms.square() if self.paper else norms).sum() / len(items)


def _distance(predicted: Tensor, target: Tensor) -> Tensor:
    return 1 - cosine(predicted, target).mean()
