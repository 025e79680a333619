"""Messages between users and items over a fixed user-item graph."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs.edges import Edges, edges_of, sample_edges
from recmodels.graphs.nodes import ALL, Nodes, nodes_of
from recmodels.ops import ConstantMatrix, Sparse, sum_of_hops


class UserItemGraph(nn.Module):
    """D^-1/2 A D^-1/2 of a bipartite graph without self-loops, as its (U, I) block; He et al., LightGCN, SIGIR 2020.

    Users and items stay apart: a hop is one product with the block and one with its transpose. `weights` (E,): of the
    edges, in the place of those of that matrix.
    """

    def __init__(self, edges: Edges, weights: NDArray[np.float64] | None = None):
        super().__init__()
        self.block = ConstantMatrix(edges.matrix(edges.symmetric_weights() if weights is None else weights))

    @classmethod
    def of(cls, data: RecDataset) -> "UserItemGraph":
        """Return the graph of all training pairs."""
        return cls(edges_of(data))

    def forward(self, users: Tensor, items: Tensor, nodes: Nodes = ALL) -> tuple[Tensor, Tensor]:
        """Make one hop: return users (U, D) from items (I, D), and items from users; `nodes`: at these alone."""
        block = self.block.matrix
        return block.at(nodes.users) @ items, block.t().at(nodes.items) @ users

    def nodes_of(self, batch: Tensor) -> tuple[Nodes, Tensor]:
        """Return the nodes at which a last hop is worth making alone, and the batch as their places; see `nodes_of`."""
        return nodes_of(batch, *(side.indptr for side in self.block.matrix))

    def sum_of_hops(
        self, users: Tensor, items: Tensor, n_hops: int, nodes: Nodes = ALL, *, scale: float = 1.0
    ) -> tuple[Tensor, Tensor]:
        """Return users (U, D) and items (I, D) summed over 0..`n_hops` hops and multiplied by `scale`.

        `nodes`: the rows of these alone, users (n, D) and items (m, D).
        """
        block = self.block.matrix
        return sum_of_hops(block, block.t(), users, items, n_hops, scale, nodes)

    def mean_of_hops(self, users: Tensor, items: Tensor, n_hops: int, nodes: Nodes = ALL) -> tuple[Tensor, Tensor]:
        """Return `sum_of_hops` divided by `n_hops` + 1."""
        return self.sum_of_hops(users, items, n_hops, nodes, scale=1 / (n_hops + 1))

    def mean_from_users(self, users: Tensor, n_hops: int) -> tuple[Tensor, Tensor]:
        """Return `mean_of_hops` of items that start from zeros: every other product is of zeros and is left out."""
        return _mean_from(self.block.matrix.t(), users, n_hops)

    def mean_from_items(self, items: Tensor, n_hops: int) -> tuple[Tensor, Tensor]:
        """Return `mean_of_hops` of users that start from zeros."""
        items, users = _mean_from(self.block.matrix, items, n_hops)
        return users, items


class MeanGraph(nn.Module):
    """A hop that gives every node the mean of its neighbours, and zeros to a node without any."""

    def __init__(self, data: RecDataset):
        super().__init__()
        edges = edges_of(data)
        of_users, of_items = edges.degrees()
        self.to_users = ConstantMatrix(edges.matrix(1 / of_users))
        self.to_items = ConstantMatrix(edges.matrix(1 / of_items).t())

    def forward(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Make one hop: return users (U, D) from items (I, D), and items from users."""
        return self.to_users(items), self.to_items(users)


class ClosedMeanGraph(nn.Module):
    """A hop that gives every node the mean of its neighbours and itself: D^-1 (A + Id), D = the sums of its rows."""

    of_users: Tensor
    of_items: Tensor

    def __init__(self, data: RecDataset):
        super().__init__()
        edges = edges_of(data)
        sizes = [
            1 + np.bincount(ends, minlength=n) for ends, n in zip((edges.users, edges.items), edges.shape, strict=True)
        ]
        self.to_users = ConstantMatrix(edges.matrix(1 / sizes[0][edges.users]))
        self.to_items = ConstantMatrix(edges.matrix(1 / sizes[1][edges.items]).t())
        for name, size in zip(("of_users", "of_items"), sizes, strict=True):
            share = torch.from_numpy(1 / size).to(torch.get_default_dtype()).unsqueeze(1)
            self.register_buffer(name, share, persistent=False)  # (n, 1)

    def forward(self, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
        """Make one hop: return users (U, D) and items (I, D) from both."""
        return self.to_users(items) + self.of_users * users, self.to_items(users) + self.of_items * items


class InteractionGraph(nn.Module):
    """What users get from their items without regard to the items' degrees."""

    def __init__(self, data: RecDataset):
        super().__init__()
        edges = edges_of(data)
        self.of_sums = ConstantMatrix(edges.matrix(np.ones(len(edges))))
        self.of_means = ConstantMatrix(edges.matrix(1 / edges.degrees()[0]))

    def sum(self, items: Tensor) -> Tensor:
        """Return the sum of each user's items, (U, D), from (I, D)."""
        summed: Tensor = self.of_sums(items)
        return summed

    def mean(self, items: Tensor) -> Tensor:
        """Return the mean of each user's items, (U, D), and zeros for a user without any."""
        mean: Tensor = self.of_means(items)
        return mean


class PrunedGraph(nn.Module):
    """The graph of all training pairs, `full`, and of a part that is redrawn before each epoch, `pruned`."""

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
            self.pruned = UserItemGraph(self.edges.subset(kept)).to(next(self.full.buffers()).device)


def _mean_from(across: Sparse, own: Tensor, n_hops: int) -> tuple[Tensor, Tensor]:
    """Return the mean of the hops on the own side (n, D) and on the other (m, D); `across` (m, n) leads there."""
    hop, sums = own, [own, own.new_zeros(len(across.rows.indptr) - 1, own.shape[1])]
    for number in range(1, n_hops + 1):
        hop = (across if number % 2 else across.t()) @ hop
        sums[number % 2] = sums[number % 2] + hop
    return sums[0] / (n_hops + 1), sums[1] / (n_hops + 1)
