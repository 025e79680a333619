"""Describe a data set in plain dictionaries of numbers: sizes, splits, degrees, cold items, leaks, features."""

import hashlib
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import Interactions, RecDataset
from recmodels.data.splits import SPLITS

Facts = dict[str, Any]

PERCENTILES = {"min": 0, "p5": 5, "p25": 25, "median": 50, "p75": 75, "p95": 95, "max": 100}


def inspect_data(data: RecDataset) -> Facts:
    """Return the results of all functions below: numbers, texts and None, in lists and dictionaries."""
    return {
        "name": data.name,
        "fingerprint": data.fingerprint,
        "sizes": sizes(data),
        "splits": {name: split_sizes(split) for name, split in zip(SPLITS, data.splits, strict=True)},
        "degrees": {"user": degrees(data.train.counts), "item": degrees(training_counts(data))},
        "cold": cold(data),
        "leaks": leaks(data),
        "features": {name: features(matrix) for name, matrix in data.features.items()},
    }


def sizes(data: RecDataset) -> Facts:
    """Count users, items and interactions. `density`: interactions of all splits over users times items.

    `ranked_against`: the number of candidates that each positive of validation and test is ranked against; None if
    against all items."""
    n = sum(map(len, data.splits))
    lists = {name: rows.shape[1] for name, rows in (data.candidates or {}).items()}
    return {
        "users": data.n_users,
        "items": data.n_items,
        "interactions": n,
        "density": n / (data.n_users * data.n_items),
        "ranked_against": lists or None,
    }


def split_sizes(split: Interactions) -> Facts:
    """Count the interactions, and the users and items that have one."""
    return {"interactions": len(split), "users": int((split.counts > 0).sum()), "items": len(np.unique(split.items))}


def training_counts(data: RecDataset) -> NDArray[np.int64]:
    """Return the number of training interactions of each item, (n_items,)."""
    return np.bincount(data.train.items, minlength=data.n_items)


def degrees(counts: NDArray[np.int64]) -> Facts:
    """Return mean and percentiles of training interactions; `none`: how many users or items have none."""
    return {**percentiles(counts), "none": int((counts == 0).sum())}


def percentiles(values: NDArray[Any]) -> Facts:
    """Return the mean and the PERCENTILES of the values."""
    found = np.percentile(values, list(PERCENTILES.values()))
    return {"mean": float(np.mean(values, dtype=np.float64)), **dict(zip(PERCENTILES, found.tolist(), strict=True))}


def cold(data: RecDataset) -> Facts:
    """Count items and users without a training interaction, and how often such items occur in validation and test.

    `users_not_evaluated`: users without an interaction in the split; those without a training interaction are among
    them."""
    unseen = training_counts(data) == 0
    held = {"valid": data.valid, "test": data.test}
    return {
        "items": int(unseen.sum()),
        "items_in": {name: int(unseen[np.unique(split.items)].sum()) for name, split in held.items()},
        "interactions_in": {name: int(unseen[split.items].sum()) for name, split in held.items()},
        "users": int((data.train.counts == 0).sum()),
        "users_not_evaluated": {name: int((split.counts == 0).sum()) for name, split in held.items()},
    }


def leaks(data: RecDataset) -> Facts:
    """Count pairs of user and item that are in two splits, and `repeated` ones in the same split."""
    keys = {name: split.users * data.n_items + split.items for name, split in zip(SPLITS, data.splits, strict=True)}
    distinct = {name: np.unique(each) for name, each in keys.items()}
    both = combinations(SPLITS, 2)
    shared = {f"{a}_and_{b}": len(np.intersect1d(distinct[a], distinct[b], assume_unique=True)) for a, b in both}
    return {**shared, "repeated": sum(len(keys[name]) - len(distinct[name]) for name in keys)}


def features(matrix: NDArray[np.float32]) -> Facts:
    """Describe a feature matrix (items, dim): shape, norms of the rows, and rows and columns without information.

    `zero_rows`: all zero. `repeated_rows`: equal to another row. `commonest_rows`: how often the most frequent row
    occurs, 0 if no row occurs twice. `commonest_is`: "zero", "mean" (of the other rows) or "other"; missing features
    are mostly filled with zeros or the mean. `constant_columns`: the same in every row.
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
    """Return, for each distinct row in order of first appearance, its first index and how often it occurs."""
    zero = np.float32(0)  # -0 + 0 is 0: zeros of either sign are the same
    digests = [hashlib.blake2b(row + zero, digest_size=16).hexdigest() for row in matrix]
    _, first, counts = np.unique(digests, return_index=True, return_counts=True)
    order = np.argsort(first)
    return first[order], counts[order]


def _kind(matrix: NDArray[np.float32], row: NDArray[np.float32], often: int, typical_norm: float) -> str:
    """Compare the commonest `row`, which occurs `often` times, with zeros and with the mean of the other rows."""
    if not row.any():
        return "zero"
    others = (matrix.sum(axis=0, dtype=np.float64) - often * row.astype(np.float64)) / max(len(matrix) - often, 1)
    # Half precision, in which features are often stored, is good to 0.1 percent.
    return "mean" if np.linalg.norm(row - others) <= 0.01 * typical_norm else "other"
