"""Data sets in Ray's object store, where one copy serves all workers of a machine."""

from dataclasses import replace
from typing import Any
from weakref import WeakKeyDictionary

import ray

from recmodels.data.dataset import RecDataset
from tuning.execution.ray_tune.kept_trial import KeptTables

_stored: WeakKeyDictionary[RecDataset, ray.ObjectRef] = WeakKeyDictionary()


def in_store(data: RecDataset, keeper: Any = None) -> ray.ObjectRef:
    """Return the data set in the object store of the running Ray, into which it goes once for all searches.

    Each node gets one copy, also one that joins later. With a `keeper` so do the tables that are derived from the data.
    Tune keeps what a search was given until Ray ends: with a copy for each search the store of an experiment grew until
    it was written to disk.
    """
    if data not in _stored:
        tables = keeper and KeptTables(keeper, str(data.cache_dir) if data.cache_dir else None)
        _stored[data] = ray.put(replace(data, cache_dir=None, shelf=tables) if tables else data)
    return _stored[data]


def forget_stored() -> None:
    """Forget what is in the object store, as its Ray ends."""
    _stored.clear()
