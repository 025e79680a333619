"""Tensor helpers against torch's own slower ones."""

import warnings

import numpy as np
import torch
import torch.nn.functional as F

from recmodels.tensors import constant, unit_rows


def test_unit_rows_is_normalize_with_its_gradient() -> None:
    generator = torch.Generator().manual_seed(0)
    matrix, weights = torch.randn(2, 5, 3, dtype=torch.float64, generator=generator)
    matrix[2] = 0
    matrix.requires_grad_()
    ours, theirs = unit_rows(matrix), F.normalize(matrix)
    torch.testing.assert_close(ours, theirs)
    (mine,), (reference,) = (torch.autograd.grad(each, matrix, weights) for each in (ours, theirs))
    torch.testing.assert_close(mine, reference)


def test_constant_shares_the_memory_of_a_read_only_array_without_a_warning() -> None:
    array = np.arange(3)
    array.flags.writeable = False
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tensor = constant(array)
    assert tensor.data_ptr() == array.ctypes.data
