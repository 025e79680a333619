"""LATTICE: Zhang, Zhu, Liu, Wu, Wang, Wang, Mining Latent Structures for Multimedia Recommendation, ACM MM 2021, arXiv
2104.09036."""

import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import ClosedMeanGraph, LearnedGraph, cosine_graph, smoothed
from recmodels.losses import bpr, half_squares
from recmodels.models.base import Recommender
from recmodels.models.parts.content import FeatureTable
from recmodels.models.parts.modalities import modalities
from recmodels.models.parts.tables import id_embeddings
from recmodels.ops import ConstantMatrix, unit_rows
from recmodels.signatures import CountFromOne, Share


class LATTICE(Recommender):
    """Ids over the user-item graph, plus items smoothed over an item graph that is learned from projected features.

    The learned graph is mixed with that of the data's features, which has the share `lambda_coeff`. It learns in the
    first batch of each epoch alone, in all passes over that batch; later batches have the graph of the weights with
    which the epoch began, and gradients of zero for what makes it, so that an optimiser with momentum moves that on, as
    in the benchmark. There a second pass over the first batch has the later graph. A ranking makes the graph of the
    current weights. As in the benchmark: features train as tables, users and items are means over their neighbours and
    themselves, and the penalty is over twice `reg_batch_size`, the configured size of a batch.
    """

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        feat_embed_dim: int = 64,
        n_ui_layers: int = 2,
        n_mm_layers: int = 1,
        knn_k: CountFromOne = 10,
        lambda_coeff: Share = 0.9,
        reg_weight: float = 1e-3,
        reg_batch_size: CountFromOne = 2048,
    ):
        super().__init__(data, knn_k=knn_k, lambda_coeff=lambda_coeff, reg_batch_size=reg_batch_size)
        names = modalities(data, "LATTICE")
        self.n_ui_layers, self.n_mm_layers, self.knn_k = n_ui_layers, n_mm_layers, min(knn_k, data.n_items)
        self.lambda_coeff, self.reg_weight, self.reg_batch_size = lambda_coeff, reg_weight, reg_batch_size
        self.user_emb, self.item_emb = id_embeddings(data, embedding_size)
        self.content = nn.ModuleDict({name: FeatureTable(data, name, feat_embed_dim, trained=True) for name in names})
        self.modal_weight = nn.Parameter(torch.full((1, len(names)), 1 / len(names))) if len(names) > 1 else None
        self.item_graphs = nn.ModuleDict({name: cosine_graph(data, name, knn_k) for name in names})
        self.graph = ClosedMeanGraph(data)
        self.epoch_graph: ConstantMatrix | None = None

    def new_epoch(self) -> None:
        with torch.no_grad():
            self.epoch_graph = self.item_graph().constant()

    def item_graph(self) -> LearnedGraph:
        """Return the item graph of the current weights."""
        views = [content() for content in self.content.values()]
        weights = self.item_emb.new_ones(1)
        if self.modal_weight is not None:
            weights = torch.softmax(self.modal_weight, dim=1).squeeze(0)
        fixed = [graph for graph in self.item_graphs.values() if isinstance(graph, ConstantMatrix)]
        return LearnedGraph.of(views, self.knn_k, weights, fixed, self.lambda_coeff)

    def embed(self) -> tuple[Tensor, Tensor]:
        return self._with(self.item_graph().smoothed(self.item_emb, self.n_mm_layers))

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return self._terms(*self.embed(), batch)

    def later_loss(self, batch: Tensor) -> dict[str, Tensor]:
        assert self.epoch_graph is not None
        terms = self._terms(*self._with(smoothed(self.epoch_graph, self.item_emb, self.n_mm_layers)), batch)
        learned = [*self.content.parameters(), *([] if self.modal_weight is None else [self.modal_weight])]
        return terms | {"bpr": terms["bpr"] + 0 * torch.stack([each.sum() for each in learned]).sum()}

    def _with(self, near: Tensor) -> tuple[Tensor, Tensor]:
        """Return final users (U, D) and items (I, D) with the items (I, D) that are smoothed over an item graph."""
        hops: list[tuple[Tensor, Tensor]] = [(self.user_emb, self.item_emb)]
        for _ in range(self.n_ui_layers):
            hops.append(self.graph(*hops[-1]))
        users, items = (torch.stack(side).mean(0) for side in zip(*hops, strict=True))
        return users, items + unit_rows(near)

    def _terms(self, users: Tensor, items: Tensor, batch: Tensor) -> dict[str, Tensor]:
        user = users.index_select(0, batch[0])
        positive, negative = items.index_select(0, batch[1:].flatten()).chunk(2)
        penalty = half_squares(user, positive, negative) / self.reg_batch_size
        return {"bpr": bpr((user * (positive - negative)).sum(-1)), "reg": self.reg_weight * penalty}
