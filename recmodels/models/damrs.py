"""DA-MRS: Xv, Li, Xie, Lin, Liu, Xia, Kang, Lin, Improving Multi-modal Recommender Systems by Denoising and Aligning
Multi-modal Content and User Feedback, KDD 2024, arXiv 2406.12501."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import ALL, Nodes, UserItemGraph, behaviour_graph, consistent_graph, smoothed
from recmodels.models.base import Recommender
from recmodels.models.parts.modalities import modalities
from recmodels.models.parts.tables import id_embeddings
from recmodels.ops import Distinct, distinct_ids, neighbour_losses, unit_rows
from recmodels.signatures import Count, CountFromOne, NotNegative

N_NEIGHBOURS = 10
"""Neighbours of an item that it has to tell from the others; half of all items where there are fewer than 20."""
BEHAVIOUR = "(behaviour)"
"""The view of the items over the graph of users in common, beside one of each modality."""


class DAMRS(Recommender):
    """LightGCN, plus items smoothed over graphs that are cleaned of pairs on which the modalities disagree.

    Item graphs have pairs that are consistent in all modalities, and pairs with users in common; each is a view of the
    items. A triple counts the more, the surer and the more unanimous the views are of its positive, and turns round
    where they prefer the negative. Items have to tell their neighbours in the views from all others, and users' scores
    by the mean view have to agree with those by the propagated ids. Features make two graphs and nothing else. The
    reference computes the agreement with logarithms that overflow; here it is the same number as a product. As there,
    numbers of users in common do not weigh the graph.
    """

    reads_features = False

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        n_ui_layers: int = 2,
        n_mm_layers: int = 1,
        knn_k: CountFromOne = 10,
        neighbor_weight: NotNegative = 1e-3,
        kl_weight: NotNegative = 1.0,
        behaviour_k: Count = 2,
        behaviour_min: CountFromOne = 2,
    ):
        super().__init__(
            data,
            knn_k=knn_k,
            neighbor_weight=neighbor_weight,
            kl_weight=kl_weight,
            behaviour_k=behaviour_k,
            behaviour_min=behaviour_min,
        )
        names = modalities(data, "DAMRS")
        self.n_ui_layers, self.n_mm_layers = n_ui_layers, n_mm_layers
        self.neighbor_weight, self.kl_weight = neighbor_weight, kl_weight
        self.n_neighbours = min(N_NEIGHBOURS, data.n_items // 2)
        self.user_emb, self.item_emb = id_embeddings(data, embedding_size)
        self.item_graphs = nn.ModuleDict({name: consistent_graph(data, name, knn_k) for name in names})
        self.item_graphs[BEHAVIOUR] = behaviour_graph(data, behaviour_k, behaviour_min)
        self.graph = UserItemGraph.of(data)

    def embed(self) -> tuple[Tensor, Tensor]:
        users, items = self._ids(ALL)
        return users, items + torch.stack(self.views()).mean(0)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        nodes, places = self.graph.nodes_of(batch)
        of_users, of_items = self._ids(nodes)
        users, items = distinct_ids(places[0]), distinct_ids(places[1:])
        chosen = items.values if nodes.items is None else nodes.items  # the same items by their own numbers
        views = self.views()
        units = [unit_rows(view) for view in views]
        user, item = of_users.index_select(0, users.values), of_items.index_select(0, items.values)
        near = torch.stack([view.index_select(0, chosen) for view in views]).mean(0)
        terms = {
            "bpr": self._ranking(user, item + near, [unit.index_select(0, chosen) for unit in units], users, items)
        }
        if self.neighbor_weight:
            losses = neighbour_losses(chosen, _shares(items, user), self.n_neighbours, *units)
            terms["neighbours"] = self.neighbor_weight * losses.mean()
        if self.kl_weight:
            one, other = user @ unit_rows(item).t(), user @ unit_rows(near).t()
            # KL(p || q) + KL(q || p) of Bernoulli distributions, from their logits.
            differences = (torch.sigmoid(one) - torch.sigmoid(other)) * (one - other)
            mean = _shares(users, user).unsqueeze(0) @ differences @ _shares(items, user).unsqueeze(1)  # (1, 1)
            terms["alignment"] = self.kl_weight * mean.squeeze()
        return terms

    def views(self) -> list[Tensor]:
        """Return the items (I, D) smoothed over each of the item graphs."""
        return [smoothed(graph, self.item_emb, self.n_mm_layers) for graph in self.item_graphs.values()]

    def _ids(self, nodes: Nodes) -> tuple[Tensor, Tensor]:
        return self.graph.mean_of_hops(self.user_emb, self.item_emb, self.n_ui_layers, nodes)

    def _ranking(self, user: Tensor, item: Tensor, units: list[Tensor], users: Distinct, items: Distinct) -> Tensor:
        """Return the weighted ranking loss of triples from distinct users (n, D), items (m, D) and unit views."""
        who = user.index_select(0, users.place)
        positive, negative = (item.index_select(0, place) for place in items.place)
        margin = (who * (positive - negative)).sum(dim=1)
        forward, backward = _weights(who.detach(), [unit.detach() for unit in units], items)
        return (forward * F.softplus(-margin) + backward * F.softplus(margin)).mean()


def _weights(who: Tensor, units: list[Tensor], items: Distinct) -> tuple[Tensor, Tensor]:
    """Return how much each triple counts, (B,), and how much it counts turned round, (B,).

    From its user (B, D) and the unit views of distinct items, (m, D) each.
    """
    liked, unliked = (
        torch.stack([torch.sigmoid((who * unit.index_select(0, place)).sum(dim=1)) for unit in units])
        for place in items.place
    )  # (M, B): how much each view is for the positive, and for the negative
    mean, usual = liked.mean(dim=0), unliked.mean()
    forward = (mean * torch.exp(-2 * liked.var(dim=0))).clamp(0, 1)
    return forward, (liked.amax(dim=0) - usual).clamp(0, 1) * (mean < usual)


def _shares(distinct: Distinct, like: Tensor) -> Tensor:
    """Return the weights of a mean over distinct ids, (n,)."""
    first = distinct.first().to(like)
    return first / first.sum()
