"""Losses that several models share. A batch is (3, B) int64: users, positive items, sampled negative items."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from recmodels.ops.tensors import frobenius, unit_rows

SOFTMAX_ROWS = 256


def margins(users: Tensor, items: Tensor, batch: Tensor) -> Tensor:
    """Score of each positive above its negative, (B,), from users (U, D) and items (I, D)."""
    positive, negative = items.index_select(0, batch[1:].flatten()).chunk(2)
    return (users.index_select(0, batch[0]) * (positive - negative)).sum(-1)


def bpr(margin: Tensor, *, floor: float = 0.0) -> Tensor:
    """-mean log(floor + sigmoid(margin)) over (B,) margins; Rendle et al., UAI 2009.

    With `floor` > 0 the loss of one triple is at most -log(floor).
    """
    if floor:
        return -(floor + torch.sigmoid(margin)).log().mean()
    return F.softplus(-margin).mean()


def summed_bpr(margin: Tensor) -> Tensor:
    """As `bpr`, summed over the batch."""
    return F.softplus(-margin).sum()


def batch_norms(*gathered: Tensor) -> Tensor:
    """The benchmark's regulariser: the sum of the matrices' Frobenius norms (not squared), over the batch size."""
    return torch.stack([frobenius(matrix) for matrix in gathered]).sum() / len(gathered[0])


def half_squares(*gathered: Tensor) -> Tensor:
    """Half the sum of the squares of all entries."""
    return torch.stack([matrix.square().sum() for matrix in gathered]).sum() / 2


def batch_squares(*gathered: Tensor) -> Tensor:
    """The papers' regulariser: half the sum of the squares of all entries, over the batch size."""
    return half_squares(*gathered) / len(gathered[0])


def cosine(a: Tensor, b: Tensor) -> Tensor:
    """Cosine of each row of a with the same row of b, (n,); 0 where one of them is 0."""
    return (unit_rows(a) * unit_rows(b)).sum(-1)


def in_batch_softmax(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Mean cross entropy of each query's own key among the batch's, both (B, D); van den Oord et al., 2018, eq. 4."""
    loss: Tensor = _InBatchSoftmax.apply(queries / temperature, keys)
    return loss


class _InBatchSoftmax(torch.autograd.Function):
    """A block of rows at a time, so that no B x B matrix leaves the cache; the gradient is made along the way."""

    @staticmethod
    def forward(ctx: Any, queries: Tensor, keys: Tensor) -> Tensor:
        n = len(queries)
        loss = -(queries * keys).sum()
        of_queries, of_keys = torch.empty_like(queries), -queries
        for start in range(0, n, SOFTMAX_ROWS):
            block = queries[start : start + SOFTMAX_ROWS]
            weights = block @ keys.t()  # (rows, B)
            largest = weights.amax(dim=1, keepdim=True)
            total = weights.sub_(largest).exp_().sum(dim=1, keepdim=True)
            loss += (total.log() + largest).sum()
            torch.mm(weights, keys, out=of_queries[start : start + SOFTMAX_ROWS]).div_(total)
            of_keys.addmm_(weights.t(), block / total)
        ctx.save_for_backward(of_queries.sub_(keys), of_keys)
        return loss / n

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor]:
        of_queries, of_keys = ctx.saved_tensors
        share = grad / len(of_queries)
        return of_queries * share, of_keys * share
