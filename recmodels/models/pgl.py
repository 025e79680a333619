"""PGL: Yu, Tan, Lu, Bao, Mind Individual Information! Principal Graph Learning for Multimedia Recommendation, AAAI
2025."""

from typing import Literal

import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import ALL, Nodes, PrunedGraph, UserItemGraph, item_graph, principal_edges, smoothed
from recmodels.losses import bpr, in_batch_softmax, margins
from recmodels.models.base import Recommender
from recmodels.models.parts.content import FeatureTable
from recmodels.models.parts.modalities import image_weighted, modalities
from recmodels.models.parts.tables import UserTable, xavier_uniform
from recmodels.ops import Dropout, unit_rows
from recmodels.signatures import ShareBelowOne

DROPPED = 0.7
"""Share of the edges that the subgraph of an epoch leaves out."""
TEMPERATURE = 0.2
"""Of the contrast."""


class PGL(Recommender):
    """Trained on the principal part of the user-item graph, ranked on all of it.

    Items have no ids: they start from their projected features, users from a preference for each modality, and both
    are side by side for all modalities (`embedding_size` columns each). `mode="local"` draws the subgraph before each
    epoch, edges between popular nodes mostly left out; `mode="global"` takes it once from the leading singular vectors.
    The contrast of two views of each node with masked columns has the weight `reg_weight`, which the benchmark's
    configuration has at 0 and the authors' own at 0.05 to 0.5. As in the benchmark the feature tables train.
    """

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        n_ui_layers: int = 2,
        n_mm_layers: int = 1,
        knn_k: int = 10,
        mm_image_weight: float = 0.1,
        mode: Literal["local", "global"] = "local",
        dropout: ShareBelowOne = 0.2,
        reg_weight: float = 0.0,
    ):
        super().__init__(data, mode=mode, dropout=dropout)
        names = modalities(data, "PGL")
        self.n_ui_layers, self.n_mm_layers, self.reg_weight = n_ui_layers, n_mm_layers, reg_weight
        self.is_local, self.dropout = mode == "local", Dropout(dropout)
        self.preferences = nn.ParameterDict(
            {name: UserTable(xavier_uniform(data.n_users, embedding_size)) for name in names}
        )
        self.content = nn.ModuleDict({name: FeatureTable(data, name, embedding_size, trained=True) for name in names})
        self.item_graph = item_graph(data, image_weighted(names, mm_image_weight), knn_k)
        self.graph = PrunedGraph(data)
        if not self.is_local:
            self.graph.pruned = UserItemGraph(*principal_edges(data, embedding_size))

    def new_epoch(self) -> None:
        if self.is_local:
            self.graph.prune(DROPPED)

    def embed(self) -> tuple[Tensor, Tensor]:
        return self._propagate(self.graph.full, ALL)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        nodes, places = self.graph.pruned.nodes_of(batch)
        users, items = self._propagate(self.graph.pruned, nodes)
        terms = {"bpr": bpr(margins(users, items, places))}
        if self.reg_weight:
            of_users = self._contrast(users.index_select(0, places[0]))
            terms["contrast"] = self.reg_weight * (of_users + self._contrast(items.index_select(0, places[1]))) / 2
        return terms

    def _propagate(self, graph: UserItemGraph, nodes: Nodes) -> tuple[Tensor, Tensor]:
        """Return users (n, M * D) and items (m, M * D) at the nodes, the M modalities side by side."""
        users = torch.cat([*self.preferences.values()], dim=1)
        items = torch.cat([unit_rows(content()) for content in self.content.values()], dim=1)
        user, item = graph.mean_of_hops(users, items, self.n_ui_layers, nodes)
        return user, item + smoothed(self.item_graph, items, self.n_mm_layers, nodes.items)

    def _contrast(self, rows: Tensor) -> Tensor:
        """Return how badly each of the rows (B, C), with columns masked at random, is told from the others, masked
        otherwise: a cross entropy, ()."""
        one, other = (unit_rows(self.dropout(rows)) for _ in range(2))
        return in_batch_softmax(one, other, TEMPERATURE)
