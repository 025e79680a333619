"""A digest of the content of a data set that does not depend on how it was made."""

import hashlib
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import Interactions, Split


def fingerprint(
    n_users: int,
    n_items: int,
    splits: tuple[Interactions, ...],
    features: Mapping[str, NDArray[np.float32]],
    candidates: Mapping[Split, NDArray[np.int64]] | None = None,
) -> str:
    """Return SHA-256 over sizes, splits, modality names, feature values and candidates, 64 hex digits; the same on any
    machine."""
    digest = hashlib.sha256(f"{n_users} {n_items}".encode())
    arrays = [array for split in splits for array in (split.indptr, split.items)]
    named = [("", array) for array in arrays] + list(features.items()) + list((candidates or {}).items())
    for name, array in named:
        digest.update(f"|{name} {array.shape}|".encode())
        little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
        digest.update(np.ascontiguousarray(little_endian).data)
    return digest.hexdigest()
