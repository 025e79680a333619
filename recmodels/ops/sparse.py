"""Sparse matrix times dense matrix, with the right backward pass.

On the CPU a product is an embedding bag: torch's kernel for it sums weighted rows about twice as fast as its CSR
product does (python -m tests.benchmarks.kernels measures both and others), and needs no MKL. On a GPU it is the CSR
product.
"""

import warnings
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import sparse
from torch import Tensor, nn

from recmodels.ops.fast import fast
from recmodels.ops.rows import cut_rows

# torch says once per process that its CSR support is in beta; the products used here are tested against dense ones.
warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta state")
warnings.filterwarnings("ignore", message="Sparse invariant checks are implicitly disabled")  # on a GPU


class Csr(NamedTuple):
    """Compressed rows: the entries of row r are `indptr[r]:indptr[r + 1]`. Indices are int32."""

    indptr: Tensor
    indices: Tensor
    values: Tensor

    def tensor(self, n_columns: int) -> Tensor:
        """Return torch's own form of the matrix."""
        size = (len(self.indptr) - 1, n_columns)
        # cuSPARSE takes the values' address; a gradient that was expanded from one number would be read past its end.
        values = self.values.contiguous()
        return torch.sparse_csr_tensor(self.indptr, self.indices, values, size=size, check_invariants=False)

    def to_scipy(self, n_columns: int) -> sparse.csr_array:
        """Return scipy's own form of the matrix, on the CPU."""
        indptr, indices, values = (part.cpu().numpy() for part in self)
        return sparse.csr_array((values, indices, indptr), (len(indptr) - 1, n_columns))

    def times(self, dense: Tensor) -> Tensor:
        """Return the product with (m, D), without a gradient."""
        if dense.is_cuda:
            return self.tensor(len(dense)) @ dense
        indptr, indices, values = self
        return torch.embedding_bag(dense, indices, indptr, False, 0, False, values, True)[0]

    def times_scaled(self, dense: Tensor, scale: float) -> Tensor:
        """Return `scale` times the product; the scale goes into the values, which are fewer than what comes out."""
        return (self if scale == 1 else self._replace(values=self.values * scale)).times(dense)


def gather_and_add(sources: Tensor, targets: Tensor, weights: Tensor, dense: Tensor, n: int) -> Tensor:
    """Return (n, D): row t is the sum of weights[e] * dense[sources[e]] over the entries e with targets[e] = t."""
    messages = dense.index_select(0, sources) * weights.unsqueeze(1)
    return dense.new_zeros(n, dense.shape[1]).index_add(0, targets, messages)


def _forward(ctx: Any, matrix: "Sparse", dense: Tensor) -> Tensor:
    ctx.matrix = matrix
    return matrix.rows.times(dense)


def _backward(ctx: Any, grad: Tensor) -> tuple[None, Tensor]:
    return None, ctx.matrix.columns.times(grad.contiguous())


class Sparse(NamedTuple):
    """A constant (n, m) matrix, and its transpose for the backward pass."""

    rows: Csr
    columns: Csr

    @classmethod
    def from_scipy(cls, matrix: sparse.csr_array) -> "Sparse":
        """Convert a matrix; values in torch's default floating type."""
        return cls(_compressed(matrix.tocsr()), _compressed(matrix.T.tocsr()))

    def t(self) -> "Sparse":
        return Sparse(self.columns, self.rows)

    def at(self, nodes: Tensor | None) -> "Sparse":
        """Return the rows `nodes` (k,) alone, (k, m), on the CPU; None: the matrix itself."""
        if nodes is None:
            return self
        rows = cut_rows(*self.rows, nodes, n_columns=len(self.columns.indptr) - 1)
        return Sparse(_csr(rows), _csr(rows.tocsc()))

    @fast(_forward, _backward)
    def __matmul__(self, dense: Tensor) -> Tensor:
        """Return the product (n, D) with a dense (m, D), with a gradient for the dense one."""
        indptr, columns, values = self.rows
        rows = torch.repeat_interleave(indptr.diff())
        return gather_and_add(columns, rows, values, dense, len(indptr) - 1)


class ConstantMatrix(nn.Module):
    """A `Sparse` that moves with its model and is not saved with it."""

    def __init__(self, matrix: Sparse):
        super().__init__()
        for side, csr in zip(Sparse._fields, matrix, strict=True):
            for name, tensor in csr._asdict().items():
                self.register_buffer(f"{side}_{name}", tensor, persistent=False)

    @property
    def indptr(self) -> Tensor:
        """The starts of the matrix's compressed rows, (n + 1,)."""
        return self.get_buffer("rows_indptr")

    @property
    def matrix(self) -> Sparse:
        return Sparse(*(Csr(*(self.get_buffer(f"{side}_{name}") for name in Csr._fields)) for side in Sparse._fields))

    def forward(self, dense: Tensor, nodes: Tensor | None = None) -> Tensor:
        """Return the product with (m, D), or its rows `nodes` (k,) alone."""
        return self.matrix.at(nodes) @ dense


class Pattern(nn.Module):
    """The places of the E entries of an (n, m) matrix; it moves with its model and is not saved with it.

    Values (E,) come by row. `indptr` (n + 1,) and `indices` (E,) are the compressed rows, `column_indptr` (m + 1,) and
    `column_indices` (E,) the compressed columns, int32. `by_column` (E,): the entries in the order of the columns.
    """

    indptr: Tensor
    indices: Tensor
    column_indptr: Tensor
    column_indices: Tensor
    by_column: Tensor

    def __init__(self, indptr: NDArray[Any], indices: NDArray[Any], n_columns: int):
        super().__init__()
        shape = (len(indptr) - 1, n_columns)
        rows = sparse.csr_array((np.arange(len(indices)), indices, indptr), shape)
        columns = rows.tocsc()
        for side, matrix in {"": rows, "column_": columns}.items():
            for name in ("indptr", "indices"):
                places = torch.from_numpy(getattr(matrix, name).astype(np.int32))
                self.register_buffer(f"{side}{name}", places, persistent=False)
        self.register_buffer("by_column", torch.from_numpy(columns.data), persistent=False)

    def rows(self, values: Tensor) -> Csr:
        """Return the (n, m) matrix that holds `values` (E,)."""
        return Csr(self.indptr, self.indices, values)

    def columns(self, values: Tensor) -> Csr:
        """Return its transpose, (m, n)."""
        return Csr(self.column_indptr, self.column_indices, values.index_select(0, self.by_column))

    def sampled(self, left: Tensor, right: Tensor) -> Tensor:
        """Return <left[row], right[column]> at every entry, (E,), from (n, D) and (m, D), without a gradient."""
        pattern = self.rows(left.new_zeros(len(self.indices))).tensor(len(right))
        return torch.sparse.sampled_addmm(pattern, left, right.t(), beta=0.0).values()

    def matrix(self, values: Tensor) -> Sparse:
        """Return the (n, m) matrix that holds the constant `values` (E,)."""
        return Sparse(self.rows(values), self.columns(values))


def _compressed(matrix: sparse.csr_array) -> Csr:
    matrix.sort_indices()
    indptr, indices = (torch.from_numpy(part.astype(np.int32)) for part in (matrix.indptr, matrix.indices))
    return Csr(indptr, indices, torch.from_numpy(matrix.data).to(torch.get_default_dtype()))


def _csr(matrix: sparse.csr_array | sparse.csc_array) -> Csr:
    return Csr(*(torch.from_numpy(part) for part in (matrix.indptr, matrix.indices, matrix.data)))
