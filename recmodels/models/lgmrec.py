"""LGMRec: Guo, Li, Li, Wang, Shi, Ruan, Local and Global Graph Learning for Multimodal Recommendation, AAAI 2024, arXiv
2312.16400."""

from itertools import pairwise

import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import ALL, InteractionGraph, Nodes, UserItemGraph
from recmodels.losses import batch_norms, bpr
from recmodels.models.base import Recommender
from recmodels.models.parts.item_features import ItemFeatures
from recmodels.models.parts.modalities import modalities
from recmodels.models.parts.tables import id_embeddings, xavier_uniform
from recmodels.ops import Dropout, distinct_ids, select_rows, summed_cross_entropy, unit_rows
from recmodels.signatures import CountFromOne, NotNegative, PositiveShare

TEMPERATURE = 0.2
Sides = tuple[Tensor, Tensor]
"""Users (U, C) and items (I, C)."""


class Modality(nn.Module):
    """A modality's features, projected to the width of the ids and to a logit of each hyperedge."""

    def __init__(self, data: RecDataset, name: str, size: int, n_hyperedges: int):
        super().__init__()
        self.size, self.features = size, ItemFeatures(data.features[name])
        width = data.features[name].shape[1]
        self.projection = nn.Parameter(xavier_uniform(width, size))  # (F, D)
        self.hyperedges = nn.Parameter(xavier_uniform(width, n_hyperedges))  # (F, H)

    def forward(self) -> Sides:
        """Return the projected items (I, D) and their logits of the hyperedges (I, H)."""
        both = self.features.linear(torch.cat([self.projection, self.hyperedges], dim=1).t())
        return both[:, : self.size], both[:, self.size :]


class LGMRec(Recommender):
    """Ids and each modality over the user-item graph, plus hyperedges over all of it that each modality assigns softly.

    Users start a modality's propagation from the mean of their items, and only its last hop counts. A hyperedge
    collects the items' ids and hands them back to items and users, by a softmax with Gumbel noise and dropout; what the
    modalities' hyperedges hand to a user or an item of the batch is contrasted, over all users or items.
    As in the benchmark: the logits of a user are the sums of those of its items, the contrast is summed over the batch,
    and norms are penalised un-squared. Unlike there, nothing is drawn for a ranking: there its noise gives the same
    weights other scores in every call. With one modality there is no contrast, with more than two each is contrasted
    with the next.
    """

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        n_ui_layers: int = 2,
        n_mm_layers: int = 2,
        n_hyper_layers: CountFromOne = 1,
        hyper_num: CountFromOne = 4,
        keep_rate: PositiveShare = 0.5,
        hyper_weight: NotNegative = 0.3,
        cl_weight: float = 1e-4,
        reg_weight: float = 1e-6,
    ):
        super().__init__(
            data, n_hyper_layers=n_hyper_layers, hyper_num=hyper_num, keep_rate=keep_rate, hyper_weight=hyper_weight
        )
        self.n_ui_layers, self.n_mm_layers, self.n_hyper_layers = n_ui_layers, n_mm_layers, n_hyper_layers
        self.hyper_weight, self.cl_weight, self.reg_weight = hyper_weight, cl_weight, reg_weight
        self.user_emb, self.item_emb = id_embeddings(data, embedding_size)
        self.content = nn.ModuleDict(
            {name: Modality(data, name, embedding_size, hyper_num) for name in modalities(data, "LGMRec")}
        )
        self.dropout = Dropout(1 - keep_rate)
        self.graph, self.interactions = UserItemGraph.of(data), InteractionGraph(data)

    def embed(self) -> Sides:
        users, items, _ = self._propagate(ALL, drawing=False)
        return users, items

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        nodes, places = self.graph.nodes_of(batch)
        users, items, handed = self._propagate(nodes, drawing=True)
        user = users.index_select(0, places[0])
        positive, negative = items.index_select(0, places[1:].flatten()).chunk(2)
        terms = {
            "bpr": bpr((user * (positive - negative)).sum(-1)),
            "reg": self.reg_weight * batch_norms(user, positive, negative),
        }
        if len(handed) > 1:
            contrasts = [
                _contrast(one[side], other[side], batch[side]) for one, other in pairwise(handed) for side in (0, 1)
            ]
            terms["contrast"] = self.cl_weight * torch.stack(contrasts).sum()
        return terms

    def _propagate(self, nodes: Nodes, *, drawing: bool) -> tuple[Tensor, Tensor, list[Sides]]:
        """Return final users (n, D) and items (m, D) at the nodes, and what each modality's hyperedges hand to all.

        `drawing`: with noise and dropout.
        """
        of_user, of_item = self.graph.mean_of_hops(self.user_emb, self.item_emb, self.n_ui_layers)
        projected, logits = zip(*[content() for content in self.content.values()], strict=True)
        local = self._local(torch.cat(projected, dim=1), nodes)
        handed = [self._handed(of_item, each, drawing=drawing) for each in logits]
        shared = [torch.stack(side).sum(0) for side in zip(*handed, strict=True)]
        user, item = (
            select_rows(ids, at) + views + self.hyper_weight * unit_rows(select_rows(hyper, at))
            for ids, views, hyper, at in zip((of_user, of_item), local, shared, nodes, strict=True)
        )
        return user, item, handed

    def _local(self, items: Tensor, nodes: Nodes) -> list[Tensor]:
        """Return the modalities' unit vectors after the hops, summed, users (n, D) and items (m, D) at the nodes."""
        users = self.interactions.mean(items)
        for hop in range(self.n_mm_layers):
            users, items = self.graph(users, items, nodes if hop == self.n_mm_layers - 1 else ALL)
        if not self.n_mm_layers:
            users, items = select_rows(users, nodes.users), select_rows(items, nodes.items)
        views = [side.chunk(len(self.content), dim=1) for side in (users, items)]
        return [torch.stack([unit_rows(view) for view in side]).sum(0) for side in views]

    def _handed(self, ids: Tensor, logits: Tensor, *, drawing: bool) -> Sides:
        """Return what the hyperedges of a modality with logits (I, H) hand to users and items, from ids (I, D)."""
        of_items, of_users = (self._assigned(each, drawing=drawing) for each in (logits, self.interactions.sum(logits)))
        items = ids
        for _ in range(self.n_hyper_layers):
            edges = of_items.t() @ items  # (H, D)
            items = of_items @ edges
        return of_users @ edges, items

    def _assigned(self, logits: Tensor, *, drawing: bool) -> Tensor:
        """Return how far each row of logits (n, H) belongs to each hyperedge, (n, H)."""
        if not drawing:
            return torch.softmax(logits / TEMPERATURE, dim=1)
        shares: Tensor = self.dropout(torch.softmax(self._noisy(logits) / TEMPERATURE, dim=1))
        return shares

    def _noisy(self, logits: Tensor) -> Tensor:
        """Add standard Gumbel noise."""
        return logits - torch.empty_like(logits).exponential_().log()


def _contrast(queries: Tensor, keys: Tensor, rows: Tensor) -> Tensor:
    """Return the cross entropies of the rows (B,) of two matrices (n, D), each against all rows, summed."""
    distinct = distinct_ids(rows)
    chosen = unit_rows(queries.index_select(0, distinct.values)) / TEMPERATURE
    return summed_cross_entropy(chosen, unit_rows(keys), distinct.values, distinct.counts().to(keys), None)
