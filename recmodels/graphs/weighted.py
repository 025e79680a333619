"""The training pairs as edges whose values have gradients.

Only the plain twins make anything of size edges x columns: a sum over edges is a sparse product, its gradient with
respect to the values one dense-dense product sampled at the edges.
"""

from typing import Any

import torch
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.ops import Pattern, fast, gather_and_add, shared_tensor


def _dot_forward(ctx: Any, edges: "UserItemEdges", users: Tensor, items: Tensor) -> Tensor:
    ctx.save_for_backward(users, items)
    ctx.edges = edges
    return edges.sampled(users, items)


def _dot_backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor]:
    users, items = ctx.saved_tensors
    return None, ctx.edges.rows(grad).times(items), ctx.edges.columns(grad).times(users)


def _sum_forward(ctx: Any, edges: "UserItemEdges", values: Tensor, dense: Tensor, to_items: bool) -> Tensor:
    ctx.save_for_backward(values, dense)
    ctx.edges, ctx.to_items = edges, to_items
    return (edges.columns if to_items else edges.rows)(values).times(dense)


def _sum_backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor, None]:
    values, dense = ctx.saved_tensors
    edges, grad = ctx.edges, grad.contiguous()
    users, items = (dense, grad) if ctx.to_items else (grad, dense)
    back = (edges.rows if ctx.to_items else edges.columns)(values).times(grad)
    return None, edges.sampled(users, items), back, None


class UserItemEdges(Pattern):
    """The training pairs as entries of a (U, I) matrix. Edge values (E,) are by user, then by item.

    `users`, `items` (E,): the ends of each edge.
    """

    users: Tensor
    items: Tensor

    def __init__(self, data: RecDataset):
        super().__init__(data.train.indptr, data.train.items, data.n_items)
        self.register_buffer("users", shared_tensor(data.train.users), persistent=False)
        self.register_buffer("items", shared_tensor(data.train.items), persistent=False)

    def sampled(self, users: Tensor, items: Tensor) -> Tensor:
        """Return <users[u], items[i]> at every edge, (E,), without a gradient."""
        pattern = self.rows(users.new_zeros(len(self.items))).tensor(len(items))
        return torch.sparse.sampled_addmm(pattern, users, items.t(), beta=0.0).values()

    @fast(_dot_forward, _dot_backward)
    def dot(self, users: Tensor, items: Tensor) -> Tensor:
        """Return <users[u], items[i]> at every edge, (E,), from (U, D) and (I, D)."""
        return (users.index_select(0, self.users) * items.index_select(0, self.items)).sum(dim=1)

    def sum_to_users(self, values: Tensor, items: Tensor) -> Tensor:
        """Return for each user the sum of value * items[i] over its edges, (U, D), from (E,) and (I, D)."""
        return self._sum(values, items, False)

    def sum_to_items(self, values: Tensor, users: Tensor) -> Tensor:
        """Return for each item the sum of value * users[u] over its edges, (I, D), from (E,) and (U, D)."""
        return self._sum(values, users, True)

    @fast(_sum_forward, _sum_backward)
    def _sum(self, values: Tensor, dense: Tensor, to_items: bool) -> Tensor:
        if to_items:
            return gather_and_add(self.users, self.items, values, dense, len(self.column_indptr) - 1)
        return gather_and_add(self.items, self.users, values, dense, len(self.indptr) - 1)

    def softmax_by_user(self, logits: Tensor) -> Tensor:
        """Return the softmax over the edges of each user, (E,); logits of moderate size, as nothing is subtracted."""
        weights = logits.exp()
        return weights / self.totals_by_user(weights).index_select(0, self.users)

    def softmax_by_item(self, logits: Tensor) -> Tensor:
        """Return the softmax over the edges of each item, (E,), as `softmax_by_user`."""
        weights = logits.exp()
        return weights / self.totals_by_item(weights).index_select(0, self.items)

    def totals_by_user(self, values: Tensor) -> Tensor:
        """Return the sum of the values (E,) over the edges of each user, (U,)."""
        return values.new_zeros(len(self.indptr) - 1).index_add(0, self.users, values)

    def totals_by_item(self, values: Tensor) -> Tensor:
        """Return the sum of the values (E,) over the edges of each item, (I,)."""
        return values.new_zeros(len(self.column_indptr) - 1).index_add(0, self.items, values)
