"""Hops over a user-item graph, each scaled row by row by its cosine with the embeddings it started from."""

from typing import Any

import torch
from torch import Tensor

from recmodels.ops.fast import fast
from recmodels.ops.sparse import Csr, Sparse
from recmodels.ops.tensors import inverse_lengths, lengths, unit_rows

LEAST = 1e-8
"""Shorter rows are taken to be this long when their cosine is computed."""


def _scaled(hop: Csr, factors: Tensor) -> Csr:
    """Return the hop from rows that are multiplied by `factors` (m, 1): its E values take them, not m rows."""
    return hop._replace(values=hop.values * factors.flatten().index_select(0, hop.indices))


def _forward(
    ctx: Any, to_users: Sparse, to_items: Sparse, users: Tensor, items: Tensor, n_hops: int
) -> tuple[Tensor, Tensor]:
    starts = users, items
    inverses = [inverse_lengths(start, 1e-12) for start in starts]
    units = [start * inverse for start, inverse in zip(starts, inverses, strict=True)]
    totals = torch.zeros_like(users), torch.zeros_like(items)
    to_user, to_item, user, item = to_users.rows, to_items.rows, users, items
    saved: list[Tensor] = []
    for _ in range(n_hops):
        user, item = to_user.times(item), to_item.times(user)
        cosines = []
        for rows, unit, total in zip((user, item), units, totals, strict=True):
            inverse = inverse_lengths(rows, LEAST)
            cosine = (rows * unit).sum(dim=1, keepdim=True).mul_(inverse)
            total.addcmul_(rows, cosine)
            cosines.append(cosine)
            saved += rows, inverse, cosine
        to_user, to_item = _scaled(to_users.rows, cosines[1]), _scaled(to_items.rows, cosines[0])
    ctx.save_for_backward(*units, *inverses, *saved)
    ctx.transposed = to_items.columns, to_users.columns
    return totals


def _backward(ctx: Any, *grads: Tensor) -> tuple[Any, ...]:
    units, inverses, saved = ctx.saved_tensors[:2], ctx.saved_tensors[2:4], ctx.saved_tensors[4:]
    to_user, to_item = ctx.transposed
    of_units = [torch.zeros_like(unit) for unit in units]
    of_scaled = [torch.zeros_like(unit) for unit in units]
    for hop in reversed(range(0, len(saved), 6)):
        for side, (flow, grad, unit, of_unit) in enumerate(zip(of_scaled, grads, units, of_units, strict=True)):
            rows, inverse, cosine = saved[hop + 3 * side :][:3]
            flow.add_(grad)
            along = (flow * rows).sum(dim=1, keepdim=True).mul_(inverse)
            of_unit.addcmul_(rows, along)
            flow.mul_(cosine).addcmul_(unit, along).addcmul_(rows, along * inverse * cosine, value=-1)
        of_scaled = [to_user.times(of_scaled[1]), to_item.times(of_scaled[0])]
    for flow, of_unit, unit, inverse in zip(of_scaled, of_units, units, inverses, strict=True):
        along = (of_unit * unit).sum(dim=1, keepdim=True)
        flow.addcmul_(of_unit.addcmul_(unit, along, value=-1), inverse)
    return None, None, *of_scaled, None


@fast(_forward, _backward)
def sum_of_refined_hops(
    to_users: Sparse, to_items: Sparse, users: Tensor, items: Tensor, n_hops: int
) -> tuple[Tensor, Tensor]:
    """Return the sum of hops 1..`n_hops`, users (U, D) and items (I, D), at least one.

    A hop gives users `to_users` @ items and items `to_items` @ users; then each row is multiplied by its cosine with
    the same row of `users` or `items`, and the next hop starts from there. Zhou
    et al., LayerGCN, ICDE 2023.
    """
    units, rows = (unit_rows(users), unit_rows(items)), (users, items)
    totals = [torch.zeros_like(users), torch.zeros_like(items)]
    for _ in range(n_hops):
        hop = to_users @ rows[1], to_items @ rows[0]
        rows = _scaled_by_cosine(hop[0], units[0]), _scaled_by_cosine(hop[1], units[1])
        totals = [total + row for total, row in zip(totals, rows, strict=True)]
    return totals[0], totals[1]


def _scaled_by_cosine(rows: Tensor, units: Tensor) -> Tensor:
    return rows * (rows * units).sum(dim=1, keepdim=True) / lengths(rows, LEAST)
