"""Parts that multimodal models share: how item features enter."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import UserItemGraph
from recmodels.models.base import xavier_normal
from recmodels.models.parts.item_features import ItemFeatures
from recmodels.ops.tensors import unit_rows


class FeatureTable(ItemFeatures):
    """A modality's item features, which may train like any embedding (`trained`), and their projection."""

    def __init__(self, data: RecDataset, modality: str, size: int, *, trained: bool):
        super().__init__(data.features[modality], trained=trained)
        self.projection = nn.Linear(self.table.shape[1], size)

    def forward(self, items: Tensor) -> Tensor:
        """The projected rows of `items` (n,), (n, size)."""
        projected: Tensor = self.projection(self.rows(items))
        return projected


class ModalityViews(nn.Module):
    """Each modality's users and items, side by side, after the sum of 0, 1 and 2 hops of their unit vectors.

    Users start from a preference of their own per modality, items from a perceptron of their features. DualGNN and
    DRAGON share it.
    """

    def __init__(self, data: RecDataset, names: list[str], size: int):
        super().__init__()
        self.preferences = nn.ParameterDict({name: xavier_normal(data.n_users, size) for name in names})
        self.perceptrons = nn.ModuleDict({name: Perceptron(data.features[name].shape[1], size) for name in names})
        self.features = nn.ModuleDict({name: ItemFeatures(data.features[name]) for name in names})
        self.graph = UserItemGraph.of(data)

    def forward(self) -> tuple[Tensor, Tensor]:
        """Users (U, M * size) and items (I, M * size), the modalities in the order of their names here."""
        users = [unit_rows(preference) for preference in self.preferences.values()]
        items = [unit_rows(make(self.features[name])) for name, make in self.perceptrons.items()]
        return self.graph.sum_of_hops(torch.cat(users, dim=1), torch.cat(items, dim=1), n_hops=2)

    def penalty(self, users: Tensor) -> Tensor:
        """The mean squares of the preferences of `users` (B,), summed over modalities."""
        squares = [preference.index_select(0, users).square().mean() for preference in self.preferences.values()]
        return torch.stack(squares).sum()


class Perceptron(nn.Sequential):
    def __init__(self, width: int, size: int):
        super().__init__(nn.Linear(width, 4 * size), nn.LeakyReLU(0.01), nn.Linear(4 * size, size))

    def forward(self, features: ItemFeatures) -> Tensor:
        """Of all items, (I, size)."""
        first, bend, last = self
        made: Tensor = last(bend(features.linear(first.get_parameter("weight"), first.get_parameter("bias"))))
        return made


def modality_weights(n: int, n_modalities: int) -> nn.Parameter:
    """A weight of each modality for each of `n` nodes, (n, M): a softmax of Xavier noise, free from then on."""
    return nn.Parameter(F.softmax(nn.init.xavier_normal_(torch.empty(n, n_modalities)), dim=1))
