"""Operations over the edges of a bipartite graph whose edge values have gradients.

Only the plain twins make anything of size edges x columns: a sum over edges is a sparse product, its gradient with
respect to the values one dense-dense product sampled at the edges.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor

from recmodels.ops.fast import FastOp, first_order
from recmodels.ops.sparse import Csr, Sparse, gather_and_add


class EdgePattern(NamedTuple):
    """The places of E edges in a (U, I) matrix and in its transpose. Edge values (E,) are by user, then by item.

    `users`, `items` (E,): the ends of each edge. `user_ptr` (U + 1,), `user_items` (E,): the compressed rows, int32;
    `item_ptr` (I + 1,), `item_users` (E,): those of the transpose. `item_major` (E,): the edges by item, then by user.
    """

    users: Tensor
    items: Tensor
    user_ptr: Tensor
    user_items: Tensor
    item_ptr: Tensor
    item_users: Tensor
    item_major: Tensor

    def by_user(self, values: Tensor) -> Csr:
        """Return the (U, I) matrix that holds `values` (E,)."""
        return Csr(self.user_ptr, self.user_items, values)

    def by_item(self, values: Tensor) -> Csr:
        """Return its transpose, (I, U)."""
        return Csr(self.item_ptr, self.item_users, values.index_select(0, self.item_major))

    def matrix(self, values: Tensor) -> Sparse:
        """Return the (U, I) matrix that holds the constant `values` (E,)."""
        return Sparse(self.by_user(values), self.by_item(values))

    def sampled(self, users: Tensor, items: Tensor) -> Tensor:
        """Return <users[u], items[i]> at every edge, (E,), without a gradient."""
        pattern = self.by_user(users.new_zeros(len(self.items))).tensor(len(items))
        return torch.sparse.sampled_addmm(pattern, users, items.t(), beta=0.0).values()

    def dot(self, users: Tensor, items: Tensor) -> Tensor:
        """Return <users[u], items[i]> at every edge, (E,), from (U, D) and (I, D)."""
        return DotAtEdges.run(self, users, items)

    def sum_to_users(self, values: Tensor, items: Tensor) -> Tensor:
        """Return for each user the sum of value * items[i] over its edges, (U, D), from (E,) and (I, D)."""
        return SumOverEdges.run(self, values, items, False)

    def sum_to_items(self, values: Tensor, users: Tensor) -> Tensor:
        """Return for each item the sum of value * users[u] over its edges, (I, D), from (E,) and (U, D)."""
        return SumOverEdges.run(self, values, users, True)

    def softmax_by_user(self, logits: Tensor) -> Tensor:
        """Return the softmax over the edges of each user, (E,); logits of moderate size, as nothing is subtracted."""
        return _normalised(logits.exp(), self.users, len(self.user_ptr) - 1)

    def softmax_by_item(self, logits: Tensor) -> Tensor:
        """Return the softmax over the edges of each item, (E,), as `softmax_by_user`."""
        return _normalised(logits.exp(), self.items, len(self.item_ptr) - 1)


class DotAtEdges(FastOp):
    @staticmethod
    def plain(pattern: EdgePattern, users: Tensor, items: Tensor) -> Tensor:
        return (users.index_select(0, pattern.users) * items.index_select(0, pattern.items)).sum(dim=1)

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
        if to_items:
            return gather_and_add(pattern.users, pattern.items, values, dense, len(pattern.item_ptr) - 1)
        return gather_and_add(pattern.items, pattern.users, values, dense, len(pattern.user_ptr) - 1)

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


def _normalised(weights: Tensor, nodes: Tensor, n_nodes: int) -> Tensor:
    """Divide each edge's weight by the total of its node, (E,)."""
    totals = weights.new_zeros(n_nodes).index_add(0, nodes, weights)
    return weights / totals.index_select(0, nodes)
