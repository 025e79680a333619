"""DRAGON: Zhou, Zhou, Zhang, Shen, Enhancing Dyadic Relations with Homogeneous Graphs for Multimodal Recommendation,
ECAI 2023, arXiv 2301.12097."""

from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.graphs import ALL, Nodes, UserGraph, item_graph, nodes_of, smoothed
from recmodels.models.dualgnn import ViewsRecommender
from recmodels.models.parts.content import ModalityViews, modality_weights
from recmodels.models.parts.modalities import image_weighted, modalities
from recmodels.models.parts.tables import UserTable
from recmodels.ops import select_rows


class DRAGON(ViewsRecommender):
    """Each modality's view of users and items, side by side, smoothed over a user graph and an item graph.

    `embedding_size` is the width per modality. The ranking loss has a base-2 logarithm, as in the benchmark. With one
    modality users have no weights of modalities, which would do nothing but shrink.
    """

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        n_mm_layers: int = 1,
        knn_k: int = 10,
        mm_image_weight: float = 0.1,
        user_graph_k: int = 40,
        reg_weight: float = 1e-3,
    ):
        super().__init__(data)
        names = modalities(data, "DRAGON")
        self.n_mm_layers, self.reg_weight = n_mm_layers, reg_weight
        self.views = ModalityViews(data, names, embedding_size)
        self.user_weights = UserTable(modality_weights(data.n_users, len(names))) if len(names) > 1 else None
        self.item_graph = item_graph(data, image_weighted(names, mm_image_weight), knn_k)
        self.user_graph = UserGraph(data, user_graph_k)

    def nodes_of(self, batch: Tensor) -> tuple[Nodes, Tensor]:
        return nodes_of(batch, self.user_graph.indptr, self.item_graph.indptr)

    def embed_at(self, nodes: Nodes) -> tuple[Tensor, Tensor]:
        users, items = self.views(ALL)
        if self.user_weights is not None:
            shape = (len(users), self.user_weights.shape[1], -1)
            users = (users.view(shape) * self.user_weights.unsqueeze(2)).flatten(1)
        user = select_rows(users, nodes.users) + self.user_graph(users, nodes.users)
        item = select_rows(items, nodes.items) + smoothed(self.item_graph, items, self.n_mm_layers, nodes.items)
        return user, item
