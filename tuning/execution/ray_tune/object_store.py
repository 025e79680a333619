"""Data sets in Ray's object store, where one copy serves all workers of a machine."""

from weakref import WeakKeyDictionary

import ray

from recmodels.data.dataset import RecDataset

_stored: WeakKeyDictionary[RecDataset, ray.ObjectRef] = WeakKeyDictionary()


def in_store(data: RecDataset) -> ray.ObjectRef:
    """Return the data set in the object store of the running Ray, into which it goes once for all searches.

    Tune keeps what a search was given until Ray ends: with a copy for each search the store of an experiment grew until
    it was written to disk.
    """
    if data not in _stored:
        _stored[data] = ray.put(data)
    return _stored[data]


def forget_stored() -> None:
    """Forget what is in the object store, as its Ray ends."""
    _stored.clear()
