"""The contract of a model: a loss of a batch, and two matrices whose inner products are the scores."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from itertools import chain
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.models.parts.tables import IdTable, Rows
from recmodels.signatures import check_values

Variant = Literal["benchmark", "paper"]
"""The form of a model that the field's reference code computes (the published tables come from it), or the paper's."""


Scorer = Callable[[Tensor], Tensor]
"""Users (n,) -> the scores of all items for them, a new matrix (I, n)."""


def inner_products(users: Tensor, items: Tensor) -> Scorer:
    """Return the scorer of final users (U, D) and items (I, D)."""
    return lambda chosen: items @ users.index_select(0, chosen).t()  # (I, n): twice as fast as (n, I)


class Recommender(nn.Module, ABC):
    """The base class of all models. A subclass is made as `Model(data, *, hyper-parameters)`.

    Its keywords are the hyper-parameters that a search knows. Tables with a row per user or item are declared as
    `UserTable`, `ItemTable` or `NodeTable`. `recmodels.testing.check_model` checks the whole contract.
    """

    trains: ClassVar[bool] = True
    """False for a model without trained parameters, which is evaluated once."""
    needs_negatives: ClassVar[bool] = True
    """False for a model whose batches are (2, B), without a row of negatives."""
    reads_features: ClassVar[bool] = True
    """True for a model whose loss reads item features, as `ItemFeatures`; one that only makes an `ItemGraph` of them
    has False."""

    def __init__(self, data: RecDataset, **chosen: Any) -> None:
        """Keep the sizes. ValueError if one of the hyper-parameters `chosen` does not fit its type hint."""
        super().__init__()
        check_values(type(self), chosen)
        self.n_users, self.n_items = data.n_users, data.n_items

    @property
    def device(self) -> torch.device:
        """The device that the model is on."""
        return next(chain(self.parameters(), self.buffers()), torch.empty(0)).device

    @abstractmethod
    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        """Return named scalar terms, whose sum is trained, for a batch (3, B) of users, positives and negatives.

        A penalty of the weights is called "reg": adversarial training leaves that term out.
        """

    def later_loss(self, batch: Tensor) -> dict[str, Tensor]:
        """Return the terms of a batch of training that is not its epoch's first, whichever pass over it this is.

        `loss`, unless a model learns some of its weights in first batches alone.
        """
        return self.loss(batch)

    @abstractmethod
    def embed(self) -> tuple[Tensor, Tensor]:
        """Return final users (U, D) and items (I, D) at the current weights; inner products are the scores."""

    def scorer(self) -> Scorer:
        """Return what scores items at the current weights, without a gradient; a model that scores in another way than
        by inner products of small matrices overrides it."""
        with torch.no_grad():
            return inner_products(*self.embed())

    def new_epoch(self) -> None:
        """Prepare an epoch; a model that draws part of its structure in each epoch does it here."""

    def rate_factors(self) -> dict[nn.Parameter, float]:
        """Return the parameters that learn at a multiple of the learning rate, and the multiple."""
        return {}

    def id_tables(self) -> dict[str, Rows]:
        """Return the trained parameters with a row per id: name -> "users", "items" or "nodes" (users, then items)."""
        return {
            name: table.rows
            for name, table in self.named_parameters()
            if isinstance(table, IdTable) and table.requires_grad
        }

    def biases(self) -> set[str]:
        """Return the names of the parameters that are added and multiply nothing: those of one dimension, and those
        whose name ends in "bias", such as a table with a bias for each item. A model with others adds them here."""
        return {name for name, each in self.named_parameters() if each.dim() < 2 or name.endswith("bias")}
