"""The principal part of the user-item graph against a dense decomposition."""

import numpy as np
import pytest

from recmodels.data.dataset import RecDataset
from recmodels.graphs import principal, principal_edges
from recmodels.graphs.edges import edges_of
from recmodels.testing import small_data
from tests.recmodels.factories import held_out


def normalised(data: RecDataset) -> np.ndarray:
    """D^-1/2 A D^-1/2 as its (U, I) block."""
    edges = edges_of(data)
    dense = np.zeros(edges.shape)
    dense[edges.users, edges.items] = edges.symmetric_weights()
    return dense


@pytest.mark.parametrize("block", [1, 200, 2**24])
@pytest.mark.parametrize("size", [1, 8, 16, 40])
@pytest.mark.parametrize("data", [held_out(), small_data()], ids=["held", "small"])
def test_it_is_the_sum_of_the_leading_triplets(
    monkeypatch: pytest.MonkeyPatch, data: RecDataset, size: int, block: int
) -> None:
    """By the sparse method where few of the triplets are wanted, and by the dense one."""
    monkeypatch.setattr(principal, "BLOCK", block)
    edges, weights = principal_edges.__wrapped__(data, size)
    left, values, right = np.linalg.svd(normalised(data), full_matrices=False)
    last, p = min(max(1, size // 2), len(values)), max(1, size // 8)
    expected = sum(values[j] * values[last - p + j] * np.outer(left[:, j], right[j]) for j in range(p))
    expected[np.abs(expected) < 1e-3] = 0.0
    found = np.zeros(edges.shape)
    found[edges.users, edges.items] = weights
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert np.array_equal(np.lexsort((edges.items, edges.users)), np.arange(len(edges)))


def test_equal_calls_have_equal_bits() -> None:
    one, other = (principal_edges.__wrapped__(held_out(), 16)[1] for _ in range(2))
    assert np.array_equal(one, other)
    assert principal_edges(held_out(), 16)[0] is principal_edges(held_out(), 16)[0]
