"""DualGNN: Wang, Wei, Yin, Wu, Song, Nie, DualGNN: Dual Graph Neural Network for Multimedia Recommendation,
IEEE Transactions on Multimedia 25, 2023."""

import math
from abc import abstractmethod

from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.graphs import ALL, Nodes, UserGraph, nodes_of
from recmodels.losses import bpr, margins
from recmodels.models.base import Recommender, Variant
from recmodels.models.parts.content import ModalityViews, modality_weights
from recmodels.models.parts.modalities import modalities
from recmodels.models.parts.tables import ItemTable, UserTable
from recmodels.ops import select_rows


class ViewsRecommender(Recommender):
    """Base class of DualGNN and DRAGON: views, a user graph that is redrawn before each epoch, and the loss.

    The ranking loss has a base-2 logarithm, as in the benchmark; parameters that a subclass adds are penalised too.
    """

    views: ModalityViews
    user_graph: UserGraph
    reg_weight: float

    def new_epoch(self) -> None:
        self.user_graph.redraw()

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        own = (weights.square().mean() for weights in self.parameters(recurse=False))
        penalty = sum(own, start=self.views.penalty(batch[0]))
        nodes, places = self.nodes_of(batch)
        return {"bpr": bpr(margins(*self.embed_at(nodes), places)) / math.log(2), "reg": self.reg_weight * penalty}

    @abstractmethod
    def nodes_of(self, batch: Tensor) -> tuple[Nodes, Tensor]:
        """Return the nodes at which the last hops are worth making alone, and the batch as their places."""

    def embed(self) -> tuple[Tensor, Tensor]:
        return self.embed_at(ALL)

    @abstractmethod
    def embed_at(self, nodes: Nodes) -> tuple[Tensor, Tensor]:
        """Return final users (n, D) and items (m, D) at the nodes."""


class DualGNN(ViewsRecommender):
    """The sum of the modalities' views; users weigh their views and then add those of users with the same items.

    In the benchmark a user's first weight multiplies the sum of the views instead of the first view (images come
    first); `variant="paper"` weighs each view by its own. Items' weights are penalised but not used. The ranking loss
    has a base-2 logarithm. With one modality there are no weights, which would do nothing but shrink.
    """

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        user_graph_k: int = 40,
        reg_weight: float = 1e-2,
        variant: Variant = "benchmark",
    ):
        super().__init__(data, variant=variant)
        names = modalities(data, "DualGNN")
        self.n_modalities, self.reg_weight, self.paper = len(names), reg_weight, variant == "paper"
        self.views = ModalityViews(data, names, embedding_size)
        if self.n_modalities > 1:
            self.user_weights = UserTable(modality_weights(data.n_users, self.n_modalities))
            self.item_weights = ItemTable(modality_weights(data.n_items, self.n_modalities))
        self.user_graph = UserGraph(data, user_graph_k)

    def nodes_of(self, batch: Tensor) -> tuple[Nodes, Tensor]:
        return nodes_of(batch, self.user_graph.indptr, self.views.graph.block.matrix.columns.indptr)

    def embed_at(self, nodes: Nodes) -> tuple[Tensor, Tensor]:
        views = self.views(nodes._replace(users=None))  # a user's partners may be any users
        users, items = (view.view(len(view), self.n_modalities, -1) for view in views)
        if self.n_modalities == 1:
            fused = users.squeeze(1)
        else:
            fused = (users * self.user_weights.unsqueeze(2)).sum(1)
            if not self.paper:
                fused = fused + self.user_weights[:, :1] * users[:, 1:].sum(1)
        return select_rows(fused, nodes.users) + self.user_graph(fused, nodes.users), items.sum(1)
