"""A data set as arrays: three splits by user, one feature matrix per modality."""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from recmodels.data.ids import IdMaps, IdSource, numbers_as_ids
from recmodels.errors import DataError

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Interactions:
    """One split in compressed rows. The items of user u are `items[indptr[u]:indptr[u + 1]]`, ascending.

    `indptr` (n_users + 1,) int64; `items` (n,) int64. Each (user, item) pair occurs once.
    """

    indptr: NDArray[np.int64]
    items: NDArray[np.int64]

    @classmethod
    def from_pairs(cls, users: NDArray[np.integer], items: NDArray[np.integer], n_users: int) -> "Interactions":
        """Sort (n,) users and (n,) items into compressed rows."""
        order = np.lexsort((items, users))
        indptr = np.zeros(n_users + 1, dtype=np.int64)
        np.cumsum(np.bincount(users, minlength=n_users), out=indptr[1:])
        return cls(indptr, np.ascontiguousarray(items[order], dtype=np.int64))

    @classmethod
    def by_label(cls, users: Ints, items: Ints, labels: NDArray[np.integer], n_users: int) -> "Splits":
        """Return training, validation and test: the pairs with label 0, 1 and 2; all arrays are (n,)."""
        parts = [cls.from_pairs(users[labels == label], items[labels == label], n_users) for label in range(3)]
        return parts[0], parts[1], parts[2]

    def __len__(self) -> int:
        return len(self.items)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Number of items of each user, (n_users,)."""
        return np.diff(self.indptr)

    @property
    def users(self) -> NDArray[np.int64]:
        """User of each entry of `items`, (n,) ascending."""
        return np.repeat(np.arange(len(self.indptr) - 1, dtype=np.int64), self.counts)


Shelf = Callable[[str, Callable[[], NDArray[np.integer]]], NDArray[np.integer]]
"""Returns the table of a name: the one that it keeps, or what the function makes, which it then keeps."""
Splits = tuple[Interactions, Interactions, Interactions]
Split = Literal["valid", "test"]


@dataclass(frozen=True, eq=False)
class RecDataset:
    """Everything that a model may know, in NumPy arrays, so that one copy in memory serves all processes of a machine.

    `features`: modality name -> float32 (n_items, dim), row i belongs to item i; may be empty.
    `fingerprint`: hex digest of the content, computed unless it is given; `replace(data, ..., fingerprint="")` computes
    it again. Two data sets are equal if and only if their fingerprints are.
    `cache_dir`: folder for results that are slow to derive from the data; None: they are not kept. `shelf`: keeps them
    instead, for a data set that is used on another machine than that of the folder.
    `candidates`: items that the one positive of each user of a split is ranked against, int64 (users of the split, n),
    users ascending; None: all items except the user's training items, as in MMRec.
    `id_source`: reads the original ids; None: there are none.
    """

    name: str
    n_users: int
    n_items: int
    train: Interactions
    valid: Interactions
    test: Interactions
    features: Mapping[str, NDArray[np.float32]] = field(repr=False)
    fingerprint: str = ""
    cache_dir: Path | None = None
    shelf: Shelf | None = field(default=None, repr=False)
    candidates: Mapping[Split, NDArray[np.int64]] | None = field(default=None, repr=False)
    id_source: IdSource | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not self.fingerprint:
            object.__setattr__(self, "fingerprint", content_digest(self))

    @property
    def splits(self) -> Splits:
        """Training, validation and test."""
        return self.train, self.valid, self.test

    @cached_property
    def ids(self) -> IdMaps:
        """Original ids, read at the first access; the numbers as text if the data set has none.

        Raises DataError for files that cannot be read or do not fit the data set.
        """
        if self.id_source is None:
            return IdMaps(numbers_as_ids(self.n_users), numbers_as_ids(self.n_items))
        ids = self.id_source.read(self.id_source.folder)
        if (len(ids.users), len(ids.items)) != (self.n_users, self.n_items):
            found = f"ids of {len(ids.users)} users and {len(ids.items)} items"
            expected = f"{self.n_users} and {self.n_items} as in {self.name}"
            raise DataError(f"{self.id_source.folder}: {found}, expected {expected}")
        return ids

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RecDataset) and self.fingerprint == other.fingerprint

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __str__(self) -> str:
        widths = ", ".join(f"{name} {matrix.shape[1]}" for name, matrix in self.features.items()) or "no features"
        return (
            f"{self.name}: {self.n_users:,} users x {self.n_items:,} items, "
            f"{len(self.train):,} / {len(self.valid):,} / {len(self.test):,} interactions, {widths}"
        )


def content_digest(data: RecDataset) -> str:
    """Return the SHA-256 of sizes, splits, modality names, feature values and candidates, 64 hex digits.

    It depends on the content alone: neither on the machine nor on how the data set was made.
    """
    digest = hashlib.sha256(f"{data.n_users} {data.n_items}".encode())
    splits = [("", array) for split in data.splits for array in (split.indptr, split.items)]
    arrays: list[tuple[str, NDArray[Any]]] = [*splits, *data.features.items(), *(data.candidates or {}).items()]
    for name, array in arrays:
        digest.update(f"|{name} {array.shape}|".encode())
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(np.ascontiguousarray(little_endian).data)
    return digest.hexdigest()
