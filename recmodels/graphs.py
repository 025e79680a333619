"""The user-item graph as compressed rows, and sparse products over it with the right backward pass.

Every sum over edges is one CSR product; its backward is the product with the transposed structure and, where the edge
weights themselves need a gradient, one dense-dense product sampled at the edges. Nothing of size edges x columns is
ever made. Indices are int32: the CPU's sparse kernels take them as they are (one core, 59,541 edges, 64 columns: 0.9 ms
a product against 5.1 ms with int64).
"""

import warnings
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from recmodels.data.dataset import RecDataset

# torch says once per process that its CSR support is in beta; the products used here are tested against dense ones.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")


def _csr(indptr: Tensor, indices: Tensor, values: Tensor, n_columns: int) -> Tensor:
    size = (len(indptr) - 1, n_columns)
    return torch.sparse_csr_tensor(indptr, indices, values, size=size, check_invariants=False)


class SymmetricProduct(torch.autograd.Function):
    """`matrix @ dense` for a constant symmetric CSR matrix: the backward is the same product, nothing is transposed."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, dense: Tensor) -> Tensor:
        ctx.matrix = matrix
        return matrix @ dense

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        return None, ctx.matrix @ grad.contiguous()


class NormalisedAdjacency(nn.Module):
    """D^-1/2 A D^-1/2 of the bipartite training graph, users first: (U + I, U + I), no self-loops.

    He et al., LightGCN, SIGIR 2020, eq. 3. Calling it multiplies a dense (U + I, D) matrix.
    """

    indptr: Tensor
    indices: Tensor
    values: Tensor

    def __init__(self, data: RecDataset):
        super().__init__()
        for name, array in zip(("indptr", "indices", "values"), _normalised_adjacency(data), strict=True):
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    def matrix(self) -> Tensor:
        return _csr(self.indptr, self.indices, self.values, len(self.indptr) - 1)

    def forward(self, dense: Tensor) -> Tensor:
        return SymmetricProduct.apply(self.matrix(), dense)


class UserItemEdges(nn.Module):
    """The training pairs as edges, and the operations over edges that a weighted graph model needs.

    Edge values are always in user-major order (by user, then by item), shape (E,). `edge_users`, `edge_items` (E,)
    int64 name the ends of each edge.
    """

    user_ptr: Tensor
    items: Tensor
    item_ptr: Tensor
    users: Tensor
    item_major: Tensor
    edge_users: Tensor
    edge_items: Tensor

    def __init__(self, data: RecDataset):
        super().__init__()
        self.n_users, self.n_items = data.n_users, data.n_items
        for name, array in _user_item_edges(data).items():
            self.register_buffer(name, torch.from_numpy(array), persistent=False)

    def by_user(self, values: Tensor) -> Tensor:
        """The (U, I) sparse matrix that holds `values` (E,)."""
        return _csr(self.user_ptr, self.items, values, self.n_items)

    def by_item(self, values: Tensor) -> Tensor:
        """Its transpose, (I, U)."""
        return _csr(self.item_ptr, self.users, values[self.item_major], self.n_users)

    def sampled(self, users: Tensor, items: Tensor) -> Tensor:
        """<users[u], items[i]> at every edge, (E,), without a gradient."""
        pattern = self.by_user(users.new_zeros(len(self.items)))
        return torch.sparse.sampled_addmm(pattern, users, items.t(), beta=0.0).values()

    def dot(self, users: Tensor, items: Tensor) -> Tensor:
        """<users[u], items[i]> at every edge, (E,), from (U, D) and (I, D)."""
        return _EdgeDot.apply(users, items, self)

    def sum_to_users(self, values: Tensor, items: Tensor) -> Tensor:
        """Row u is the sum over u's edges of value * items[i], (U, D)."""
        return _SumToUsers.apply(values, items, self)

    def sum_to_items(self, values: Tensor, users: Tensor) -> Tensor:
        """Row i is the sum over i's edges of value * users[u], (I, D)."""
        return _SumToItems.apply(values, users, self)

    def softmax_by_user(self, logits: Tensor) -> Tensor:
        """Softmax over the edges of each user. Logits must be of moderate size (cosines): nothing is subtracted."""
        return _share(logits.exp(), self.edge_users, self.n_users)

    def softmax_by_item(self, logits: Tensor) -> Tensor:
        """Softmax over the edges of each item, as `softmax_by_user`."""
        return _share(logits.exp(), self.edge_items, self.n_items)


def _share(weights: Tensor, group: Tensor, n_groups: int) -> Tensor:
    totals = weights.new_zeros(n_groups).index_add(0, group, weights)
    return weights / totals.index_select(0, group)


class _EdgeDot(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, users: Tensor, items: Tensor, edges: UserItemEdges) -> Tensor:
        ctx.save_for_backward(users, items)
        ctx.edges = edges
        return edges.sampled(users, items)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        users, items = ctx.saved_tensors
        return ctx.edges.by_user(grad) @ items, ctx.edges.by_item(grad) @ users, None


class _SumToUsers(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, items: Tensor, edges: UserItemEdges) -> Tensor:
        ctx.save_for_backward(values, items)
        ctx.edges = edges
        return edges.by_user(values) @ items

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        values, items = ctx.saved_tensors
        grad = grad.contiguous()
        return ctx.edges.sampled(grad, items), ctx.edges.by_item(values) @ grad, None


class _SumToItems(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, users: Tensor, edges: UserItemEdges) -> Tensor:
        ctx.save_for_backward(values, users)
        ctx.edges = edges
        return edges.by_item(values) @ users

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, Tensor, None]:
        values, users = ctx.saved_tensors
        grad = grad.contiguous()
        return ctx.edges.sampled(users, grad), ctx.edges.by_user(values) @ grad, None


@lru_cache(maxsize=2)
def _normalised_adjacency(data: RecDataset) -> tuple[NDArray[Any], ...]:
    # Built once per data set and process: the trials of a worker share these arrays.
    edges = sparse.csr_array(
        (np.ones(len(data.train)), data.train.items, data.train.indptr), shape=(data.n_users, data.n_items)
    )
    graph = sparse.block_array([[None, edges], [edges.T, None]], format="csr")
    scale = sparse.diags_array((graph.sum(axis=1) + 1e-7) ** -0.5)
    graph = (scale @ graph @ scale).tocsr()
    graph.sort_indices()
    return graph.indptr.astype(np.int32), graph.indices.astype(np.int32), graph.data.astype(np.float32)


@lru_cache(maxsize=2)
def _user_item_edges(data: RecDataset) -> dict[str, NDArray[Any]]:
    train, users = data.train, data.train.users
    item_major = np.argsort(train.items, kind="stable")
    item_ptr = np.zeros(data.n_items + 1, dtype=np.int32)
    np.cumsum(np.bincount(train.items, minlength=data.n_items), out=item_ptr[1:])
    return {
        "user_ptr": train.indptr.astype(np.int32),
        "items": train.items.astype(np.int32),
        "item_ptr": item_ptr,
        "users": users[item_major].astype(np.int32),
        "item_major": item_major,
        "edge_users": users,
        "edge_items": train.items.copy(),
    }
