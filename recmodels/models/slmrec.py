"""SLMRec: Tao, Liu, Xia, Wang, Yang, Huang, Chua, Self-supervised Learning for Multimedia Recommendation,
IEEE Transactions on Multimedia, 2022."""

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.data.derived import derived
from recmodels.graphs import UserItemGraph
from recmodels.losses import in_batch_softmax
from recmodels.models.base import Recommender
from recmodels.models.parts.item_features import ItemFeatures
from recmodels.models.parts.modalities import modalities
from recmodels.models.parts.tables import id_embeddings
from recmodels.ops import Dropout, shared_tensor, unit_rows

COLUMNS = 256
"""Feature columns propagated at a time."""
Task = Literal["fac", "fd", "fm", "fd+fm"]


class SLMRec(Recommender):
    """Ids and modalities as streams over one graph, fused linearly and trained by a softmax over the batch's items.

    `ssl_task` is the self-supervised loss: "fac" aligns the ids with each modality, coarse to fine (the only task that
    runs in the benchmark). "fd" contrasts two views of an item whose modality streams are dropped out at the rate
    `ssl_dropout`, "fm" two views that each lack one modality, drawn for the batch; these two are our reading of the
    paper. The benchmark trains with weight decay 1e-4. The batch size is part of the loss.
    """

    needs_negatives = False

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        n_layers: int = 3,
        temp: float = 0.2,
        ssl_temp: float = 0.5,
        ssl_alpha: float = 0.05,
        ssl_task: Task = "fac",
        ssl_dropout: float = 0.3,
    ):
        super().__init__(data, ssl_task=ssl_task)
        names = modalities(data, "SLMRec")
        self.n_layers, self.temp, self.ssl_temp, self.ssl_alpha = n_layers, temp, ssl_temp, ssl_alpha
        self.tasks, self.dropout = ssl_task.split("+"), Dropout(ssl_dropout)
        self.user_emb, self.item_emb = id_embeddings(data, embedding_size)  # users shared by all streams
        self.graph = UserItemGraph.of(data)
        self.content = nn.ModuleDict(
            {name: FeatureStream(data, name, self.graph, embedding_size, n_layers) for name in names}
        )
        self.user_fusion = xavier_linear((1 + len(names)) * embedding_size, embedding_size)
        self.item_fusion = xavier_linear((1 + len(names)) * embedding_size, embedding_size)
        self.alignment = Alignment(len(names), embedding_size, ssl_temp) if "fac" in self.tasks else None

    def embed(self) -> tuple[Tensor, Tensor]:
        users, items = self._streams(None, None)
        return _fuse(self.user_fusion, users), _fuse(self.item_fusion, items)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        users, items = self._streams(batch[0], batch[1])
        user, item = unit_rows(_fuse(self.user_fusion, users)), unit_rows(_fuse(self.item_fusion, items))
        terms = {"main": in_batch_softmax(user, item, self.temp)}
        if self.alignment is not None:
            terms["fac"] = self.ssl_alpha * self.alignment(*items)
        if "fd" in self.tasks:
            terms["fd"] = self.ssl_alpha * self._contrast(self._dropped_out(items), self._dropped_out(items))
        if "fm" in self.tasks:
            lacking = torch.randperm(len(items) - 1)[:2].tolist()
            views = [[torch.zeros_like(x) if m == part else x for m, x in enumerate(items, -1)] for part in lacking]
            # With one modality only one view can lack it.
            terms["fm"] = self.ssl_alpha * self._contrast(views[0], views[1] if len(views) > 1 else items)
        return terms

    def _streams(self, users: Tensor | None, items: Tensor | None) -> tuple[list[Tensor], list[Tensor]]:
        """Return the given users and items (None: all) in the id stream and in each modality's, as means of the hops.

        A stream starts from the shared user embeddings and its own items. Hops are linear: what the users contribute is
        computed once, and fixed features were propagated beforehand.
        """
        shared_user, shared_item = map(_rows, self.graph.mean_from_users(self.user_emb, self.n_layers), (users, items))
        ids = [*map(_rows, self.graph.mean_from_items(self.item_emb, self.n_layers), (users, items))]
        own_users, own_items = zip(ids, *(stream(users, items) for stream in self.content.values()), strict=True)
        return [shared_user + own for own in own_users], [shared_item + own for own in own_items]

    def _dropped_out(self, items: list[Tensor]) -> list[Tensor]:
        return [items[0], *(self.dropout(stream) for stream in items[1:])]

    def _contrast(self, first: list[Tensor], second: list[Tensor]) -> Tensor:
        """Return the loss of each item's first view against the second views of the batch, ()."""
        one, other = (unit_rows(_fuse(self.item_fusion, streams)) for streams in (first, second))
        return in_batch_softmax(one, other, self.ssl_temp)


class FeatureStream(nn.Module):
    """A modality's projected unit features, propagated from zeros on the users' side.

    Propagation and projection commute: (W x + b) after the hops is W x' + b n', where x' are the hops of the features
    and n' the hops of ones, both fixed. Shifts by an adversary are projected first and then propagated.
    """

    def __init__(self, data: RecDataset, modality: str, graph: UserItemGraph, size: int, n_layers: int):
        super().__init__()
        self.features, self.graph, self.n_layers = ItemFeatures(data.features[modality]), graph, n_layers
        self.projection = xavier_linear(data.features[modality].shape[1], size)
        names = ("users", "items", "user_ones", "item_ones")
        for name, tensor in zip(names, propagated_features(data, modality, n_layers), strict=True):
            self.register_buffer(name, tensor, persistent=False)

    def forward(self, users: Tensor | None, items: Tensor | None) -> tuple[Tensor, Tensor]:
        user, item = (
            F.linear(_rows(self.get_buffer(f"{side}s"), rows), self.projection.weight)
            + _rows(self.get_buffer(f"{side}_ones"), rows) * self.projection.bias
            for side, rows in (("user", users), ("item", items))
        )
        change = self.features.unit_change()
        if change is None:
            return user, item
        moved, difference = change
        projected = F.linear(difference, self.projection.weight)
        start = projected.new_zeros(len(self.features.table), len(self.projection.weight))
        of_users, of_items = self.graph.mean_from_items(start.index_add(0, moved, projected), self.n_layers)
        return user + _rows(of_users, users), item + _rows(of_items, items)


class Alignment(nn.Module):
    """FAC: the ids against the first modality, then, through one map after the other, against the others.

    No activation and no normalisation; the last modality is compared in half the dimensions. M modalities have M - 2
    maps, each compared with a modality between the first and the last. Two modalities nevertheless have one map,
    compared with nothing: the benchmark's code keeps it although it dropped the third modality.
    """

    def __init__(self, n_modalities: int, size: int, temperature: float):
        super().__init__()
        n_between = n_modalities - 2
        self.temperature = temperature
        self.ids, self.first = xavier_linear(size, size), xavier_linear(size, size)
        if n_modalities > 1:
            self.maps = nn.ModuleList(xavier_linear(size, size) for _ in range(max(1, n_between)))
            self.between = nn.ModuleList(xavier_linear(size, size) for _ in range(n_between))
            self.narrow, self.last = xavier_linear(size, size // 2), xavier_linear(size, size // 2)

    def forward(self, ids: Tensor, first: Tensor, *others: Tensor) -> Tensor:
        refined = self.ids(ids)
        total = in_batch_softmax(refined, self.first(first), self.temperature)
        if others:
            for place, refine in enumerate(self.maps):
                refined = refine(refined)
                if place < len(self.between):
                    head = self.between[place](others[place])
                    total = total + in_batch_softmax(refined, head, self.temperature)
            total = total + in_batch_softmax(self.narrow(refined), self.last(others[-1]), self.temperature)
        return total


@derived(entries=4)
def propagated_features(data: RecDataset, modality: str, n_layers: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return the means of the hops of unit features, users (U, F) and items (I, F), and of ones, (U, 1) and (I, 1).

    On the CPU, never to be written to.
    """
    graph = UserItemGraph.of(data)
    features = unit_rows(shared_tensor(data.features[modality]))
    users, items = (torch.empty(n, features.shape[1]) for n in (data.n_users, data.n_items))
    with torch.no_grad():
        for columns in torch.arange(features.shape[1]).split(COLUMNS):
            block = features[:, columns].to(torch.get_default_dtype())
            users[:, columns], items[:, columns] = graph.mean_from_items(block, n_layers)
        return users, items, *graph.mean_from_items(torch.ones(data.n_items, 1), n_layers)


def xavier_linear(n_in: int, n_out: int) -> nn.Linear:
    """Return a linear map whose weight is drawn by Xavier's uniform rule."""
    linear = nn.Linear(n_in, n_out)
    nn.init.xavier_uniform_(linear.weight)
    return linear


def _rows(matrix: Tensor, index: Tensor | None) -> Tensor:
    return matrix if index is None else matrix.index_select(0, index)


def _fuse(fusion: nn.Linear, streams: list[Tensor]) -> Tensor:
    return fusion(torch.cat(streams, dim=1))
