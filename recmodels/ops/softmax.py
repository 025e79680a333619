"""The softmax of queries over keys without a matrix of queries x keys."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recmodels.ops.fast import fast

ROWS = 128
"""Rows of the softmax computed at a time on the CPU, whose cache they stay in."""
GPU_LOGITS = 2**26
"""Logits computed at a time on a GPU, 256 MiB: one block for batches up to 8,192, as each block costs ten launches."""


def rows_at_a_time(keys: Tensor) -> int:
    """Return how many rows of inner products with `keys` (m, D) are made at a time."""
    return max(ROWS, GPU_LOGITS // len(keys)) if keys.is_cuda else ROWS


def _forward(ctx: Any, queries: Tensor, keys: Tensor) -> Tensor:
    n, rows = len(queries), rows_at_a_time(keys)
    loss = -(queries * keys).sum()
    of_queries, of_keys = (
        torch.empty_like(queries),
        queries.t().contiguous().neg_(),
    )  # (D, B): its products are faster that way round
    for start in range(0, n, rows):
        block = queries[start : start + rows]
        logits = block @ keys.t()  # (rows, B)
        weights = torch.softmax(logits, dim=1)
        # The largest weight is 1 / the sum of exponentials less the largest logit; an own weight may vanish.
        loss += (logits.amax(dim=1) - weights.amax(dim=1).log()).sum()
        torch.mm(weights, keys, out=of_queries[start : start + rows])
        of_keys.addmm_(block.t(), weights)
    ctx.save_for_backward(of_queries.sub_(keys), of_keys.t().contiguous())
    return loss / n


def _backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
    of_queries, of_keys = ctx.saved_tensors
    share = grad / len(of_queries)
    return of_queries * share, of_keys * share


def _sum_forward(
    ctx: Any, queries: Tensor, keys: Tensor, own: Tensor, query_counts: Tensor, key_counts: Tensor | None
) -> Tensor:
    rows, chosen = rows_at_a_time(keys), keys.index_select(0, own)
    logs = None if key_counts is None else key_counts.log()
    loss = -((queries * chosen).sum(dim=1) * query_counts).sum()
    counted = queries * query_counts.unsqueeze(1)
    of_queries, of_keys = torch.empty_like(queries), keys.new_zeros(keys.shape[1], len(keys))
    for start in range(0, len(queries), rows):
        block = slice(start, start + rows)
        logits = queries[block] @ keys.t() if logs is None else torch.addmm(logs, queries[block], keys.t())
        weights = torch.softmax(logits, dim=1)
        loss += (logits.amax(dim=1) - weights.amax(dim=1).log()) @ query_counts[block]
        torch.mm(weights, keys, out=of_queries[block])
        of_keys.addmm_(counted[block].t(), weights)
    of_queries.sub_(chosen).mul_(query_counts.unsqueeze(1))
    ctx.save_for_backward(of_queries, of_keys.t().contiguous().index_add_(0, own, counted, alpha=-1))
    return loss


def _sum_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    of_queries, of_keys = ctx.saved_tensors
    return of_queries * grad, of_keys * grad, None, None, None


@fast(_sum_forward, _sum_backward)
def summed_cross_entropy(
    queries: Tensor, keys: Tensor, own: Tensor, query_counts: Tensor, key_counts: Tensor | None
) -> Tensor:
    """Return the sum of the cross entropies, (), of each query's own key among all keys; logits are inner products.

    From queries (n, D) and keys (m, D). `own` (n,): which key is the query's. `query_counts` (n,), `key_counts` (m,):
    how often each occurs, None for once: equal rows have equal terms, so that of a batch only distinct rows are needed.
    """
    logits = queries @ keys.t()
    chosen = logits.gather(1, own.unsqueeze(1)).squeeze(1)
    if key_counts is not None:
        logits = logits + key_counts.log()
    return (logits.logsumexp(dim=1) - chosen) @ query_counts


@fast(_forward, _backward)
def cross_entropy_of_own_key(queries: Tensor, keys: Tensor) -> Tensor:
    """Return the mean cross entropy, (), of key i for query i among all keys; both (B, D), logits are inner products.

    A block of rows is made at a time, so that no B x B matrix leaves the cache, and the gradient along the way.
    """
    return F.cross_entropy(queries @ keys.t(), torch.arange(len(queries), device=queries.device))
