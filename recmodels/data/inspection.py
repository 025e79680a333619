"""What a data set holds, as plain dictionaries of numbers: sizes, splits, degrees, cold items, leaks, features."""

import hashlib
from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import Interactions, RecDataset

Facts = dict[str, Any]

PERCENTILES = {"min": 0, "p5": 5, "p25": 25, "median": 50, "p75": 75, "p95": 95, "max": 100}


def inspect_data(data: RecDataset) -> Facts:
    """All of the below; every value is a number, a text, None, or a list or dictionary of such."""
    return {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "sizes": sizes(data),
        "splits": {name: split_sizes(split) for name, split in _splits(data).items()},
        "degrees": {"user": degrees(data.train.counts), "item": degrees(popularity(data))},
        "cold": cold(data),
        "leaks": leaks(data),
        "features": {name: features(matrix) for name, matrix in data.features.items()},
    }


def sizes(data: RecDataset) -> Facts:
    """`density`: interactions of all splits over users times items. `ranked_against`: None for all items, else the
    number of candidates that each positive of validation and test is ranked against."""
    n = sum(len(split) for split in _splits(data).values())
    lists = {name: rows.shape[1] for name, rows in (data.candidates or {}).items()}
    return {
        "users": data.n_users,
        "items": data.n_items,
        "interactions": n,
        "density": n / (data.n_users * data.n_items),
        "ranked_against": lists or None,
    }


def split_sizes(split: Interactions) -> Facts:
    """Interactions, and the users and items that have one."""
    users = int((split.counts > 0).sum())
    return {"interactions": len(split), "users": users, "items": len(np.unique(split.items))}


def popularity(data: RecDataset) -> NDArray[np.int64]:
    """Training interactions of each item, (n_items,)."""
    return np.bincount(data.train.items, minlength=data.n_items)


def degrees(counts: NDArray[np.int64]) -> Facts:
    """Mean and percentiles of training interactions; `none`: how many have none, and count all the same."""
    return {**percentiles(counts), "none": int((counts == 0).sum())}


def percentiles(values: NDArray[Any]) -> Facts:
    found = np.percentile(values, list(PERCENTILES.values()))
    return {"mean": float(np.mean(values, dtype=np.float64)), **dict(zip(PERCENTILES, found.tolist(), strict=True))}


def cold(data: RecDataset) -> Facts:
    """What training never shows: items, those of them that validation and test ask for, and in how many interactions;
    users, who are not evaluated."""
    unseen = popularity(data) == 0
    held = {"valid": data.valid, "test": data.test}
    return {
        "items": int(unseen.sum()),
        "items_in": {name: int(unseen[np.unique(split.items)].sum()) for name, split in held.items()},
        "interactions_in": {name: int(unseen[split.items].sum()) for name, split in held.items()},
        "users": int((data.train.counts == 0).sum()),
        "users_not_evaluated": {name: int((split.counts == 0).sum()) for name, split in held.items()},
    }


def leaks(data: RecDataset) -> Facts:
    """Pairs of user and item that stand in two splits, and `repeated`: that a split repeats."""
    keys = {name: split.users * data.n_items + split.items for name, split in _splits(data).items()}
    distinct = {name: np.unique(each) for name, each in keys.items()}
    both = [("train", "valid"), ("train", "test"), ("valid", "test")]
    shared = {f"{a}_and_{b}": len(np.intersect1d(distinct[a], distinct[b], assume_unique=True)) for a, b in both}
    return {**shared, "repeated": sum(len(keys[name]) - len(distinct[name]) for name in keys)}


def features(matrix: NDArray[np.float32]) -> Facts:
    """Shape, lengths of the rows, and rows that tell nothing.

    `zero_rows`: all zero. `repeated_rows`: equal to another row. `commonest_rows`: equal to the most frequent one, if
    that stands twice at least; `commonest_is`: "zero", "mean" (of the other rows), or "other". Missing features are
    mostly filled with zeros or the mean. `constant_columns`: the same in every row.
    """
    norms = np.sqrt(np.einsum("ij,ij->i", matrix, matrix, dtype=np.float64))
    row_of, counts = _distinct_rows(matrix)
    often = int(counts.max())
    chosen = row_of[counts.argmax()]
    return {
        "shape": list(matrix.shape),
        "norms": percentiles(norms),
        "zero_rows": int((norms == 0).sum()),
        "repeated_rows": int(counts[counts > 1].sum()),
        "commonest_rows": often if often > 1 else 0,
        "commonest_is": _kind(matrix, matrix[chosen], often, float(np.median(norms))) if often > 1 else None,
        "constant_columns": int((matrix == matrix[0]).all(axis=0).sum()),
    }


def _distinct_rows(matrix: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each distinct row, by first appearance: the first place, and how often it stands there."""
    zero = np.float32(0)  # -0 + 0 is 0: zeros of either sign are the same
    digests = [hashlib.blake2b(row + zero, digest_size=16).digest() for row in matrix]
    first: dict[bytes, int] = {}
    for place, digest in enumerate(digests):
        first.setdefault(digest, place)
    counts = Counter(digests)
    return np.array(list(first.values())), np.array([counts[digest] for digest in first])


def _kind(matrix: NDArray[np.float32], row: NDArray[np.float32], often: int, typical_norm: float) -> str:
    """What the commonest row is, of which there are `often`."""
    if not row.any():
        return "zero"
    others = (matrix.sum(axis=0, dtype=np.float64) - often * row.astype(np.float64)) / max(len(matrix) - often, 1)
    # Half precision, in which features are often stored, is good to 0.1 percent.
    return "mean" if np.linalg.norm(row - others) <= 0.01 * typical_norm else "other"


def _splits(data: RecDataset) -> dict[str, Interactions]:
    return {"train": data.train, "valid": data.valid, "test": data.test}
