"""EASE: Steck, Embarrassingly Shallow Autoencoders for Sparse Data, WWW 2019, arXiv 1905.03375."""

import os

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.errors import DataError
from recmodels.models.item_to_item import ItemToItem
from recmodels.ops import Csr
from recmodels.signatures import Positive

LARGEST = 2**16
"""Items at most: their matrix takes 16 GiB, a little more than that of the 63,001 items of electronics."""


class EASE(ItemToItem):
    """A linear map from a user's items to the scores of all items, none of which counts for itself: a floor that a
    trained model has to beat.

    The closed form of eq. 8. It works in the memory of one matrix of items by items, 4 bytes a number. DataError for
    more than LARGEST items, and on a machine that is smaller than the matrix.
    """

    weights: Tensor

    def __init__(self, data: RecDataset, *, reg_weight: Positive = 100.0):
        super().__init__(data, reg_weight=reg_weight)
        self.register_buffer("weights", closed_form(data, reg_weight), persistent=False)  # (I, I)

    def summed(self, places: Tensor, items: Tensor, n: int) -> Tensor:
        starts = torch.searchsorted(places, torch.arange(n + 1, device=places.device))
        rows = Csr(starts.int(), items.int(), self.weights.new_ones(len(items)))
        return rows.times(self.weights).t().contiguous()


def closed_form(data: RecDataset, reg_weight: float) -> Tensor:
    """Return B (I, I): column j holds the weights of all items for the score of item j.

    B = - P / diag(P), its columns divided by the diagonal of P = (X^T X + `reg_weight` I)^-1; its own diagonal is 0.
    """
    _check_size(data)
    train = data.train
    has = sparse.csr_array((np.ones(len(train), np.float32), train.items, train.indptr), (data.n_users, data.n_items))
    matrix = torch.from_numpy((has.T @ has).toarray())
    matrix.diagonal().add_(reg_weight)
    # In place: in the column order of LAPACK, of which the transpose of a symmetric matrix is a view.
    by_column, fault = matrix.t(), torch.empty((), dtype=torch.int32)
    torch.linalg.cholesky_ex(by_column, out=(by_column, fault))
    if fault:
        found = f"no inverse in single precision at reg_weight={reg_weight}, expected a larger one"
        raise DataError(f"{data.name}: EASE's matrix has {found}")
    torch.cholesky_inverse(by_column, out=by_column)
    matrix.div_(-matrix.diagonal().clone())
    return matrix.fill_diagonal_(0.0)


def _check_size(data: RecDataset) -> None:
    size = 4 * data.n_items**2
    known = "SC_PHYS_PAGES" in getattr(os, "sysconf_names", ())
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") if known else size
    if data.n_items > LARGEST or size > there:
        found = f"{data.n_items:,} items by {data.n_items:,}, {size / 2**30:.1f} GiB"
        limit = f"{LARGEST:,} items and {there / 2**30:.1f} GiB, the memory of this machine"
        raise DataError(f"{data.name}: EASE needs a matrix of {found}, expected at most {limit}")
