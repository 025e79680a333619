"""Some rows of a matrix."""

from scipy import sparse
from torch import Tensor


def select_rows(matrix: Tensor, nodes: Tensor | None) -> Tensor:
    """Return the rows `nodes` (k,) of a dense matrix (n, D); None: all."""
    return matrix if nodes is None else matrix.index_select(0, nodes)


def add_rows(matrix: Tensor, nodes: Tensor | None, rows: Tensor, scale: float = 1.0) -> None:
    """Add `scale` times `rows` (k, D) to the rows `nodes` (k,) of a dense matrix (n, D), in place; None: to all."""
    if nodes is None:
        matrix.add_(rows, alpha=scale)
    else:
        matrix.index_add_(0, nodes, rows, alpha=scale)


def cut_rows(indptr: Tensor, indices: Tensor, values: Tensor, nodes: Tensor, n_columns: int) -> sparse.csr_array:
    """Return the rows `nodes` (k,) of compressed rows on the CPU, (k, m); scipy's loops are faster than torch's."""
    shape = (len(indptr) - 1, n_columns)
    return sparse.csr_array((values.numpy(), indices.numpy(), indptr.numpy()), shape)[nodes.numpy()]
