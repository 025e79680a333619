"""Operations over the edges of a bipartite graph whose edge values have gradients.

Only the plain twins make anything of size edges x columns: a sum over edges is a sparse product, its gradient with
respect to the values one dense-dense product sampled at the edges.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from recmodels.ops.fast import FastOp, first_order
from recmodels.ops.sparse import Csr, gather_and_add


class EdgePattern(NamedTuple):
    """The places of E edges in a (U, I) matrix and in its transpose. Edge values (E,) are by user, then by item.

    `user_ptr` (U + 1,), `items` (E,): the compressed rows, int32; `item_ptr` (I + 1,), `users` (E,): of the transpose.
    `item_major` (E,): the edges by item and then by user. `edge_users`, `edge_items` (E,) int64: the ends of each edge.
    """

    user_ptr: Tensor
    items: Tensor
    item_ptr: Tensor
    users: Tensor
    item_major: Tensor
    edge_users: Tensor
    edge_items: Tensor

    def by_user(self, values: Tensor) -> Csr:
        """Return the (U, I) matrix that holds `values` (E,)."""
        return Csr(self.user_ptr, self.items, values)

    def by_item(self, values: Tensor) -> Csr:
        """Return its transpose, (I, U)."""
        return Csr(self.item_ptr, self.users, values.index_select(0, self.item_major))

    def sampled(self, users: Tensor, items: Tensor) -> Tensor:
        """Return <users[u], items[i]> at every edge, (E,), without a gradient."""
        pattern = self.by_user(users.new_zeros(len(self.items))).tensor(len(self.item_ptr) - 1)
        return torch.sparse.sampled_addmm(pattern, users, items.t(), beta=0.0).values()


def dot_at_edges(pattern: EdgePattern, users: Tensor, items: Tensor) -> Tensor:
    """Return <users[u], items[i]> at every edge, (E,), from (U, D) and (I, D)."""
    return DotAtEdges.run(pattern, users, items)


def sum_over_edges(pattern: EdgePattern, values: Tensor, dense: Tensor, *, to_items: bool = False) -> Tensor:
    """Return for each user the sum of value * dense[i] over its edges, (U, D), from values (E,) and `dense` (I, D).

    `to_items`: for each item the sum of value * dense[u], (I, D), from `dense` (U, D).
    """
    return SumOverEdges.run(pattern, values, dense, to_items)


class DotAtEdges(FastOp):
    @staticmethod
    def plain(pattern: EdgePattern, users: Tensor, items: Tensor) -> Tensor:
        return (users.index_select(0, pattern.edge_users) * items.index_select(0, pattern.edge_items)).sum(dim=1)

    @staticmethod
    def forward(ctx: Any, pattern: EdgePattern, users: Tensor, items: Tensor) -> Tensor:
        ctx.save_for_backward(users, items)
        ctx.pattern = pattern
        return pattern.sampled(users, items)

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor]:
        users, items = ctx.saved_tensors
        return None, ctx.pattern.by_user(grad).times(items), ctx.pattern.by_item(grad).times(users)


class SumOverEdges(FastOp):
    @staticmethod
    def plain(pattern: EdgePattern, values: Tensor, dense: Tensor, to_items: bool) -> Tensor:
        users, items = pattern.edge_users, pattern.edge_items
        sources, targets, ptr = (users, items, pattern.item_ptr) if to_items else (items, users, pattern.user_ptr)
        return gather_and_add(sources, targets, values, dense, len(ptr) - 1)

    @staticmethod
    def forward(ctx: Any, pattern: EdgePattern, values: Tensor, dense: Tensor, to_items: bool) -> Tensor:
        ctx.save_for_backward(values, dense)
        ctx.pattern, ctx.to_items = pattern, to_items
        return (pattern.by_item if to_items else pattern.by_user)(values).times(dense)

    @staticmethod
    @first_order
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor, Tensor, None]:
        values, dense = ctx.saved_tensors
        pattern, grad = ctx.pattern, grad.contiguous()
        users, items = (dense, grad) if ctx.to_items else (grad, dense)
        back = (pattern.by_user if ctx.to_items else pattern.by_item)(values).times(grad)
        return None, pattern.sampled(users, items), back, None
