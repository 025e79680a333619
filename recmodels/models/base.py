"""What every model is: a loss of a batch and two matrices whose inner products rank."""

from abc import ABC, abstractmethod

import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.errors import DataError


class Recommender(nn.Module, ABC):
    """Constructor: `Model(data, *, hyper-parameters)`. Its keywords are the model's hyper-parameters."""

    @abstractmethod
    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        """Named scalar terms for a batch (3, B) of users, positives and negatives; training sums them."""

    @abstractmethod
    def embed(self) -> tuple[Tensor, Tensor]:
        """Final users (U, D) and items (I, D) at the current weights; their inner product is the score."""

    def new_epoch(self) -> None:
        """Called before each epoch; a model that re-draws structure per epoch does it here."""


def xavier_uniform(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(*shape)))


def xavier_normal(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(*shape)))


def modalities(data: RecDataset, model: str, *, first: str) -> list[str]:
    """The data set's modalities, `first` in front and the rest by name. DataError if it has none."""
    if not data.features:
        raise DataError(f"{data.name}: {model} needs item features, but the data set has none (expected *_feat.npy)")
    return sorted(data.features, key=lambda name: (name != first, name))
