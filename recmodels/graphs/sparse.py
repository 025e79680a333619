"""Sparse matrix times dense matrix, with the right backward pass.

On the CPU a product is an embedding bag: torch's kernel for it sums weighted rows about twice as fast as its CSR
product does (python -m tests.benchmarks.kernels measures both and others), and needs no MKL. On a GPU it is the CSR
product.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from scipy import sparse
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

# torch says once per process that its CSR support is in beta; the products used here are tested against dense ones.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")


class Csr(NamedTuple):
    """Compressed rows: the entries of row r are `indptr[r]:indptr[r + 1]`. Indices are int32."""

    indptr: Tensor
    indices: Tensor
    values: Tensor

    def tensor(self, n_columns: int) -> Tensor:
        size = (len(self.indptr) - 1, n_columns)
        return torch.sparse_csr_tensor(*self, size=size, check_invariants=False)

    def times(self, dense: Tensor) -> Tensor:
        """The product with (m, D), without a gradient."""
        if dense.is_cuda:
            return self.tensor(len(dense)) @ dense
        indptr, indices, values = self
        return torch.embedding_bag(dense, indices, indptr, False, 0, False, values, True)[0]


class Sparse(NamedTuple):
    """A constant (n, m) matrix, and its transpose for the backward pass."""

    rows: Csr
    columns: Csr

    @classmethod
    def from_scipy(cls, matrix: sparse.csr_array) -> "Sparse":
        """Values in torch's default floating type."""
        return cls(_compressed(matrix.tocsr()), _compressed(matrix.T.tocsr()))

    def t(self) -> "Sparse":
        return Sparse(self.columns, self.rows)

    def __matmul__(self, dense: Tensor) -> Tensor:
        """(n, D) from a dense (m, D), with a gradient for the dense one."""
        product: Tensor = _Product.apply(self, dense)
        return product


class ConstantMatrix(nn.Module):
    """A `Sparse` that moves with its model and is not saved with it."""

    def __init__(self, matrix: Sparse):
        super().__init__()
        for side, csr in zip(("rows", "columns"), matrix, strict=True):
            for name, tensor in csr._asdict().items():
                self.register_buffer(f"{side}_{name}", tensor, persistent=False)

    @property
    def matrix(self) -> Sparse:
        rows, columns = (
            Csr(*(self.get_buffer(f"{side}_{name}") for name in Csr._fields)) for side in ("rows", "columns")
        )
        return Sparse(rows, columns)

    def forward(self, dense: Tensor) -> Tensor:
        return self.matrix @ dense


class _Product(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, matrix: Sparse, dense: Tensor) -> Tensor:
        ctx.matrix = matrix
        return matrix.rows.times(dense)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
        return None, ctx.matrix.columns.times(grad.contiguous())


def _compressed(matrix: sparse.csr_array) -> Csr:
    matrix.sort_indices()
    indptr, indices = (torch.from_numpy(part.astype(np.int32)) for part in (matrix.indptr, matrix.indices))
    return Csr(indptr, indices, torch.from_numpy(matrix.data).to(torch.get_default_dtype()))
