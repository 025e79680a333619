"""Modules that turn item features into embeddings, shared by several multimodal models."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import Nodes, UserItemGraph
from recmodels.models.parts.item_features import ItemFeatures
from recmodels.models.parts.tables import UserTable, xavier_normal
from recmodels.ops import unit_rows


class FeatureTable(ItemFeatures):
    """A modality's item features, which may train like any embedding (`trained`), and their projection."""

    def __init__(self, data: RecDataset, modality: str, size: int, *, trained: bool):
        super().__init__(data.features[modality], trained=trained)
        self.projection = nn.Linear(self.table.shape[1], size)

    def forward(self, items: Tensor | None = None) -> Tensor:
        """Return the projected rows of `items` (n,), (n, size); None: all rows, (I, size)."""
        if items is None:
            return self.linear(self.projection.weight, self.projection.bias)
        return self.projection(self.rows(items))


class ModalityViews(nn.Module):
    """Each modality's users and items, side by side: the sum of their unit vectors over 0, 1 and 2 hops.

    Users start from a preference for each modality, items from a perceptron of their features. DualGNN and DRAGON
    share it.
    """

    def __init__(self, data: RecDataset, names: list[str], size: int):
        super().__init__()
        self.preferences = nn.ParameterDict({name: UserTable(xavier_normal(data.n_users, size)) for name in names})
        self.perceptrons = nn.ModuleDict({name: Perceptron(data.features[name].shape[1], size) for name in names})
        self.features = nn.ModuleDict({name: ItemFeatures(data.features[name]) for name in names})
        self.graph = UserItemGraph.of(data)

    def forward(self, nodes: Nodes) -> tuple[Tensor, Tensor]:
        """Return users (n, M * size) and items (m, M * size), the modalities in the order of `names`."""
        users = [unit_rows(preference) for preference in self.preferences.values()]
        items = [unit_rows(make(self.features[name])) for name, make in self.perceptrons.items()]
        return self.graph.sum_of_hops(torch.cat(users, dim=1), torch.cat(items, dim=1), n_hops=2, nodes=nodes)

    def penalty(self, users: Tensor) -> Tensor:
        """Return the mean squares of the preferences of `users` (B,), summed over modalities, ()."""
        squares = [preference.index_select(0, users).square().mean() for preference in self.preferences.values()]
        return torch.stack(squares).sum()


class Perceptron(nn.Sequential):
    def __init__(self, width: int, size: int):
        super().__init__(nn.Linear(width, 4 * size), nn.LeakyReLU(0.01), nn.Linear(4 * size, size))

    def forward(self, features: ItemFeatures) -> Tensor:
        """Return the view of all items, (I, size)."""
        first, bend, last = self
        return last(bend(features.linear(first.get_parameter("weight"), first.get_parameter("bias"))))


def modality_weights(n: int, n_modalities: int) -> Tensor:
    """Draw a weight of each modality for each of `n` nodes, (n, M): a softmax of Xavier noise."""
    return F.softmax(xavier_normal(n, n_modalities), dim=1)
