"""Sums of hops over a user-item graph."""

from typing import Any

from torch import Tensor

from recmodels.ops.fast import fast
from recmodels.ops.rows import add_rows, select_rows
from recmodels.ops.sparse import Csr, Sparse


def _hops(to_users: Csr, to_items: Csr, users: Tensor, items: Tensor, n_hops: int) -> tuple[Tensor, Tensor]:
    user, item = users, items
    for _ in range(n_hops):
        user, item = to_users.times(item).add_(users), to_items.times(user).add_(items)
    return user, item


def _horner(
    to_users: Csr, to_items: Csr, users: Tensor, items: Tensor, n_hops: int, scale: float
) -> tuple[Tensor, Tensor]:
    if n_hops == 0:
        return users * scale, items * scale
    user, item = _hops(to_users, to_items, users, items, n_hops - 1)
    return (
        to_users.times_scaled(item, scale).add_(users, alpha=scale),
        to_items.times_scaled(user, scale).add_(items, alpha=scale),
    )


def _forward(
    ctx: Any, to_users: Sparse, to_items: Sparse, users: Tensor, items: Tensor, *options: Any
) -> tuple[Tensor, Tensor]:
    ctx.transposed, ctx.options = (to_items.columns, to_users.columns), options
    return _horner(to_users.rows, to_items.rows, users, items, *options)


def _backward(ctx: Any, users: Tensor, items: Tensor) -> tuple[Any, ...]:
    to_users, to_items = ctx.transposed
    summed = _horner(to_users, to_items, users.contiguous(), items.contiguous(), *ctx.options)
    return None, None, *summed, None, None


@fast(_forward, _backward)
def _hops_everywhere(
    to_users: Sparse, to_items: Sparse, users: Tensor, items: Tensor, n_hops: int, scale: float
) -> tuple[Tensor, Tensor]:
    user, item = users, items
    for _ in range(n_hops):
        user, item = to_users @ item + users, to_items @ user + items
    return user * scale, item * scale


def _forward_at(
    ctx: Any,
    to_users: Sparse,
    to_items: Sparse,
    users: Tensor,
    items: Tensor,
    n_hops: int,
    scale: float,
    *nodes: Tensor | None,
) -> tuple[Tensor, Tensor]:
    last_to_users, last_to_items = to_users.at(nodes[0]), to_items.at(nodes[1])
    ctx.transposed = to_items.columns, to_users.columns, last_to_items.columns, last_to_users.columns
    ctx.n_hops, ctx.scale, ctx.nodes = n_hops, scale, nodes
    user, item = _hops(to_users.rows, to_items.rows, users, items, n_hops - 1)
    return (
        last_to_users.rows.times_scaled(item, scale).add_(select_rows(users, nodes[0]), alpha=scale),
        last_to_items.rows.times_scaled(user, scale).add_(select_rows(items, nodes[1]), alpha=scale),
    )


def _backward_at(ctx: Any, users: Tensor, items: Tensor) -> tuple[Any, ...]:
    to_users, to_items, first_to_users, first_to_items = ctx.transposed
    user = first_to_users.times_scaled(items.contiguous(), ctx.scale)
    item = first_to_items.times_scaled(users.contiguous(), ctx.scale)
    user, item = _hops(to_users, to_items, user, item, ctx.n_hops - 1)
    for table, rows, nodes in zip((user, item), (users, items), ctx.nodes, strict=True):
        add_rows(table, nodes, rows, ctx.scale)
    return None, None, user, item, None, None, None, None


@fast(_forward_at, _backward_at)
def _hops_at(
    to_users: Sparse, to_items: Sparse, users: Tensor, items: Tensor, n_hops: int, scale: float, *nodes: Tensor | None
) -> tuple[Tensor, Tensor]:
    user, item = _hops_everywhere(to_users, to_items, users, items, n_hops, scale)
    return select_rows(user, nodes[0]), select_rows(item, nodes[1])


def sum_of_hops(
    to_users: Sparse,
    to_items: Sparse,
    users: Tensor,
    items: Tensor,
    n_hops: int,
    scale: float,
    nodes: tuple[Tensor | None, Tensor | None] = (None, None),
) -> tuple[Tensor, Tensor]:
    """Return users (U, D) and items (I, D), summed over 0..`n_hops` hops and multiplied by `scale`.

    A hop gives users `to_users` @ items and items `to_items` @ users. In both directions Horner's rule,
    z <- x + hop(z): one product a hop, and no hop is kept for the backward pass.
    `nodes`: users (n,) and items (m,) whose rows alone are returned, None for all; the last hop, which is the backward
    pass's first, is made for them alone.
    """
    if nodes[0] is None and nodes[1] is None:
        return _hops_everywhere(to_users, to_items, users, items, n_hops, scale)
    if n_hops == 0:
        return select_rows(users, nodes[0]) * scale, select_rows(items, nodes[1]) * scale
    return _hops_at(to_users, to_items, users, items, n_hops, scale, *nodes)
