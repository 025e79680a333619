"""MMGCN: Wei, Wang, Nie, He, Hong, Chua, MMGCN: Multi-modal Graph Convolution Network for Personalized Recommendation
of Micro-video, ACM MM 2019."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import MeanGraph
from recmodels.losses import bpr, id_penalty, margins
from recmodels.models.base import Recommender, Variant
from recmodels.models.parts.item_features import ItemFeatures
from recmodels.models.parts.modalities import VISUAL, modalities
from recmodels.models.parts.tables import NodeTable, UserTable, xavier_normal
from recmodels.ops import distinct_ids, unit_rows


class MMGCN(Recommender):
    """The mean of three graph convolutions for each modality, which share ids that join at every layer.

    In the benchmark the ids and the users' preferences are random and never train: `reg_weight`, which penalises them,
    changes the printed loss alone. `variant="paper"` trains them and ranks by the sum over the modalities. Images
    are projected to `latent_size` columns, other features enter as they are.
    """

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        latent_size: int = 256,
        reg_weight: float = 0.0,
        variant: Variant = "benchmark",
    ):
        super().__init__(data, variant=variant)
        names, paper = modalities(data, "MMGCN"), variant == "paper"
        self.sizes, self.reg_weight = [data.n_users, data.n_items], reg_weight
        self.branch_weight = 1.0 if paper else 1 / len(names)
        self.ids = NodeTable(xavier_normal(sum(self.sizes), embedding_size), requires_grad=paper)  # (U + I, D)
        graph, sizes = MeanGraph(data), (latent_size, embedding_size)
        self.branches = nn.ModuleDict({name: Branch(data, name, graph, sizes, trained=paper) for name in names})

    def embed(self) -> tuple[Tensor, Tensor]:
        return self._represent(None, None)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        # The last layer is needed at the batch's nodes alone.
        users, user_place = distinct_ids(batch[0])
        items, item_place = distinct_ids(batch[1:])
        margin = margins(*self._represent(users, items), torch.stack([user_place, *item_place]))
        terms = {"bpr": bpr(margin)}
        if self.reg_weight:
            penalty = id_penalty(self.ids, self.sizes[0], batch)
            if VISUAL in self.branches:
                penalty = penalty + self.branches[VISUAL].get_parameter("preference").square().mean()
            terms["reg"] = self.reg_weight * penalty
        return terms

    def _represent(self, users: Tensor | None, items: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the given users (n, D) and items (m, D); None: all."""
        views = [branch(self.ids.split(self.sizes), users, items) for branch in self.branches.values()]
        of_users, of_items = (torch.stack(side).sum(0) * self.branch_weight for side in zip(*views, strict=True))
        return of_users, of_items


class Branch(nn.Module):
    """The convolutions of one modality.

    Inputs that do not train (the users' preferences in the benchmark, features that are not projected, and either
    after one hop) are computed once, except while an adversary shifts the features.
    """

    unit_users: Tensor | None
    unit_items: Tensor | None
    around_users: Tensor | None
    around_items: Tensor | None

    def __init__(self, data: RecDataset, name: str, graph: MeanGraph, sizes: tuple[int, int], *, trained: bool):
        super().__init__()
        latent_size, size = sizes
        self.features = ItemFeatures(data.features[name])
        n_columns = data.features[name].shape[1]
        width = latent_size if name == VISUAL else n_columns
        self.projection = nn.Linear(n_columns, width) if name == VISUAL else None
        self.preference = UserTable(xavier_normal(data.n_users, width), requires_grad=trained)
        self.first, self.second, self.last = Layer(width, size), Layer(size, size), Layer(size, size)
        nn.init.xavier_normal_(self.first.fuse.weight)
        self.graph = graph
        for name in ("unit_users", "unit_items", "around_users", "around_items"):
            self.register_buffer(name, None, persistent=False)
        if self.projection is None:
            self.unit_items = unit_rows(self.features.table)
            self.around_users = graph.to_users(self.unit_items)
        self._prepare_users()

    def forward(self, ids: Sequence[Tensor], users: Tensor | None, items: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the given rows (None: all) of users (U, D) and items (I, D) at the last layer."""
        user_ids, item_ids = ids
        user = unit_rows(self.preference) if self.unit_users is None else self.unit_users
        item = self._unit_features()
        # M (x C) = (M x) C: the map comes first unless M x is at hand.
        weight = self.first.convolve
        fixed = self.around_users if self.features.shift is None else None
        to_user = self.graph.to_users(item @ weight) if fixed is None else fixed @ weight
        to_item = self.graph.to_items(user @ weight) if self.around_items is None else self.around_items @ weight
        user, item = self.first(to_user, user, user_ids), self.first(to_item, item, item_ids)
        to_user, to_item = (around @ self.second.convolve for around in self.graph(user, item))
        user, item = self.second(to_user, user, user_ids), self.second(to_item, item, item_ids)
        around_user, around_item = self.graph(user, item)
        return self._last(around_user, user, user_ids, users), self._last(around_item, item, item_ids, items)

    def _unit_features(self) -> Tensor:
        if self.projection is not None:
            return unit_rows(self.features.linear(self.projection.weight, self.projection.bias))
        assert self.unit_items is not None
        change = self.features.unit_change()
        return self.unit_items if change is None else self.unit_items.index_add(0, *change)

    def _last(self, around: Tensor, own: Tensor, ids: Tensor, rows: Tensor | None) -> Tensor:
        if rows is not None:
            around, own, ids = (nodes.index_select(0, rows) for nodes in (around, own, ids))
        return self.last(around @ self.last.convolve, own, ids)

    @torch.no_grad()
    def _prepare_users(self) -> None:
        if not self.preference.requires_grad:
            self.unit_users = unit_rows(self.preference)
            self.around_items = self.graph.to_items(self.unit_users)

    def _load_from_state_dict(self, *parts: Any) -> None:
        before = self.preference.detach().clone()
        super()._load_from_state_dict(*parts)
        # Not for the same preferences: computed again, on a GPU, the same sums would differ in their last digits.
        if not torch.equal(before, self.preference):
            self._prepare_users()


class Layer(nn.Module):
    """A layer: neighbours through one map, the node through another with its id added, and both fused (eq. 3 to 7)."""

    def __init__(self, width: int, size: int):
        super().__init__()
        self.convolve = nn.Parameter(xavier_normal(width, width))
        self.own = nn.Linear(width, size)
        nn.init.xavier_normal_(self.own.weight)
        self.fuse = nn.Linear(width + size, size)

    def forward(self, convolved: Tensor, own: Tensor, ids: Tensor) -> Tensor:
        """Return (n, D) from the neighbours after `convolve` (n, C), the nodes (n, C) and their ids (n, D)."""
        of_neighbours, of_own = self.fuse.weight.split([len(self.convolve), ids.shape[1]], dim=1)
        own = F.leaky_relu(self.own(own), 0.01) + ids
        fused = F.linear(F.leaky_relu(convolved, 0.01), of_neighbours) + F.linear(own, of_own, self.fuse.bias)
        return F.leaky_relu(fused, 0.01)
