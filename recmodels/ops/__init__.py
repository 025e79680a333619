"""Operations that torch lacks or does slowly, each beside a plain twin; `with plain():` runs the twins."""

from recmodels.ops.distinct import Distinct, distinct_ids
from recmodels.ops.fast import fast, plain
from recmodels.ops.hops import sum_of_hops
from recmodels.ops.neighbours import neighbour_losses
from recmodels.ops.refined import sum_of_refined_hops
from recmodels.ops.rows import cut_rows, select_rows
from recmodels.ops.softmax import cross_entropy_of_own_key, rows_at_a_time, summed_cross_entropy
from recmodels.ops.sparse import ConstantMatrix, Csr, Pattern, Sparse, gather_and_add
from recmodels.ops.tensors import Dropout, cosine, frobenius, shared_tensor, unit_rows, uploaded
from recmodels.ops.top import top_columns

__all__ = [
    "ConstantMatrix",
    "Csr",
    "Distinct",
    "Dropout",
    "Pattern",
    "Sparse",
    "cosine",
    "cross_entropy_of_own_key",
    "cut_rows",
    "distinct_ids",
    "fast",
    "frobenius",
    "gather_and_add",
    "neighbour_losses",
    "plain",
    "rows_at_a_time",
    "select_rows",
    "shared_tensor",
    "sum_of_hops",
    "sum_of_refined_hops",
    "summed_cross_entropy",
    "top_columns",
    "unit_rows",
    "uploaded",
]
