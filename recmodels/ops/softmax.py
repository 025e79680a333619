"""The softmax over a batch without a matrix of batch x batch."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from recmodels.ops.fast import fast

ROWS = 128
"""Rows of the softmax computed at a time on the CPU, whose cache they stay in."""
GPU_LOGITS = 2**26
"""Logits computed at a time on a GPU, 256 MiB: one block for batches up to 8,192, as each block costs ten launches."""


def _forward(ctx: Any, queries: Tensor, keys: Tensor) -> Tensor:
    n = len(queries)
    rows = max(ROWS, GPU_LOGITS // n) if queries.is_cuda else ROWS
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


@fast(_forward, _backward)
def cross_entropy_of_own_key(queries: Tensor, keys: Tensor) -> Tensor:
    """Return the mean cross entropy, (), of key i for query i among all keys; both (B, D), logits are inner products.

    A block of rows is made at a time, so that no B x B matrix leaves the cache, and the gradient along the way.
    """
    return F.cross_entropy(queries @ keys.t(), torch.arange(len(queries), device=queries.device))
