"""Tables with a row per user, item or node, declared as such, and the initial values of weights."""

from collections.abc import Callable
from typing import Any, ClassVar, Literal, SupportsIndex

import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset

Rows = Literal["users", "items", "nodes"]
"""Owners of a table's rows; "nodes" are all users and then all items."""


class IdTable(nn.Parameter):
    """A parameter with a row for each user, item or node, as its subclass says.

    As a type, and not an attribute, the declaration outlasts `.to()`, deep copies and pickling.
    """

    rows: ClassVar[Rows]

    def __reduce_ex__(self, protocol: SupportsIndex) -> tuple[Any, ...]:
        return type(self), (self.detach(), self.requires_grad)  # a Parameter's own would make a plain Parameter


class UserTable(IdTable):
    rows = "users"


class ItemTable(IdTable):
    rows = "items"


class NodeTable(IdTable):
    rows = "nodes"


def xavier_uniform(*shape: int) -> Tensor:
    """Draw (n, m) by Xavier's uniform rule, from torch's generator."""
    return nn.init.xavier_uniform_(torch.empty(*shape))


def xavier_normal(*shape: int) -> Tensor:
    """Draw (n, m) by Xavier's normal rule, from torch's generator."""
    return nn.init.xavier_normal_(torch.empty(*shape))


def id_embeddings(
    data: RecDataset, size: int, draw: Callable[[int, int], Tensor] = xavier_uniform
) -> tuple[Tensor, Tensor]:
    """Draw a table of users (U, `size`) and one of items (I, `size`)."""
    return UserTable(draw(data.n_users, size)), ItemTable(draw(data.n_items, size))
