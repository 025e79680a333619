"""Results derived from a data set are shared by all who ask, and go with the data set."""

import gc
import weakref
from dataclasses import replace
from pathlib import Path

import numpy as np

from recmodels.data.dataset import RecDataset
from recmodels.data.derived import derived, stored
from recmodels.graphs.edges import edges_of
from recmodels.graphs.items import nearest_items
from recmodels.graphs.users import nearest_users
from recmodels.models import MODELS
from recmodels.testing import small_data

calls: list[tuple[object, ...]] = []


@derived(entries=2)
def noted(data: RecDataset, *key: int) -> list[int]:
    calls.append((data.name, *key))
    return [*key]


def test_a_result_is_made_once_for_equal_data_sets() -> None:
    data = small_data("image")
    calls.clear()
    first = noted(data, 1)
    assert noted(data, 1) is first
    assert noted(replace(data), 1) is first
    assert noted(replace(data, fingerprint="another"), 1) is not first
    assert len(calls) == 2


def test_the_oldest_result_is_dropped() -> None:
    data = small_data("image")
    calls.clear()
    for key in (1, 2, 1, 3, 1, 2):
        noted(data, key)
    assert [key for _, key in calls] == [1, 2, 3, 2]


def test_models_of_one_data_set_share_its_graphs() -> None:
    data = small_data("image")
    one, other = (MODELS["SLMRec"](data).content["image"] for _ in range(2))
    assert one.users.data_ptr() == other.users.data_ptr()
    one, other = (MODELS["LayerGCN"](data).graph for _ in range(2))
    assert one.edges is other.edges
    assert nearest_users(data, 3) is nearest_users(data, 3)
    assert nearest_items(data, "image", 3) is nearest_items(data, "image", 3)


def test_a_data_set_is_freed_with_all_that_was_derived_from_it() -> None:
    # An equal data set that another test has left alive would share, and keep, the results.
    data = replace(small_data("image", "text"), fingerprint="of this test alone")
    for name in ("SLMRec", "FREEDOM", "DRAGON"):
        MODELS[name](data)
    gone = [weakref.ref(data), weakref.ref(edges_of(data)), weakref.ref(nearest_items(data, "image", 10))]
    del data
    gc.collect()
    assert [reference() for reference in gone] == [None] * 3


def test_a_stored_result_is_read_again(tmp_path: Path) -> None:
    data = replace(small_data(), cache_dir=tmp_path)
    made = stored(lambda: np.arange(3), data, "kind-v1", "image", 5)
    assert [path.name for path in tmp_path.iterdir()] == ["kind-v1-small--image-5.npz"]
    again = stored(lambda: np.zeros(3, dtype=np.int64), data, "kind-v1", "image", 5)
    assert again.tolist() == made.tolist() == [0, 1, 2]
    assert stored(lambda: np.zeros(3, dtype=np.int64), replace(data, cache_dir=None), "kind-v1").tolist() == [0] * 3
