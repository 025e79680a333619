"""Small made data sets with known answers."""

import numpy as np

from recmodels.data.dataset import Interactions, RecDataset


def checkerboard(n: int = 20) -> RecDataset:
    """User u has the items of its own parity but item u, which is held out: half of them for test."""
    users, items = np.nonzero((np.add.outer(np.arange(n), np.arange(n)) % 2 == 0) & ~np.eye(n, dtype=bool))
    own = np.arange(n)
    features = {"image": np.eye(2, dtype=np.float32)[own % 2], "text": np.eye(2, 3, dtype=np.float32)[own % 2]}
    valid, test = (Interactions.from_pairs(part, part, n) for part in (own[: n // 2], own[n // 2 :]))
    train = Interactions.from_pairs(users, items, n)
    return RecDataset("checkerboard", n, n, train, valid, test, features, f"board{n}")


def odd_sizes() -> RecDataset:
    """37 users and 53 items, so that a first dimension of 37, 53 or 90 is of users, of items or of both."""
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((37, 53)) < 0.1)
    train = Interactions.from_pairs(users, items, 37)
    features = {
        name: rng.standard_normal((53, width)).astype(np.float32) for name, width in (("image", 5), ("text", 4))
    }
    return RecDataset("odd", 37, 53, train, train, train, features, "odd")


def held_out() -> RecDataset:
    """40 users and 60 items with texts and images; validation and test hold pairs that are not in training."""
    rng = np.random.default_rng(0)
    users, items = np.nonzero(rng.random((40, 60)) < 0.3)
    train, valid, test = Interactions.by_label(users, items, rng.choice(3, p=(0.6, 0.2, 0.2), size=len(users)), 40)
    features = {
        name: rng.standard_normal((60, width)).astype(np.float32) for name, width in (("image", 9), ("text", 7))
    }
    return RecDataset("held", 40, 60, train, valid, test, features, "held")
