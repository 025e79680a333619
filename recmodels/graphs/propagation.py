"""Messages between users and items over a fixed user-item graph."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recmodels.data.dataset import RecDataset
from recmodels.graphs.edges import Edges, edges_of, sample_edges
from recmodels.graphs.sparse import ConstantMatrix, Csr, Sparse


class UserItemGraph(nn.Module):
    """D^-1/2 A D^-1/2 of a bipartite graph without self-loops, as its (U, I) block; He et al., LightGCN, SIGIR 2020.

    Users and items stay apart: a hop is one product with the block and one with its transpose.
    """

    def __init__(self, edges: Edges):
        super().__init__()
        self.block = ConstantMatrix(edges.matrix(edges.symmetric_weights()))

    @classmethod
    def of(cls, data: RecDataset) -> "UserItemGraph":
        """The graph of all training pairs."""
        return cls(edges_of(data))

    def forward(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """One hop: users (U, D) from items (I, D) and items from users."""
        block = self.block.matrix
        return block @ items, block.t() @ users

    def sum_of_hops(self, users: Tensor, items: Tensor, n_hops: int) -> tuple[Tensor, Tensor]:
        """Users (U, D) and items (I, D) summed over 0..`n_hops` hops."""
        block = self.block.matrix
        return sum_of_hops(block, block.t(), users, items, n_hops)

    def mean_of_hops(self, users: Tensor, items: Tensor, n_hops: int) -> tuple[Tensor, Tensor]:
        """As `sum_of_hops`, over `n_hops` + 1."""
        block = self.block.matrix
        return sum_of_hops(block, block.t(), users, items, n_hops, scale=1 / (n_hops + 1))

    def mean_from_users(self, users: Tensor, n_hops: int) -> tuple[Tensor, Tensor]:
        """`mean_of_hops` where the items start from zeros: every other product is of zeros and is left out."""
        block = self.block.matrix
        return _mean_from(block.t(), users, n_hops)

    def mean_from_items(self, items: Tensor, n_hops: int) -> tuple[Tensor, Tensor]:
        """`mean_of_hops` where the users start from zeros."""
        items, users = _mean_from(self.block.matrix, items, n_hops)
        return users, items


class MeanGraph(nn.Module):
    """A hop that gives every node the mean of its neighbours, and those without any zeros."""

    def __init__(self, data: RecDataset):
        super().__init__()
        edges = edges_of(data)
        self.to_users = ConstantMatrix(edges.matrix(1 / edges.user_degrees[edges.users]))
        self.to_items = ConstantMatrix(edges.matrix(1 / edges.item_degrees[edges.items]).t())

    def forward(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """One hop: users (U, D) from items (I, D) and items from users."""
        return self.to_users(items), self.to_items(users)


class PrunedGraph(nn.Module):
    """The graph of all training pairs, and that of a part of them which is redrawn before each epoch."""

    def __init__(self, data: RecDataset):
        super().__init__()
        self.edges = edges_of(data)
        self.weights = torch.from_numpy(self.edges.symmetric_weights())
        self.full = self.pruned = UserItemGraph(self.edges)

    def prune(self, dropped: float, *, by_degree: bool = True) -> None:
        """Keep a share 1 - `dropped` of the edges, normalised by their own degrees.

        `by_degree`: an edge's chance to be kept falls with the degrees of its ends; Zhou and Shen, FREEDOM, eq. 7.
        """
        self.pruned = self.full
        if dropped > 0:
            kept = sample_edges(len(self.edges), 1 - dropped, self.weights if by_degree else None)
            self.pruned = UserItemGraph(self.edges.kept(kept)).to(next(self.full.buffers()).device)


def sum_of_hops(
    to_users: Sparse, to_items: Sparse, users: Tensor, items: Tensor, n_hops: int, *, scale: float = 1.0
) -> tuple[Tensor, Tensor]:
    """The sum of 0..`n_hops` hops times `scale`; a hop gives users `to_users` @ items and items `to_items` @ users.

    In both directions Horner's rule, z <- x + hop(z): one product a hop, and no hop is kept for the backward pass.
    """
    if n_hops == 0:
        return users * scale, items * scale
    summed: tuple[Tensor, Tensor] = _SumOfHops.apply(to_users, to_items, users, items, n_hops, scale)
    return summed


def _mean_from(across: Sparse, own: Tensor, n_hops: int) -> tuple[Tensor, Tensor]:
    """(own side, other side); `across` gives the other side from the own."""
    hop, sums = own, [own, own.new_zeros(len(across.rows.indptr) - 1, own.shape[1])]
    for number in range(1, n_hops + 1):
        hop = (across if number % 2 else across.t()) @ hop
        sums[number % 2] = sums[number % 2] + hop
    return sums[0] / (n_hops + 1), sums[1] / (n_hops + 1)


class _SumOfHops(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, to_users: Sparse, to_items: Sparse, users: Tensor, items: Tensor, n_hops: int, scale: float
    ) -> tuple[Tensor, Tensor]:
        ctx.transposed, ctx.n_hops, ctx.scale = (to_items.columns, to_users.columns), n_hops, scale
        return _horner(to_users.rows, to_items.rows, users, items, n_hops, scale)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, users: Tensor, items: Tensor) -> tuple[Any, ...]:
        to_users, to_items = ctx.transposed
        summed = _horner(to_users, to_items, users.contiguous(), items.contiguous(), ctx.n_hops, ctx.scale)
        return None, None, *summed, None, None


def _horner(
    to_users: Csr, to_items: Csr, users: Tensor, items: Tensor, n_hops: int, scale: float
) -> tuple[Tensor, Tensor]:
    user, item = users, items
    for _ in range(n_hops - 1):
        user, item = to_users.times(item).add_(users), to_items.times(user).add_(items)
    # The scale goes into the last hop's few values, not over all that comes out of it.
    to_users, to_items = (hop._replace(values=hop.values * scale) for hop in (to_users, to_items))
    return to_users.times(item).add_(users, alpha=scale), to_items.times(user).add_(items, alpha=scale)
