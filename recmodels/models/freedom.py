"""FREEDOM: Zhou, Shen, A Tale of Two Graphs: Freezing and Denoising Graph Structures for Multimodal Recommendation,
ACM MM 2023, arXiv 2211.06924."""

from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import ALL, Nodes, PrunedGraph, UserItemGraph, item_graph, smoothed
from recmodels.losses import bpr, margins
from recmodels.models.base import Recommender, Variant
from recmodels.models.parts.content import FeatureTable
from recmodels.models.parts.modalities import image_weighted, modalities
from recmodels.models.parts.tables import id_embeddings
from recmodels.ops import distinct_ids


class FREEDOM(Recommender):
    """LightGCN on a user-item graph that is pruned before each epoch, plus items smoothed over a frozen item graph.

    The item graph comes from the features of the data set. The benchmark then trains the features as tables;
    `variant="paper"` leaves them as they are.
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
        dropout: float = 0.8,
        reg_weight: float = 1e-3,
        variant: Variant = "benchmark",
    ):
        super().__init__(data, variant=variant)
        names = modalities(data, "FREEDOM")
        self.n_ui_layers, self.n_mm_layers = n_ui_layers, n_mm_layers
        self.dropout, self.reg_weight = dropout, reg_weight
        self.user_emb, self.item_emb = id_embeddings(data, embedding_size)
        self.content = nn.ModuleDict()
        for name in names:
            self.content[name] = FeatureTable(data, name, embedding_size, trained=variant != "paper")
        self.item_graph = item_graph(data, image_weighted(names, mm_image_weight), knn_k)
        self.graph = PrunedGraph(data)

    def new_epoch(self) -> None:
        self.graph.prune(self.dropout)

    def embed(self) -> tuple[Tensor, Tensor]:
        return self._propagate(self.graph.full, ALL)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        nodes, places = self.graph.pruned.nodes_of(batch)
        users, items = self._propagate(self.graph.pruned, nodes)
        terms = {"bpr": bpr(margins(users, items, places))}
        if self.reg_weight:
            user = users.index_select(0, places[0])
            distinct, place = distinct_ids(batch[1:].flatten())
            for name, content in self.content.items():
                positive, negative = content(distinct).index_select(0, place).chunk(2)
                terms[name] = self.reg_weight * bpr((user * (positive - negative)).sum(-1))
        return terms

    def _propagate(self, graph: UserItemGraph, nodes: Nodes) -> tuple[Tensor, Tensor]:
        users, items = graph.mean_of_hops(self.user_emb, self.item_emb, self.n_ui_layers, nodes)
        return users, items + smoothed(self.item_graph, self.item_emb, self.n_mm_layers, nodes.items)
