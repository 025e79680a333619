"""The training pairs as edges whose values have gradients.

Only the plain twins make anything of size edges x columns: a sum over edges is a sparse product, its gradient with
respect to the values one dense-dense product sampled at the edges.
"""

from dataclasses import dataclass
from typing import Any, NamedTuple

import torch
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.graphs.nodes import Nodes, nodes_of
from recmodels.ops import Pattern, cut_rows, fast, gather_and_add, select_rows, shared_tensor


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


def _sum_at_forward(ctx: Any, _: "UserItemEdges", values: Tensor, dense: Tensor, to_items: bool, cut: "Cut") -> Tensor:
    cut_values = values.index_select(0, cut.edges)
    ctx.save_for_backward(cut_values, dense)
    ctx.cut, ctx.n_edges = cut, len(values)
    return cut.pattern.rows(cut_values).times(dense)


def _sum_at_backward(ctx: Any, grad: Tensor) -> tuple[Any, ...]:
    cut_values, dense = ctx.saved_tensors
    pattern, grad = ctx.cut.pattern, grad.contiguous()
    of_values = grad.new_zeros(ctx.n_edges).index_copy_(0, ctx.cut.edges, pattern.sampled(grad, dense))
    return None, of_values, pattern.columns(cut_values).times(grad), None, None


class Cut(NamedTuple):
    """The rows `nodes` (k,) of a larger pattern, as a pattern (k, m); `edges` (e,): which edges of that theirs are."""

    nodes: Tensor
    pattern: Pattern
    edges: Tensor


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

    @fast(_sum_at_forward, _sum_at_backward)
    def _sum_at(self, values: Tensor, dense: Tensor, to_items: bool, cut: Cut) -> Tensor:
        return self._sum(values, dense, to_items).index_select(0, cut.nodes)

    def nodes_of(self, batch: Tensor) -> tuple[Nodes, Tensor]:
        """Return the nodes at which a last hop is worth making alone, and the batch as their places; see `nodes_of`."""
        return nodes_of(batch, self.indptr, self.column_indptr)

    def at(self, nodes: Nodes) -> "EdgesAt":
        """Return the edges for sums at some nodes alone."""
        n_users, n_items = len(self.indptr) - 1, len(self.column_indptr) - 1
        to_users = to_items = None
        if nodes.users is not None:
            to_users = _cut(self.indptr, self.indices, torch.arange(len(self.indices)), nodes.users, n_items)
        if nodes.items is not None:
            to_items = _cut(self.column_indptr, self.column_indices, self.by_column, nodes.items, n_users)
        return EdgesAt(self, nodes, to_users, to_items)

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


@dataclass(frozen=True, eq=False)
class EdgesAt:
    """Sums over the edges of some nodes. `to_users`, `to_items`: None for all."""

    edges: UserItemEdges
    nodes: Nodes
    to_users: Cut | None
    to_items: Cut | None

    def sum_to_users(self, values: Tensor, items: Tensor) -> Tensor:
        """Return for each of the users the sum of value * items[i] over its edges, (n, D), from (E,) and (I, D)."""
        return self._sum(values, items, False, self.to_users)

    def sum_to_items(self, values: Tensor, users: Tensor) -> Tensor:
        """Return for each of the items the sum of value * users[u] over its edges, (m, D), from (E,) and (U, D)."""
        return self._sum(values, users, True, self.to_items)

    def add(self, users: Tensor, items: Tensor, all_users: Tensor, all_items: Tensor) -> tuple[Tensor, Tensor]:
        """Return `users` (n, D) and `items` (m, D), added to the nodes' rows of `all_users` (U, D) and `all_items`."""
        return select_rows(all_users, self.nodes.users) + users, select_rows(all_items, self.nodes.items) + items

    def _sum(self, values: Tensor, dense: Tensor, to_items: bool, cut: Cut | None) -> Tensor:
        if cut is None:
            return self.edges._sum(values, dense, to_items)
        return self.edges._sum_at(values, dense, to_items, cut)


def _cut(indptr: Tensor, indices: Tensor, edges: Tensor, nodes: Tensor, n_columns: int) -> Cut:
    rows = cut_rows(indptr, indices, edges, nodes, n_columns)
    return Cut(nodes, Pattern(rows.indptr, rows.indices, n_columns), torch.from_numpy(rows.data))
