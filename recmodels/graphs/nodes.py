"""The nodes of a batch, where alone most losses read the last hop."""

from typing import NamedTuple

import torch
from torch import Tensor


class Nodes(NamedTuple):
    """Distinct users (n,) and items (m,) whose rows are wanted; None: all."""

    users: Tensor | None = None
    items: Tensor | None = None


ALL = Nodes()


def nodes_of(batch: Tensor) -> tuple[Nodes, Tensor]:
    """Return the nodes of a batch (2, B) or (3, B), and the batch with each id replaced by its place among them.

    On the CPU they ascend. On a GPU, which would have to be waited for, they come as in the batch and may repeat.
    """
    users, user_places = _distinct(batch[0])
    items, item_places = _distinct(batch[1:].flatten())
    return Nodes(users, items), torch.cat([user_places, item_places]).view_as(batch)


def _distinct(ids: Tensor) -> tuple[Tensor, Tensor]:
    if ids.is_cuda:
        return ids, torch.arange(len(ids), device=ids.device)
    # Several times as fast as torch's `unique`, which sorts.
    occurs = torch.bincount(ids) > 0
    return occurs.nonzero().squeeze(1), occurs.cumsum(0).sub_(1).index_select(0, ids)
