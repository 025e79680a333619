"""Some rows of a sparse matrix: where a loss reads few rows of a product, the others need not be computed."""

from scipy import sparse
from torch import Tensor

SHARE = 0.5
"""Rows that hold a smaller share of a matrix's entries are cut out of it, which costs about a third of a product."""


def few_entries(indptr: Tensor, nodes: Tensor) -> bool:
    """Return whether the rows `nodes` (k,) hold less than `SHARE` of the entries of compressed rows.

    Never on a GPU, where a product costs less than to wait for the number.
    """
    if indptr.is_cuda:
        return False
    held = indptr.index_select(0, nodes + 1).sum() - indptr.index_select(0, nodes).sum()
    return bool(held < SHARE * indptr[-1])


def select_rows(matrix: Tensor, nodes: Tensor | None) -> Tensor:
    """Return the rows `nodes` (k,) of a dense matrix (n, D); None: all."""
    return matrix if nodes is None else matrix.index_select(0, nodes)


def cut_rows(indptr: Tensor, indices: Tensor, values: Tensor, nodes: Tensor, n_columns: int) -> sparse.csr_array:
    """Return the rows `nodes` (k,) of compressed rows on the CPU, (k, m)."""
    shape = (len(indptr) - 1, n_columns)
    return sparse.csr_array((values.numpy(), indices.numpy(), indptr.numpy()), shape)[nodes.numpy()]
