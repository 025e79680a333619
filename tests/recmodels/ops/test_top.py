"""The largest entries of long rows, against torch's own search."""

import pytest
import torch

from recmodels.ops import top_columns


@pytest.mark.parametrize("k", [1, 3, 10])
@pytest.mark.parametrize("m", [10, 159, 161, 2000, 2003])
def test_columns_are_those_of_the_largest_entries(m: int, k: int) -> None:
    """Where the number of entries is a multiple of that of a group, and where some are left over."""
    values = torch.randn(7, m, generator=torch.Generator().manual_seed(m))
    assert torch.equal(top_columns(values, k).sort(dim=1).values, values.topk(k).indices.sort(dim=1).values)


def test_equal_entries_are_found_once_each() -> None:
    values = torch.ones(2, 1000)
    values[1, ::3] = 2
    found = top_columns(values, 5)
    assert all(len(row.unique()) == 5 for row in found)
    assert (found[1] % 3 == 0).all()
