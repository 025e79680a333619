"""Tensor helpers against torch's own slower ones."""

import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from recmodels.ops import Dropout, frobenius, shared_tensor, unit_rows


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
        tensor = shared_tensor(array)
    assert tensor.data_ptr() == array.ctypes.data


def test_frobenius_is_the_norm_and_flat_at_zero() -> None:
    matrix = torch.randn(3, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(frobenius, matrix)
    torch.testing.assert_close(frobenius(matrix), matrix.norm())
    zero = torch.zeros(3, 4, requires_grad=True)
    frobenius(zero).backward()
    assert (zero.grad == 0).all()


def test_dropout_keeps_the_mean() -> None:
    torch.manual_seed(0)
    values = torch.ones(200, 200)
    dropped = Dropout(0.25)(values)
    assert dropped.mean() == pytest.approx(1, abs=0.02)
    assert dropped.unique().tolist() == [0, pytest.approx(4 / 3)]
    assert Dropout(0.0)(values) is values
