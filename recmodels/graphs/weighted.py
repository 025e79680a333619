"""The training pairs as edges whose weights have gradients."""

import numpy as np
import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs.edges import edges_of
from recmodels.ops import EdgePattern, Sparse, dot_at_edges, shared_tensor, sum_over_edges


class UserItemEdges(nn.Module):
    """Operations over edges for models that weigh them. Edge values (E,) are by user, then by item.

    Buffers: see `EdgePattern`.
    """

    edge_users: Tensor
    edge_items: Tensor

    def __init__(self, data: RecDataset):
        super().__init__()
        edges = edges_of(data)
        by_user, by_item = edges.matrix(np.ones(len(edges)))
        pattern = EdgePattern(
            by_user.indptr,
            by_user.indices,
            by_item.indptr,
            by_item.indices,
            torch.from_numpy(edges.item_major),
            shared_tensor(edges.users),
            shared_tensor(edges.items),
        )
        for name, tensor in pattern._asdict().items():
            self.register_buffer(name, tensor, persistent=False)

    @property
    def pattern(self) -> EdgePattern:
        return EdgePattern(*(self.get_buffer(name) for name in EdgePattern._fields))

    def matrix(self, values: Tensor) -> Sparse:
        """Return the (U, I) matrix that holds the constant `values` (E,)."""
        return Sparse(self.pattern.by_user(values), self.pattern.by_item(values))

    def dot(self, users: Tensor, items: Tensor) -> Tensor:
        """Return <users[u], items[i]> at every edge, (E,), from (U, D) and (I, D)."""
        return dot_at_edges(self.pattern, users, items)

    def sum_to_users(self, values: Tensor, items: Tensor) -> Tensor:
        """Return for each user the sum of value * items[i] over its edges, (U, D)."""
        return sum_over_edges(self.pattern, values, items)

    def sum_to_items(self, values: Tensor, users: Tensor) -> Tensor:
        """Return for each item the sum of value * users[u] over its edges, (I, D)."""
        return sum_over_edges(self.pattern, values, users, to_items=True)

    def softmax_by_user(self, logits: Tensor) -> Tensor:
        """Return the softmax over the edges of each user, (E,); logits of moderate size, as nothing is subtracted."""
        return _shares(logits.exp(), self.edge_users, len(self.get_buffer("user_ptr")) - 1)

    def softmax_by_item(self, logits: Tensor) -> Tensor:
        """Return the softmax over the edges of each item, (E,), as `softmax_by_user`."""
        return _shares(logits.exp(), self.edge_items, len(self.get_buffer("item_ptr")) - 1)


def _shares(weights: Tensor, nodes: Tensor, n_nodes: int) -> Tensor:
    """Divide each edge's weight by the total of its node, (E,)."""
    totals = weights.new_zeros(n_nodes).index_add(0, nodes, weights)
    return weights / totals.index_select(0, nodes)
