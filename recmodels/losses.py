"""Losses that several models share. A batch is (3, B) int64: users, positive items, sampled negative items."""

import torch
import torch.nn.functional as F
from torch import Tensor

from recmodels.ops import cross_entropy_of_own_key, frobenius, summed_cross_entropy


def margins(users: Tensor, items: Tensor, batch: Tensor) -> Tensor:
    """Return the score of each positive less that of its negative, (B,), from users (U, D) and items (I, D)."""
    positive, negative = items.index_select(0, batch[1:].flatten()).chunk(2)
    return (users.index_select(0, batch[0]) * (positive - negative)).sum(-1)


def bpr(margin: Tensor, *, floor: float = 0.0) -> Tensor:
    """Return -mean log(floor + sigmoid(margin)) over (B,) margins; Rendle et al., UAI 2009.

    With `floor` > 0 the loss of one triple is at most -log(floor).
    """
    if floor:
        return -(floor + torch.sigmoid(margin)).log().mean()
    return F.softplus(-margin).mean()


def summed_bpr(margin: Tensor) -> Tensor:
    """Return `bpr` without a floor, summed over the batch."""
    return F.softplus(-margin).sum()


def batch_norms(*gathered: Tensor) -> Tensor:
    """Return the benchmark's penalty: the sum of the matrices' Frobenius norms, not squared, over the batch size.

    Each matrix holds the batch's rows (B, D) of a table.
    """
    return torch.stack([frobenius(matrix) for matrix in gathered]).sum() / len(gathered[0])


def half_squares(*gathered: Tensor) -> Tensor:
    """Return half the sum of the squares of all entries."""
    return torch.stack([matrix.square().sum() for matrix in gathered]).sum() / 2


def batch_squares(*gathered: Tensor) -> Tensor:
    """Return the papers' penalty: half the sum of the squares of all entries, over the batch size."""
    return half_squares(*gathered) / len(gathered[0])


def in_batch_softmax(queries: Tensor, keys: Tensor, temperature: float) -> Tensor:
    """Return the mean cross entropy of each query's own key among the batch's; both (B, D).

    van den Oord, Li, Vinyals, 2018, eq. 4, arXiv 1807.03748; logits are inner products over `temperature`.
    """
    return cross_entropy_of_own_key(queries / temperature, keys)


def counted_softmax(queries: Tensor, keys: Tensor, counts: Tensor, temperature: float) -> Tensor:
    """Return `in_batch_softmax` of a batch from its distinct rows (n, D) and how often each is in it, (n,)."""
    own, counts = torch.arange(len(keys), device=keys.device), counts.to(keys)
    return summed_cross_entropy(queries / temperature, keys, own, counts, counts) / counts.sum()


def id_penalty(ids: Tensor, n_users: int, batch: Tensor) -> Tensor:
    """Return the mean squares of the batch's rows of `ids` (U + I, D), each user once per item; MMGCN and GRCN."""
    nodes = torch.cat(
        [batch[0], batch[1:].flatten() + n_users]
    )  # one gather: its gradient is one table of size (U + I, D)
    user, positive, negative = ids.index_select(0, nodes).square().view(3, -1).mean(dim=1)
    return user + (positive + negative) / 2
