"""MMGCF: Multimodal Graph Collaborative Filtering for Recommendation with Graph Convolutional Networks, UMAP 2026,
DOI 10.1145/3774935.3806158."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import PrunedGraph
from recmodels.losses import batch_squares, bpr, margins
from recmodels.models.base import Recommender
from recmodels.models.parts.content import FeatureTable
from recmodels.models.parts.modalities import modalities
from recmodels.models.parts.tables import id_embeddings
from recmodels.ops import distinct_ids, unit_rows
from recmodels.signatures import ShareBelowOne

Mode = Literal["mean", "sum", "concat"]
Weighting = Literal["equal", "alpha", "normalized"]


class Fusion(nn.Module):
    """Fuses n matrices of one shape: their mean, their sum, or a linear map of them side by side."""

    def __init__(self, mode: Mode, n: int, size: int):
        super().__init__()
        self.scale = 1 / n if mode == "mean" else 1.0
        self.map = nn.Linear(n * size, size) if mode == "concat" else None

    def forward(self, parts: Sequence[Tensor]) -> Tensor:
        """Return (m, D) from n matrices (m, D)."""
        parts = tuple(parts)
        return torch.stack(parts).sum(0) * self.scale if self.map is None else self.map(torch.cat(parts, dim=1))


class MMGCF(Recommender):
    """LightGCN on ids, on a graph that is pruned as FREEDOM's before each epoch; items are fused with their projected
    features after it.

    `fusion_mode`: how parts are fused. `weighting="equal"`: the modalities first, and then the result with the id;
    "alpha": the id times a trained share, the modalities times the rest; "normalized": unit rows of all, the id times
    the number of modalities. Features do not train. The paper itself was not at hand, so where the benchmark's code
    departs from it is not known.
    """

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        n_ui_layers: int = 2,
        fusion_mode: Mode = "mean",
        weighting: Weighting = "equal",
        dropout: ShareBelowOne = 0.2,
        reg_weight: float = 1e-3,
    ):
        super().__init__(data, fusion_mode=fusion_mode, weighting=weighting, dropout=dropout)
        names = modalities(data, "MMGCF")
        self.n_ui_layers, self.weighting = n_ui_layers, weighting
        self.dropped, self.reg_weight = dropout, reg_weight
        self.user_emb, self.item_emb = id_embeddings(data, embedding_size)
        self.content = nn.ModuleDict({name: FeatureTable(data, name, embedding_size, trained=False) for name in names})
        equal, n = weighting == "equal", len(names)
        self.gate = nn.Parameter(torch.zeros(1, 1)) if weighting == "alpha" else None
        self.content_fusion = Fusion(fusion_mode, n, embedding_size) if equal and n > 1 else None
        self.fusion = Fusion(fusion_mode, 2 if equal else 1 + n, embedding_size)
        self.graph = PrunedGraph(data)

    def new_epoch(self) -> None:
        self.graph.prune(self.dropped)

    def embed(self) -> tuple[Tensor, Tensor]:
        users, ids = self.graph.full.mean_of_hops(self.user_emb, self.item_emb, self.n_ui_layers)
        return users, self._fused(ids, [content() for content in self.content.values()])

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        graph = self.graph.pruned
        nodes, places = graph.nodes_of(batch)
        users, ids = graph.mean_of_hops(self.user_emb, self.item_emb, self.n_ui_layers, nodes)
        # Features do not enter the graph: only those of the batch's distinct items are projected and fused.
        distinct, place = distinct_ids(batch[1:])
        ids = ids.index_select(0, distinct) if nodes.items is None else ids
        items = self._fused(ids, [content(distinct) for content in self.content.values()])
        positive, negative = self.item_emb.index_select(0, batch[1:].flatten()).chunk(2)
        penalty = batch_squares(self.user_emb.index_select(0, batch[0]), positive, negative)
        margin = margins(users, items, torch.cat([places[:1], place]))
        return {"bpr": bpr(margin), "reg": self.reg_weight * penalty}

    def _fused(self, ids: Tensor, views: Sequence[Tensor]) -> Tensor:
        """Return items (m, D) from their ids and the projected features of each modality, (m, D) each."""
        if self.weighting == "normalized":
            return self.fusion([len(views) * unit_rows(ids), *map(unit_rows, views)])
        if self.gate is not None:
            share = torch.sigmoid(self.gate)
            return self.fusion([share * ids, *((1 - share) * view for view in views)])
        return self.fusion([ids, views[0] if self.content_fusion is None else self.content_fusion(views)])
