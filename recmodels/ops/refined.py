"""Hops over a user-item graph, each scaled row by row by its cosine with the embeddings it started from."""

from typing import Any

import torch
from torch import Tensor

from recmodels.ops.fast import fast
from recmodels.ops.rows import add_rows, select_rows
from recmodels.ops.sparse import Csr, Sparse
from recmodels.ops.tensors import inverse_lengths, is_longer, lengths, unit_rows

LEAST = 1e-8
"""Shorter rows of a hop are taken to be this long when their cosine is computed."""
LEAST_START = 1e-12
"""The same of the rows that the hops start from."""

ALL = None, None
"""All users and all items."""


def _times(hop: Csr, factors: Tensor | None, rows: Tensor) -> Tensor:
    """Return the hop from rows that are multiplied by `factors` (m, 1): its E values take them, not m rows."""
    if factors is not None:
        hop = hop._replace(values=hop.values * factors.flatten().index_select(0, hop.indices))
    return hop.times(rows)


def _forward(
    ctx: Any,
    to_users: Sparse,
    to_items: Sparse,
    users: Tensor,
    items: Tensor,
    n_hops: int,
    nodes: tuple[Tensor | None, Tensor | None] = ALL,
) -> tuple[Tensor, ...]:
    inverses = [inverse_lengths(start, LEAST_START) for start in (users, items)]
    units = [start * inverse for start, inverse in zip((users, items), inverses, strict=True)]
    totals = tuple(torch.zeros_like(select_rows(unit, own)) for unit, own in zip(units, nodes, strict=True))
    last_to_users, last_to_items = to_users.at(nodes[0]), to_items.at(nodes[1])
    user, item = users, items
    cosines: list[Tensor | None] = [None, None]
    saved: list[Tensor] = []
    for hop in range(1, n_hops + 1):
        is_last = hop == n_hops
        to_user, to_item = (last_to_users, last_to_items) if is_last else (to_users, to_items)
        user, item = _times(to_user.rows, cosines[1], item), _times(to_item.rows, cosines[0], user)
        made, kept = (nodes, ALL) if is_last else (ALL, nodes)
        for side, rows in enumerate((user, item)):
            inverse = inverse_lengths(rows, LEAST)
            cosine = (rows * select_rows(units[side], made[side])).sum(dim=1, keepdim=True).mul_(inverse)
            totals[side].addcmul_(select_rows(rows, kept[side]), select_rows(cosine, kept[side]))
            cosines[side] = cosine
            saved += rows, inverse, cosine
    ctx.save_for_backward(*units, *inverses, *saved)
    ctx.nodes = nodes
    ctx.transposed = to_items.columns, to_users.columns
    ctx.last_transposed = last_to_items.columns, last_to_users.columns
    return totals


def _backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
    units, inverses, saved = ctx.saved_tensors[:2], ctx.saved_tensors[2:4], ctx.saved_tensors[4:]
    if not saved:
        return (None,) * 7
    of_units = [torch.zeros_like(unit) for unit in units]
    of_scaled = [unit.new_zeros(grad.shape) for unit, grad in zip(units, grads, strict=True)]
    (to_user, to_item), made, kept = ctx.last_transposed, ctx.nodes, ALL
    for hop in reversed(range(0, len(saved), 6)):
        for side, (flow, grad) in enumerate(zip(of_scaled, grads, strict=True)):
            rows, inverse, cosine = saved[hop + 3 * side :][:3]
            add_rows(flow, kept[side], grad)
            along = (flow * rows).sum(dim=1, keepdim=True).mul_(inverse)
            _add_products(of_units[side], made[side], rows, along)
            unit = select_rows(units[side], made[side])
            of_length = along * inverse * cosine * is_longer(inverse, LEAST)
            flow.mul_(cosine).addcmul_(unit, along).addcmul_(rows, of_length, value=-1)
        of_scaled = [to_user.times(of_scaled[1]), to_item.times(of_scaled[0])]
        (to_user, to_item), made, kept = ctx.transposed, ALL, ctx.nodes
    for flow, of_unit, unit, inverse in zip(of_scaled, of_units, units, inverses, strict=True):
        along = (of_unit * unit).sum(dim=1, keepdim=True).mul_(is_longer(inverse, LEAST_START))
        flow.addcmul_(of_unit.addcmul_(unit, along, value=-1), inverse)
    return None, None, *of_scaled, None, None


def _add_products(table: Tensor, nodes: Tensor | None, rows: Tensor, factors: Tensor) -> None:
    """Add `rows` (k, D) times `factors` (k, 1) to the rows `nodes` (k,) of a table, in place; None: to all."""
    if nodes is None:
        table.addcmul_(rows, factors)  # writes no products
    else:
        table.index_add_(0, nodes, rows * factors)


@fast(_forward, _backward)
def sum_of_refined_hops(
    to_users: Sparse,
    to_items: Sparse,
    users: Tensor,
    items: Tensor,
    n_hops: int,
    nodes: tuple[Tensor | None, Tensor | None] = ALL,
) -> tuple[Tensor, Tensor]:
    """Return the sum of hops 1..`n_hops`, users (U, D) and items (I, D); zeros if there is none.

    A hop gives users `to_users` @ items and items `to_items` @ users; then each row is multiplied by its cosine with
    the same row of `users` or `items`, and the next hop starts from there. Zhou et al., LayerGCN, ICDE
    2023.
    `nodes`: users (n,) and items (m,) whose rows alone are returned, None for all; the last hop, which is the backward
    pass's first, is made for them alone.
    """
    units, rows = (unit_rows(users), unit_rows(items)), (users, items)
    totals = [torch.zeros_like(users), torch.zeros_like(items)]
    for _ in range(n_hops):
        hop = to_users @ rows[1], to_items @ rows[0]
        rows = _scaled_by_cosine(hop[0], units[0]), _scaled_by_cosine(hop[1], units[1])
        totals = [total + row for total, row in zip(totals, rows, strict=True)]
    return select_rows(totals[0], nodes[0]), select_rows(totals[1], nodes[1])


def _scaled_by_cosine(rows: Tensor, units: Tensor) -> Tensor:
    return rows * (rows * units).sum(dim=1, keepdim=True) / lengths(rows, LEAST)
