"""Matrices of features side by side are the joint matrix, and no copy of them."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmodels.models.parts import item_features
from recmodels.models.parts.item_features import JoinedFeatures, feature_tables, shifted

MATRICES = [np.random.default_rng(0).standard_normal((7, width), dtype=np.float32) for width in (3, 5)]
JOINT = torch.from_numpy(np.concatenate(MATRICES, axis=1))


def test_rows_are_those_of_the_joint_matrix_and_nothing_is_copied() -> None:
    items, features = torch.tensor([6, 0, 0, 3]), JoinedFeatures(MATRICES)
    assert torch.equal(features.rows(items), JOINT[items])
    for table, matrix in zip(feature_tables(features), MATRICES, strict=True):
        assert np.shares_memory(table.table.numpy(), matrix)


@pytest.mark.parametrize("bias", [None, torch.tensor([1.0, -2.0])])
@pytest.mark.parametrize("block", [1, 4, 7, 2048])
def test_all_rows_are_mapped_in_blocks(monkeypatch: pytest.MonkeyPatch, block: int, bias: Tensor | None) -> None:
    monkeypatch.setattr(item_features, "BLOCK", block)
    weight = torch.randn(2, 8)
    torch.testing.assert_close(JoinedFeatures(MATRICES).linear(weight, bias), F.linear(JOINT, weight, bias))


def test_each_matrix_is_shifted_by_a_delta_of_its_own() -> None:
    items, features = torch.tensor([1, 4]), JoinedFeatures(MATRICES)
    deltas = [torch.randn(2, 3), torch.randn(2, 5)]
    with shifted(feature_tables(features), items, deltas):
        assert torch.equal(features.rows(items), JOINT[items] + torch.cat(deltas, dim=1))
    assert torch.equal(features.rows(items), JOINT[items])


@pytest.mark.parametrize("block", [1, 4, 2048])
def test_all_rows_are_mapped_with_their_shifts(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr(item_features, "BLOCK", block)
    items, features, weight = torch.tensor([1, 4]), JoinedFeatures(MATRICES), torch.randn(2, 8)
    deltas = [torch.randn(2, 3), torch.randn(2, 5)]
    moved = JOINT.index_add(0, items, torch.cat(deltas, dim=1))
    with shifted(feature_tables(features), items, deltas):
        torch.testing.assert_close(features.linear(weight), F.linear(moved, weight))
