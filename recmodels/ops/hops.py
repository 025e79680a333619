"""Sums of hops over a user-item graph."""

from typing import Any

from torch import Tensor

from recmodels.ops.fast import fast
from recmodels.ops.sparse import Csr, Sparse


def _horner(
    to_users: Csr, to_items: Csr, users: Tensor, items: Tensor, n_hops: int, scale: float
) -> tuple[Tensor, Tensor]:
    if n_hops == 0:
        return users * scale, items * scale
    user, item = users, items
    for _ in range(n_hops - 1):
        user, item = to_users.times(item).add_(users), to_items.times(user).add_(items)
    # The scale goes into the last hop's few values, not over all that comes out of it.
    to_users, to_items = (hop._replace(values=hop.values * scale) for hop in (to_users, to_items))
    return to_users.times(item).add_(users, alpha=scale), to_items.times(user).add_(items, alpha=scale)


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
def sum_of_hops(
    to_users: Sparse, to_items: Sparse, users: Tensor, items: Tensor, n_hops: int, scale: float
) -> tuple[Tensor, Tensor]:
    """Return users (U, D) and items (I, D), summed over 0..`n_hops` hops and multiplied by `scale`.

    A hop gives users `to_users` @ items and items `to_items` @ users. In both directions Horner's rule,
    z <- x + hop(z): one product a hop, and no hop is kept for the backward pass.
    """
    user, item = users, items
    for _ in range(n_hops):
        user, item = to_users @ item + users, to_items @ user + items
    return user * scale, item * scale
