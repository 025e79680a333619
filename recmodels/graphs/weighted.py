"""The training pairs as edges whose weights have gradients.

Nothing of size edges x columns is ever made: a sum over edges is a sparse product, its gradient with respect to the
weights one dense-dense product sampled at the edges.
"""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recmodels.data.dataset import RecDataset
from recmodels.graphs.edges import edges_of
from recmodels.graphs.sparse import Csr, Sparse
from recmodels.ops.tensors import constant


class UserItemEdges(nn.Module):
    """Operations over edges that a weighted graph model needs. Edge values (E,) are by user, then by item.

    `edge_users`, `edge_items` (E,) int64 name the ends of each edge.
    """

    user_ptr: Tensor
    items: Tensor
    item_ptr: Tensor
    users: Tensor
    item_major: Tensor
    edge_users: Tensor
    edge_items: Tensor

    def __init__(self, data: RecDataset):
        super().__init__()
        self.n_users, self.n_items = data.n_users, data.n_items
        edges = edges_of(data)
        by_user, by_item = edges.matrix(np.ones(len(edges)))
        for name, tensor in {
            "user_ptr": by_user.indptr,
            "items": by_user.indices,
            "item_ptr": by_item.indptr,
            "users": by_item.indices,
            "item_major": torch.from_numpy(edges.item_major),
            "edge_users": constant(edges.users),
            "edge_items": constant(edges.items),
        }.items():
            self.register_buffer(name, tensor, persistent=False)

    def by_user(self, values: Tensor) -> Csr:
        """The (U, I) matrix that holds `values` (E,)."""
        return Csr(self.user_ptr, self.items, values)

    def by_item(self, values: Tensor) -> Csr:
        """Its transpose, (I, U)."""
        return Csr(self.item_ptr, self.users, values.index_select(0, self.item_major))

    def matrix(self, values: Tensor) -> Sparse:
        """The (U, I) matrix that holds the constant `values` (E,)."""
        return Sparse(self.by_user(values), self.by_item(values))

    def sampled(self, users: Tensor, items: Tensor) -> Tensor:
        """<users[u], items[i]> at every edge, (E,), without a gradient."""
        pattern = self.by_user(users.new_zeros(len(self.items))).tensor(self.n_items)
        return torch.sparse.sampled_addmm(pattern, users, items.t(), beta=0.0).values()

    def dot(self, users: Tensor, items: Tensor) -> Tensor:
        """<users[u], items[i]> at every edge, (E,), from (U, D) and (I, D)."""
        dots: Tensor = _EdgeDot.apply(users, items, self)
        return dots

    def sum_to_users(self, values: Tensor, items: Tensor) -> Tensor:
        """Row u is the sum over u's edges of value * items[i], (U, D)."""
        summed: Tensor = _SumToUsers.apply(values, items, self)
        return summed

    def sum_to_items(self, values: Tensor, users: Tensor) -> Tensor:
        """Row i is the sum over i's edges of value * users[u], (I, D)."""
        summed: Tensor = _SumToItems.apply(values, users, self)
        return summed

    def softmax_by_user(self, logits: Tensor) -> Tensor:
        """Softmax over the edges of each user. Logits must be of moderate size (cosines): nothing is subtracted."""
        return _share(logits.exp(), self.edge_users, self.n_users)

    def softmax_by_item(self, logits: Tensor) -> Tensor:
        """Softmax over the edges of each item, as `softmax_by_user`."""
        return _share(logits.exp(), self.edge_items, self.n_items)


def _share(weights: Tensor, group: Tensor, n_groups: int) -> Tensor:
    totals = weights.new_zeros(n_groups).index_add(0, group, weights)
    return weights / totals.index_select(0, group)


class _EdgeDot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, users: Tensor, items: Tensor, edges: UserItemEdges) -> Tensor:
        ctx.save_for_backward(users, items)
        ctx.edges = edges
        return edges.sampled(users, items)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        users, items = ctx.saved_tensors
        return ctx.edges.by_user(grad).times(items), ctx.edges.by_item(grad).times(users), None


class _SumToUsers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, items: Tensor, edges: UserItemEdges) -> Tensor:
        ctx.save_for_backward(values, items)
        ctx.edges = edges
        return edges.by_user(values).times(items)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        values, items = ctx.saved_tensors
        grad = grad.contiguous()
        return ctx.edges.sampled(grad, items), ctx.edges.by_item(values).times(grad), None


class _SumToItems(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, users: Tensor, edges: UserItemEdges) -> Tensor:
        ctx.save_for_backward(values, users)
        ctx.edges = edges
        return edges.by_item(values).times(users)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        values, users = ctx.saved_tensors
        grad = grad.contiguous()
        return ctx.edges.sampled(users, grad), ctx.edges.by_user(values).times(grad), None
