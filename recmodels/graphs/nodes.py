"""The nodes of a batch, where alone most losses read the last hop."""

from typing import NamedTuple

import torch
from torch import Tensor

from recmodels.ops import distinct_ids

SHARE = 0.5
"""Rows that hold a smaller share of a matrix's entries are cut out of it, which costs about a third of a product."""


class Nodes(NamedTuple):
    """Distinct users (n,) and items (m,) in ascending order whose rows are wanted; None: all."""

    users: Tensor | None = None
    items: Tensor | None = None


ALL = Nodes()


def nodes_of(batch: Tensor, to_users: Tensor, to_items: Tensor) -> tuple[Nodes, Tensor]:
    """Return the nodes of a batch (2, B) or (3, B), and the batch with each id replaced by its place among them.

    `to_users` (U + 1,), `to_items` (I + 1,): starts of the compressed rows of the matrices of the last hop. On a side
    where the batch's nodes have `SHARE` of the entries or more, and on a GPU, which would have to be waited for, that
    is all nodes and the batch's own ids.
    """
    users, user_places = _few(batch[0], to_users)
    items, item_places = _few(batch[1:].flatten(), to_items)
    return Nodes(users, items), torch.cat([user_places, item_places]).view_as(batch)


def _few(ids: Tensor, indptr: Tensor) -> tuple[Tensor | None, Tensor]:
    if ids.is_cuda:
        return None, ids
    nodes, places = distinct_ids(ids)
    starts = indptr.numpy()
    if (starts[nodes + 1] - starts[nodes]).sum() >= SHARE * starts[-1]:
        return None, ids
    return nodes, places
