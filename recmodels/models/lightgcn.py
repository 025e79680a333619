"""LightGCN: He, Deng, Wang, Li, Zhang, Wang, SIGIR 2020, arXiv 2002.02126."""

from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.graphs import UserItemGraph
from recmodels.losses import batch_norms, batch_squares, bpr, margins
from recmodels.models.base import Recommender, Variant
from recmodels.models.parts.tables import id_embeddings


class LightGCN(Recommender):
    """Mean of the embeddings after 0..`n_layers` hops on the user-item graph (eq. 3 and 4).

    `n_layers=0` is matrix factorisation. The benchmark penalises un-squared norms of the batch's layer-0 embeddings
    over the batch size, the paper their squares.
    """

    reads_features = False

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        n_layers: int = 2,
        reg_weight: float = 1e-3,
        variant: Variant = "benchmark",
    ):
        super().__init__(data, variant=variant)
        self.n_layers, self.reg_weight = n_layers, reg_weight
        self.penalty = batch_squares if variant == "paper" else batch_norms
        self.user_emb, self.item_emb = id_embeddings(data, embedding_size)
        self.graph = UserItemGraph.of(data)

    def embed(self) -> tuple[Tensor, Tensor]:
        return self.graph.mean_of_hops(self.user_emb, self.item_emb, self.n_layers)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        positive, negative = self.item_emb.index_select(0, batch[1:].flatten()).chunk(2)
        penalty = self.penalty(self.user_emb.index_select(0, batch[0]), positive, negative)
        nodes, places = self.graph.nodes_of(batch)
        hops = self.graph.mean_of_hops(self.user_emb, self.item_emb, self.n_layers, nodes)
        return {"bpr": bpr(margins(*hops, places), floor=1e-10), "reg": self.reg_weight * penalty}
