"""A data set goes into Ray's object store once, whatever the number of searches, and is forgotten with its Ray."""

import gc
from dataclasses import replace
from pathlib import Path

import pytest
import ray

from tests.recmodels.factories import checkerboard
from tuning.execution.ray_tune import object_store
from tuning.execution.ray_tune.kept_trial import KeptTables
from tuning.execution.ray_tune.object_store import forget_stored, in_store


def test_equal_data_are_put_once_and_no_longer_than_they_live(monkeypatch: pytest.MonkeyPatch) -> None:
    put: list[str] = []
    monkeypatch.setattr(ray, "put", lambda data: put.append(data.name) or f"reference {len(put)}")
    forget_stored()
    data, other = checkerboard(), replace(checkerboard(), name="other", fingerprint="another")
    assert [in_store(data), in_store(replace(data)), in_store(other)] == ["reference 1", "reference 1", "reference 2"]
    assert put == [data.name, "other"]
    del data
    gc.collect()
    assert len(object_store._stored) == 1
    forget_stored()
    assert in_store(other) == "reference 3"
    forget_stored()


def test_with_a_keeper_the_tables_of_data_are_kept_by_it_and_not_in_a_folder_of_the_node(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(ray, "put", lambda data: data)
    for folder in (Path("cache"), None):
        forget_stored()
        data = replace(checkerboard(), cache_dir=folder)
        stored: object = in_store(data, "keeper")
        assert stored == data
        assert vars(stored)["cache_dir"] is None
        assert vars(stored)["shelf"] == KeptTables("keeper", "cache" if folder else None)
    forget_stored()
