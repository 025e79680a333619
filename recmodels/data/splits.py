"""Rows of interactions -> training (0), validation (1) and test (2)."""

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from recmodels.errors import UserError

RULES = ("benchmark", "leave-last-out", "time")
CUTS = (0.8, 0.9)  # shares of the rows where validation and test begin, by "time"

Ints = NDArray[np.int64]


def split(users: Ints, times: Ints | None, rule: str, seed: int) -> NDArray[np.int8]:
    """The label of each row, (n,); users are integers from 0. `seed` decides what is random in the rule.

    benchmark: of a user's n rows, at random, one each is held out for validation and test where n < 10; otherwise
    h = n // 5 rows are, h // 2 of them for validation.
    leave-last-out: a user's latest row is for test, the one before for validation; among equal times the row order
    decides.
    time: the earliest 80 % of all rows train, the latest 10 % test; rows of the same time stay together.

    Users with fewer than 3 rows have them all in training by the first two rules. Raises UserError for an unknown rule,
    for a rule that needs times where there are none, and if a split stays empty.
    """
    if rule not in RULES:
        raise UserError(f"--split {rule}: expected one of {', '.join(RULES)}")
    if rule == "benchmark":
        labels = _by_user(users, Generator(PCG64(seed)).random(len(users)), share=5)
    elif times is None:
        raise UserError(f"--split {rule}: the interactions have no times, expected them or --split benchmark")
    elif rule == "time":
        labels = _by_time(times)
    else:
        labels = _by_user(users, times, share=None)
    for label, name in enumerate(("training", "validation", "test")):
        if not (labels == label).any():
            raise UserError(f"--split {rule}: no row of the {len(users)} is for {name}, expected at least one")
    return labels


def _by_user(users: Ints, order: NDArray[np.generic], share: int | None) -> NDArray[np.int8]:
    """By `order` within each user, from the end: test, then validation. One row each, or a `share`-th of 10 or more."""
    counts = np.bincount(users)
    held = np.full_like(counts, 2)
    if share is not None:
        held = np.where(counts < 10, held, counts // share)
    held[counts < 3] = 0
    n_test = held - held // 2
    ranked = np.lexsort((np.arange(len(users)), order, users))
    starts = np.cumsum(counts) - counts
    from_end = np.empty(len(users), dtype=np.int64)
    from_end[ranked] = (starts + counts - 1)[users[ranked]] - np.arange(len(users))
    return np.select([from_end < n_test[users], from_end < held[users]], [2, 1], 0).astype(np.int8)


def _by_time(times: Ints) -> NDArray[np.int8]:
    ranked = np.sort(times)
    n = len(ranked)
    first_valid, first_test = (ranked[int(n * cut)] for cut in CUTS)
    return ((times >= first_valid).astype(np.int8) + (times >= first_test)).astype(np.int8)
