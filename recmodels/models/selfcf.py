"""SelfCF: Zhou, Sun, Liu, Zhang, Miao, SelfCF: A Simple Framework for Self-supervised Collaborative Filtering,
ACM TORS 2023, arXiv 2107.03019; embedding dropout on LightGCN."""

import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import ALL, Nodes, UserItemEdges
from recmodels.graphs.edges import edges_of
from recmodels.losses import half_squares
from recmodels.models.base import Recommender, Variant
from recmodels.models.parts.tables import id_embeddings
from recmodels.ops import Dropout, Sparse, cosine, sum_of_hops


class SelfCF(Recommender):
    """Users predict their items and items their users, each from a dropped-out view that carries no gradient.

    The benchmark also drops edges, at a rate redrawn from U[0, 1) in every step and for each direction by another draw,
    and penalises the propagated embeddings (summed over the batch). The paper has neither: `variant="paper"` propagates
    over all edges, and `reg_weight=0` is its loss.
    """

    needs_negatives = False
    reads_features = False
    weights: Tensor

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        n_layers: int = 2,
        reg_weight: float = 0.0,
        dropout: float = 0.1,
        variant: Variant = "benchmark",
    ):
        super().__init__(data, variant=variant)
        self.n_layers, self.reg_weight, self.paper = n_layers, reg_weight, variant == "paper"
        self.user_emb, self.item_emb = id_embeddings(data, embedding_size)
        self.predictor = nn.Linear(embedding_size, embedding_size)
        self.dropout = Dropout(dropout)
        self.edges = UserItemEdges(data)
        weights = torch.from_numpy(edges_of(data).symmetric_weights()).to(torch.get_default_dtype())
        self.register_buffer("weights", weights, persistent=False)

    def embed(self) -> tuple[Tensor, Tensor]:
        """Return [h(Z_U) | Z_U] and [Z_I | h(Z_I)], (n, 2D): the score is the sum of both predictions."""
        users, items = self._propagate(ALL, dropping=False)
        return torch.cat([self.predictor(users), users], dim=1), torch.cat([items, self.predictor(items)], dim=1)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        nodes, places = self.edges.nodes_of(batch)
        users, items = self._propagate(nodes, dropping=not self.paper)
        user, item = users.index_select(0, places[0]), items.index_select(0, places[1])
        user_target, item_target = self.dropout(user.detach()), self.dropout(item.detach())
        agreement = cosine(self.predictor(user), item_target).mean() + cosine(self.predictor(item), user_target).mean()
        return {"cosine": -agreement / 2, "reg": self.reg_weight * half_squares(user, item)}

    def _propagate(self, nodes: Nodes, *, dropping: bool) -> tuple[Tensor, Tensor]:
        """Return the mean of the hops at the nodes.

        If `dropping`, to users and to items over edges that two draws leave.
        """
        if dropping:
            rate = float(torch.rand(()))  # on the CPU, as are all of torch's own draws of single numbers
            to_users, to_items = self._dropped(rate), self._dropped(rate).t()
        else:
            to_users = self.edges.matrix(self.weights)
            to_items = to_users.t()
        scale = 1 / (self.n_layers + 1)
        return sum_of_hops(to_users, to_items, self.user_emb, self.item_emb, self.n_layers, scale, nodes)

    def _dropped(self, rate: float) -> Sparse:
        """Return the matrix to the users (U, I) without the edges that a draw drops, the others scaled up."""
        kept = torch.rand_like(self.weights).ge_(rate)
        return self.edges.matrix(kept.mul_(self.weights).div_(1 - rate))
