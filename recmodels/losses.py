"""Losses that several models share. A batch is (3, B) int64: users, positive items, sampled negative items."""

import torch
import torch.nn.functional as F
from torch import Tensor


def bpr(positive: Tensor, negative: Tensor, *, floor: float = 0.0) -> Tensor:
    """-mean log(floor + sigmoid(positive - negative)) over (B,) scores; Rendle et al., UAI 2009.

    With `floor` > 0 the loss of one triple is at most -log(floor).
    """
    if floor:
        return -(floor + torch.sigmoid(positive - negative)).log().mean()
    return F.softplus(negative - positive).mean()


def batch_norms(*gathered: Tensor) -> Tensor:
    """The benchmark's regulariser: the sum of the matrices' Frobenius norms (not squared), over the batch size."""
    total = torch.stack([torch.linalg.vector_norm(matrix) for matrix in gathered]).sum()
    return total / len(gathered[0])
