"""Keep results that follow from a data set alone: in memory as long as the data set lives, and in its cache folder."""

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar, TypeVarTuple, cast
from weakref import WeakKeyDictionary

from recmodels.data.cache import Table, cached
from recmodels.data.dataset import RecDataset

Result = TypeVar("Result")
Key = TypeVarTuple("Key")

_results: WeakKeyDictionary[RecDataset, dict[Callable[..., Any], dict[Any, Any]]] = WeakKeyDictionary()


def derived(
    entries: int = 1,
) -> Callable[[Callable[[RecDataset, *Key], Result]], Callable[[RecDataset, *Key], Result]]:
    """Decorate a function of a data set and further arguments: its last `entries` results of each data set are kept.

    Equal data sets share results, so they must not be written to. They are freed with the data set, so they must not
    refer to it.
    """

    def decorate(make: Callable[[RecDataset, *Key], Result]) -> Callable[[RecDataset, *Key], Result]:
        @wraps(make)
        def remembered(data: RecDataset, *key: *Key) -> Result:
            made = _results.setdefault(data, {}).setdefault(make, {})  # the key used last is the last
            made[key] = made.pop(key) if key in made else make(data, *key)
            while len(made) > entries:
                del made[next(iter(made))]
            return made[key]

        return remembered

    return decorate


def stored(make: Callable[[], Table], data: RecDataset, kind: str, *key: object) -> Table:
    """Return `make()`, read from the data set's shelf or cache folder or stored there, if it has one.

    `kind` names the result and its version, `key` the arguments other than the data set that it depends on.
    """
    name = "-".join(map(str, (kind, data.fingerprint, *key)))
    if data.shelf:
        return cast(Table, data.shelf(name, make))
    if data.cache_dir is None:
        return make()
    return cached(data.cache_dir / f"{name}.npz", make)
