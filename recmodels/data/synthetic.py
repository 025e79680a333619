"""Generate data with planted structure: a few latent tastes decide which items a user takes and how an item looks.

Arithmetic is elementwise, without BLAS, whose sums depend on the number of threads: a seed always gives the same bytes.
"""

from collections.abc import Mapping

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from recmodels.data.dataset import Interactions, Ints, RecDataset
from recmodels.data.splits import TEST, VALIDATION, split_as_mmrec
from recmodels.errors import DataError

Floats = NDArray[np.float64]

# Tuned on the demo: with fewer tastes or clearer families 15 interactions an item tell more than its features.
N_TASTES = 16  # length of a taste vector
N_FAMILIES = 64  # items gather loosely around them; a user likes two, one more than the other
POOL = 512  # items that a user gets to see, by popularity
MOST = 100  # interactions of the most active user, well below POOL
FEWEST = 5  # interactions of the least active user: the published sets are 5-core
SLOTS = 1 << 20  # resolution of the popularity table
USER_BLOCK = 256  # rows of (users, POOL) at a time: a few MB
ITEM_BLOCK = 512  # rows of features at a time


def synthetic(
    name: str, n_users: int, n_items: int, n_interactions: int, dims: Mapping[str, int], seed: int = 0
) -> RecDataset:
    """Generate a data set of exactly these sizes, in which each user and item occurs; `dims`: modality -> columns.

    Split by MMRec's rule. The features of a modality are different noisy views of an item's taste; a
    quarter of their columns is noise. Interactions depend on the seed and the sizes, not on `dims`. Raises DataError
    for sizes that cannot be met.
    """
    rng = Generator(PCG64(seed))
    user_taste, item_taste = tastes(rng, n_users, n_items)
    counts = _activity(rng, name, n_users, n_items, n_interactions)
    users = np.repeat(np.arange(n_users), counts)
    items = _items(rng, user_taste, item_taste, counts)
    shuffled = np.lexsort((rng.random(len(users)), users))  # the positions of each user's rows, in random order
    labels = split_as_mmrec(users, -shuffled, (VALIDATION, TEST))
    splits = Interactions.by_label(users, items, labels, n_users)
    features = {modality: _features(rng, item_taste, columns) for modality, columns in dims.items()}
    return RecDataset(name, n_users, n_items, *splits, features)


def tastes(rng: Generator, n_users: int, n_items: int) -> tuple[Floats, Floats]:
    """Draw unit taste vectors of users (n_users, N_TASTES) and items (n_items, N_TASTES): inner product = liking."""
    centres = _unit(rng.standard_normal((N_FAMILIES, N_TASTES)))
    families = rng.integers(N_FAMILIES, size=n_items)
    items = _unit(centres[families] + 0.25 * rng.standard_normal((n_items, N_TASTES)))
    first, second = rng.integers(N_FAMILIES, size=(2, n_users))
    users = _unit(centres[first] + 0.7 * centres[second] + 0.05 * rng.standard_normal((n_users, N_TASTES)))
    return users, items


def _unit(rows: Floats) -> Floats:
    return rows / np.sqrt((rows**2).sum(axis=1, keepdims=True))


def _activity(rng: Generator, name: str, n_users: int, n_items: int, n_interactions: int) -> Ints:
    """Draw the number of interactions of each user, long-tailed, (n_users,): between FEWEST (less if the total is too
    small) and MOST, and at most half of the items. Raises DataError for sizes that cannot be met."""
    fewest, most = min(FEWEST, n_interactions // n_users), min(MOST, n_items // 2)
    if not (3 <= fewest <= most and max(n_users * fewest, n_items) <= n_interactions <= n_users * most):
        found = f"{n_interactions} interactions of {n_users} users with {n_items} items"
        raise DataError(f"{name}: {found}, expected 3 to {most} a user and at least 1 an item")
    weights = rng.lognormal(sigma=0.8, size=n_users)
    extra = weights * ((n_interactions - n_users * fewest) / weights.sum())
    counts = np.minimum(fewest + extra.astype(np.int64), most)
    while (short := n_interactions - counts.sum()) > 0:
        counts[rng.permutation(np.flatnonzero(counts < most))[:short]] += 1
    return counts


def _items(rng: Generator, user_taste: Floats, item_taste: Floats, counts: Ints) -> Ints:
    """Draw the items of each user, user after user, (counts.sum(),)."""
    n_items = len(item_taste)
    zipf = 1 / (rng.permutation(n_items) + 0.05 * n_items)
    share = 0.8 * zipf / zipf.sum() + 0.2 / n_items
    # Item i fills about share[i] * SLOTS slots, side by side: drawing a slot is drawing an item by popularity.
    slots = np.searchsorted(np.cumsum(share), (np.arange(SLOTS) + 0.5) / SLOTS).clip(max=n_items - 1)
    blocks = np.split(np.arange(len(counts)), range(USER_BLOCK, len(counts), USER_BLOCK))
    drawn = [_sample(rng, user_taste[rows], item_taste, slots, share, counts[rows]) for rows in blocks]
    items = np.concatenate(drawn)
    # Each item that no user took goes to some user, in place of an item that others have too.
    missing = np.setdiff1d(np.arange(n_items), items)
    _, firsts = np.unique(items, return_index=True)
    spare = np.setdiff1d(np.arange(len(items)), firsts)
    items[rng.choice(spare, size=len(missing), replace=False)] = missing
    return items


def _sample(rng: Generator, user_taste: Floats, item_taste: Floats, slots: Ints, share: Floats, counts: Ints) -> Ints:
    """Draw for each user a pool of items, and from it `counts` items without replacement, in proportion to weights.

    The pool is one slot from each of POOL equal ranges, so an item is in it with probability min(1, POOL * share);
    popularity beyond 1 goes into its weight. The first arrivals of exponential clocks with these weights as rates are
    such a sample.
    """
    width = SLOTS // POOL
    pool = slots[np.arange(POOL) * width + rng.integers(width, size=(len(counts), POOL))]
    liking = sum(user[:, None] * item[pool] for user, item in zip(user_taste.T, item_taste.T, strict=True))
    weight = np.maximum(POOL * share, 1)[pool] * (((0.05 + np.maximum(liking, 0)) ** 2) ** 2) ** 2
    arrival = rng.standard_exponential(pool.shape) / weight
    arrival[:, 1:][pool[:, 1:] == pool[:, :-1]] = np.inf  # ascending within a row, so that repeats are neighbours
    ranked = np.take_along_axis(pool, np.argsort(arrival, axis=1), axis=1)
    return ranked[np.arange(POOL) < counts[:, None]]


def _features(rng: Generator, item_taste: Floats, columns: int) -> NDArray[np.float32]:
    """Draw features, float32 (n_items, columns): half linear in two tastes, a quarter bent, a quarter noise."""
    tastes_seen = np.arange(columns) % N_TASTES, rng.integers(N_TASTES, size=columns)
    gains = np.stack([rng.choice([-1, 1], size=columns), 0.5 * rng.standard_normal(columns)]).astype(np.float32)
    bent, silent = slice(columns // 2, columns - columns // 4), slice(columns - columns // 4, columns)
    matrix = np.empty((len(item_taste), columns), dtype=np.float32)
    for start in range(0, len(matrix), ITEM_BLOCK):
        block = matrix[start : start + ITEM_BLOCK]
        taste = item_taste[start : start + ITEM_BLOCK].astype(np.float32)
        block[:] = sum(taste[:, seen] * gain for seen, gain in zip(tastes_seen, gains, strict=True))
        block[:, bent] = np.abs(block[:, bent]) - 0.3
        block[:, silent] = 0
        block += 0.04 * rng.standard_normal(block.shape, dtype=np.float32)
    return matrix


PAPER_SETS: dict[str, tuple[int, int, int, dict[str, int]]] = {  # users, items, interactions, columns of each modality
    "baby": (19_445, 7_050, 160_792, {"image": 4096, "text": 384}),
    "sports": (35_598, 18_357, 296_337, {"image": 4096, "text": 384}),
    "clothing": (39_387, 23_033, 278_677, {"image": 4096, "text": 384}),
    "electronics": (192_403, 63_001, 1_689_188, {"image": 4096, "text": 384}),
    "pinterest": (3_226, 4_998, 9_844, {"image": 2048}),
    "tiktok": (9_308, 6_710, 68_722, {"audio": 128, "image": 128}),
}

PREFIX = "synthetic:"
DEMO = 1_000, 700, 18_000, {"image": 64, "text": 32}
GENERATED = {"demo": DEMO, **{PREFIX + name: sizes for name, sizes in PAPER_SETS.items()}}
"""Sizes of the data sets that are generated when they are loaded by name."""
