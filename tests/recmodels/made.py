"""Small made data sets with known answers."""

import numpy as np

from recmodels.data.dataset import Interactions, RecDataset


def checkerboard(n: int = 20) -> RecDataset:
    """User u has the items of its own parity but item u, which is held out: half of them for test."""
    users, items = np.nonzero((np.add.outer(np.arange(n), np.arange(n)) % 2 == 0) & ~np.eye(n, dtype=bool))
    own = np.arange(n)
    features = {"image": np.eye(2, dtype=np.float32)[own % 2], "text": np.eye(2, 3, dtype=np.float32)[own % 2]}
    held = [Interactions.from_pairs(own[part], own[part], n) for part in (slice(0, n // 2), slice(n // 2, n))]
    return RecDataset("checkerboard", n, n, Interactions.from_pairs(users, items, n), *held, features, f"board{n}")
