"""Models whose users and items are ids plus a side representation that is fused of views: MGCN and SMORE."""

from abc import abstractmethod

from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import ALL, Nodes, UserItemGraph
from recmodels.losses import bpr, counted_softmax, half_squares
from recmodels.models.base import Recommender
from recmodels.models.parts.content import FeatureTable
from recmodels.models.parts.tables import id_embeddings
from recmodels.ops import distinct_ids, select_rows, unit_rows
from recmodels.signatures import CountFromOne

TEMPERATURE = 0.2
"""Of the contrast."""


class SidedRecommender(Recommender):
    """The base class: ids over a user-item graph, plus a side representation that is fused of views, row by row.

    The side representation of a batch's users and positive items also has to find their ids among the batch's. The
    benchmark divides its penalty by twice `reg_batch_size`, the configured size of a batch, in each epoch's last and
    smaller batch too.
    """

    def __init__(
        self,
        data: RecDataset,
        names: list[str],
        *,
        embedding_size: int,
        n_ui_layers: int,
        cl_weight: float,
        reg_weight: float,
        reg_batch_size: CountFromOne,
    ):
        """Draw the ids, and for each modality of `names` a trained table of its features."""
        super().__init__(data, reg_batch_size=reg_batch_size)
        self.n_ui_layers = n_ui_layers
        self.cl_weight, self.reg_weight, self.reg_batch_size = cl_weight, reg_weight, reg_batch_size
        self.user_emb, self.item_emb = id_embeddings(data, embedding_size)
        self.content = nn.ModuleDict({name: FeatureTable(data, name, embedding_size, trained=True) for name in names})
        self.graph = UserItemGraph.of(data)

    @abstractmethod
    def views(self, nodes: Nodes) -> tuple[Tensor, Tensor]:
        """Return the views of the nodes side by side, users (n, M * D) and items (m, M * D)."""

    @abstractmethod
    def side(self, ids: Tensor, views: Tensor) -> Tensor:
        """Fuse views (n, M * D) of rows whose propagated ids are (n, D); return (n, D)."""

    def embed(self) -> tuple[Tensor, Tensor]:
        users, items = (ids + self.side(ids, views) for ids, views in self._parts(ALL))
        return users, items

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        nodes, places = self.graph.nodes_of(batch)
        users, items = distinct_ids(places[0]), distinct_ids(places[1:])
        rows = zip((users.values, items.values), self._parts(nodes), strict=True)
        (user_ids, user_views), (item_ids, item_views) = [
            (ids.index_select(0, at), views.index_select(0, at)) for at, (ids, views) in rows
        ]
        user_side, item_side = self.side(user_ids, user_views), self.side(item_ids, item_views)
        user = (user_ids + user_side).index_select(0, users.place)
        positive, negative = (item_ids + item_side).index_select(0, items.place.flatten()).chunk(2)
        positives = distinct_ids(items.place[0])
        contrast = counted_softmax(unit_rows(user_side), unit_rows(user_ids), users.counts(), TEMPERATURE)
        contrast = contrast + counted_softmax(
            unit_rows(item_side.index_select(0, positives.values)),
            unit_rows(item_ids.index_select(0, positives.values)),
            positives.counts(),
            TEMPERATURE,
        )
        penalty = half_squares(user, positive, negative) / self.reg_batch_size
        return {
            "bpr": bpr((user * (positive - negative)).sum(-1)),
            "contrast": self.cl_weight * contrast,
            "reg": self.reg_weight * penalty,
        }

    def _parts(self, nodes: Nodes) -> list[tuple[Tensor, Tensor]]:
        """Return (propagated ids, views) of the users and of the items at the nodes."""
        ids = self.graph.mean_of_hops(self.user_emb, self.item_emb, self.n_ui_layers, nodes)
        return list(zip(ids, self.views(nodes), strict=True))

    def around(self, items: Tensor, nodes: Nodes) -> tuple[Tensor, Tensor]:
        """Return views of users and items at the nodes from those of all items (I, C): a user has its items' views,
        each over the roots of both degrees."""
        return self.graph.block(items, nodes.users), select_rows(items, nodes.items)
