"""The distinct ids of a batch, as the CPU and as a GPU finds them."""

import pytest
import torch

from recmodels.ops import distinct_ids
from tests.recmodels.pretended_gpu import Pretended, host

IDS = torch.tensor([[7, 2, 7, 9], [2, 2, 0, 7]])


def test_values_are_distinct_and_ascending() -> None:
    found = distinct_ids(IDS)
    assert found.values.tolist() == [0, 2, 7, 9]
    assert found.place.tolist() == [[2, 1, 2, 3], [1, 1, 0, 2]]
    assert found.first().all()
    assert found.counts().tolist() == [1, 3, 3, 1]


@pytest.mark.parametrize("ids", [IDS, IDS.t(), IDS[:, 1::2], IDS[0], torch.tensor([3])])
def test_without_a_wait_equal_ids_share_a_place(ids: torch.Tensor) -> None:
    """Which is all that a model needs; the other places stay unused."""
    with Pretended() as gpu:
        found = distinct_ids(ids.to("cuda"))
        values, place, first = host(found.values), host(found.place), host(found.first())
        counts = host(found.counts())
    assert not gpu.waits
    assert place.shape == ids.shape
    assert torch.equal(values[place], ids)
    assert len(place.unique()) == len(ids.unique())
    assert torch.equal(values[first], ids.unique())
    assert torch.equal(counts[first], ids.unique(return_counts=True)[1].float())
    assert not counts[~first].any()
