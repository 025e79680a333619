"""GRCN: Wei, Wang, Nie, He, Chua, Graph-Refined Convolutional Network for Multimedia Recommendation, ACM MM 2020."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import ALL, EdgesAt, Nodes, UserItemEdges, largest_of_confident, shares_by_agreement
from recmodels.losses import bpr, id_penalty, margins
from recmodels.models.base import Recommender, Variant
from recmodels.models.parts.item_features import ItemFeatures
from recmodels.models.parts.modalities import VISUAL, modalities
from recmodels.models.parts.tables import NodeTable, UserTable, xavier_normal
from recmodels.ops import frobenius, unit_rows


class Content(nn.Module):
    """One modality: a view of users and items, and how much each edge agrees with it.

    In each of `n_rounds` rounds users move towards their items that agree with them (routing, eq. 3 to 5).
    """

    def __init__(self, data: RecDataset, name: str, size: int, n_rounds: int):
        super().__init__()
        self.n_rounds = n_rounds
        width = data.features[name].shape[1]
        self.preference = UserTable(xavier_normal(data.n_users, size))  # (U, C)
        self.weight = nn.Parameter(xavier_normal(size, width))  # (C, F)
        self.bias = nn.Parameter(torch.empty(size).uniform_(-(width**-0.5), width**-0.5))
        self.features = ItemFeatures(data.features[name])

    def forward(self, edges: UserItemEdges, at: EdgesAt) -> tuple[tuple[Tensor, Tensor], Tensor, Tensor]:
        """Return users (n, C) and items (m, C) refined by their neighbours, and two weights of each edge, (E,) each.

        The first weights sum to 1 over the edges of a user, the second over the edges of an item.
        """
        items = unit_rows(F.leaky_relu(self.features.linear(self.weight, self.bias), 0.01))
        users = unit_rows(self.preference)
        for _ in range(self.n_rounds):
            weights = edges.softmax_by_user(edges.dot(users, items))
            users = unit_rows(users + edges.sum_to_users(weights, items))
        to_user, to_item = shares_by_agreement(edges, users, items)  # of cosines
        around_users, around_items = at.sum_to_users(to_user, items), at.sum_to_items(to_item, users)
        return at.add(around_users, around_items, users, items), to_user, to_item


class GRCN(Recommender):
    """Ids propagated over edges that the item features confirm, beside each modality's own view of user and item.

    Edges whose weight is not positive are pruned. In the benchmark the routing rounds leave the preferences unchanged;
    `variant="paper"` has `n_layers` rounds that work. The visual preference is penalised over all users and over the
    batch.
    """

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        latent_embedding: int = 64,
        n_layers: int = 3,
        reg_weight: float = 1e-3,
        variant: Variant = "benchmark",
    ):
        super().__init__(data, variant=variant)
        names = modalities(data, "GRCN")
        n_rounds = n_layers if variant == "paper" else 0
        self.sizes, self.reg_weight = [data.n_users, data.n_items], reg_weight
        self.ids = NodeTable(xavier_normal(sum(self.sizes), embedding_size))  # (U + I, D)
        self.confidence = NodeTable(xavier_normal(sum(self.sizes), len(names)))  # (U + I, modalities)
        self.content = nn.ModuleDict({name: Content(data, name, latent_embedding, n_rounds) for name in names})
        self.edges = UserItemEdges(data)

    def embed(self) -> tuple[Tensor, Tensor]:
        users, items = zip(*self._views(ALL), strict=True)
        return torch.cat(users, dim=1), torch.cat(items, dim=1)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        # The score of [id | content | ...] is the sum of the views' scores.
        nodes, places = self.edges.nodes_of(batch)
        margin = torch.stack([margins(*view, places) for view in self._views(nodes)]).sum(0)
        return {"bpr": bpr(margin), "reg": self.reg_weight * self._penalty(batch)}

    def _views(self, nodes: Nodes) -> list[tuple[Tensor, Tensor]]:
        """Return (users, items) of the id branch and of each modality at the nodes."""
        at = self.edges.at(nodes)
        refined, to_user, to_item = zip(*[content(self.edges, at) for content in self.content.values()], strict=True)
        return [self._propagate(at, *self._edge_weights(to_user, to_item)), *refined]

    def _edge_weights(self, to_user: tuple[Tensor, ...], to_item: tuple[Tensor, ...]) -> tuple[Tensor, Tensor]:
        """Return the edges' weights to the user and to the item, (E,) each.

        The largest over the modalities, each multiplied by the sending node's confidence in it; not below 0.
        """
        of_user, of_item = self.confidence.split(self.sizes)
        user_weights = largest_of_confident(self.edges.items, of_item, to_user)
        return user_weights, largest_of_confident(self.edges.users, of_user, to_item)

    def _propagate(self, at: EdgesAt, to_user: Tensor, to_item: Tensor) -> tuple[Tensor, Tensor]:
        """Return the normalised ids plus two hops of them over the refined edges, users (n, D) and items (m, D)."""
        users, items = unit_rows(self.ids).split(self.sizes)
        user, item = self.edges.sum_to_users(to_user, items), self.edges.sum_to_items(to_item, users)
        last_user, last_item = at.sum_to_users(to_user, item), at.sum_to_items(to_item, user)
        return at.add(last_user, last_item, users + user, items + item)

    def _penalty(self, batch: Tensor) -> Tensor:
        penalty = id_penalty(self.ids, self.sizes[0], batch)
        for name, content in self.content.items():
            preference = content.get_parameter("preference")
            penalty = penalty + preference.index_select(0, batch[0]).square().mean()
            if name == VISUAL:
                penalty = penalty + frobenius(preference).square() / preference.numel()
        return penalty
