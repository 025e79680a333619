"""Draw the batches and negatives of an epoch at once, vectorised and without rejection."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import RecDataset
from recmodels.errors import DataError, UserError


class BatchSampler:
    """Batches of training pairs: every pair once an epoch, in random order, with one negative each if `negatives`.

    Raises UserError for `batch_size` below 1, and the errors of NegativeSampler.
    """

    def __init__(self, data: RecDataset, batch_size: int, *, negatives: bool = True) -> None:
        if batch_size < 1:
            raise UserError(f"batch_size must be at least 1, but got {batch_size}")
        self.batch_size = batch_size
        self.users, self.items = data.train.users, data.train.items  # (n,) each, by user and then by item
        self.negatives = NegativeSampler(data) if negatives else None

    def __len__(self) -> int:
        """Number of batches in an epoch; the last one may be smaller."""
        return -(-len(self.users) // self.batch_size)

    def epoch(self, rng: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Yield batches (3, B) int64 of users, positives and negatives, or (2, B) without negatives.

        Everything is drawn from `rng` in this call, before the first batch.
        """
        rows = self.rows(rng)
        return (rows[:, start : start + self.batch_size] for start in range(0, rows.shape[1], self.batch_size))

    def rows(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw an epoch from `rng`: the batches side by side, (3, n) or (2, n)."""
        order = rng.permutation(len(self.users))
        drawn = [self.negatives.draw(rng)] if self.negatives else []
        return np.stack([self.users, self.items, *drawn])[:, order]


class NegativeSampler:
    """Draws one negative for each training pair, uniformly over the training items that its user does not have.

    Raises DataError for a user who has all training items.
    """

    def __init__(self, data: RecDataset):
        self.users, items = data.train.users, data.train.items  # (n,) each, by user and then by item
        self.catalogue, ranks = np.unique(items, return_inverse=True)  # the distinct training items, ascending
        self.starts = data.train.indptr[self.users]
        self.n_others = len(self.catalogue) - data.train.counts[self.users]  # training items of others only, at least 1
        if not self.n_others.all():
            user = self.users[self.n_others.argmin()]
            found = f"user {user} has all {len(self.catalogue)} training items"
            raise DataError(f"{data.name}: {found}, expected every user to leave one to be drawn as a negative")
        # How many of the catalogue's items below this one the user has not; one ascending array for all users.
        others_below = ranks - (np.arange(len(ranks)) - self.starts)
        self.keys = self.users * len(self.catalogue) + others_below

    def draw(self, rng: np.random.Generator) -> NDArray[np.int64]:
        """Draw a negative for each training pair, (n,), in the order of the pairs.

        The r-th item that a user does not have is item r + c of the catalogue, where c counts the user's items with at
        most r others below them.
        """
        r = rng.integers(self.n_others)
        c = np.searchsorted(self.keys, self.users * len(self.catalogue) + r, side="right") - self.starts
        return self.catalogue[r + c]
