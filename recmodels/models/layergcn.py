"""LayerGCN: Zhou, Lin, Liu, Miao, Layer-refined Graph Convolutional Networks for Recommendation, ICDE 2023,
arXiv 2207.11088."""

import torch
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.graphs import ALL, Nodes, PrunedGraph, UserItemGraph
from recmodels.losses import half_squares, margins, summed_bpr
from recmodels.models.base import Recommender, Variant
from recmodels.models.parts.tables import id_embeddings
from recmodels.ops import sum_of_refined_hops


class LayerGCN(Recommender):
    """The sum of the hops, each scaled row by row by its cosine with the embeddings themselves.

    Before each epoch a share `dropout` of the edges is pruned. The benchmark draws the kept ones by degree in one epoch
    and uniformly in the next; the paper always by degree. Both loss terms are sums over the batch.
    """

    reads_features = False

    by_degree: Tensor

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        n_layers: int = 4,
        reg_weight: float = 1e-3,
        dropout: float = 0.1,
        variant: Variant = "benchmark",
    ):
        super().__init__(data, variant=variant)
        self.n_layers, self.reg_weight, self.dropout = n_layers, reg_weight, dropout
        self.paper = variant == "paper"
        self.user_emb, self.item_emb = id_embeddings(data, embedding_size)
        self.graph = PrunedGraph(data)
        self.register_buffer("by_degree", torch.tensor(True))  # how the next epoch prunes; saved

    def new_epoch(self) -> None:
        if self.dropout > 0:
            self.graph.prune(self.dropout, by_degree=bool(self.by_degree))
            self.by_degree ^= not self.paper

    def embed(self) -> tuple[Tensor, Tensor]:
        return self._propagate(self.graph.full, ALL)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        positive, negative = self.item_emb.index_select(0, batch[1:].flatten()).chunk(2)
        penalty = half_squares(self.user_emb.index_select(0, batch[0]), positive, negative)
        nodes, places = self.graph.pruned.nodes_of(batch)
        margin = margins(*self._propagate(self.graph.pruned, nodes), places)
        return {"bpr": summed_bpr(margin), "reg": self.reg_weight * penalty}

    def _propagate(self, graph: UserItemGraph, nodes: Nodes) -> tuple[Tensor, Tensor]:
        """Return the sum of the refined hops 1..`n_layers` at the nodes, users (n, D) and items (m, D)."""
        to_users = graph.block.matrix
        return sum_of_refined_hops(to_users, to_users.t(), self.user_emb, self.item_emb, self.n_layers, nodes)
