"""Rules that divide interactions into training (0), validation (1) and test (2)."""

from typing import Any

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from recmodels.data.dataset import Ints
from recmodels.errors import DataError

RULES = ("benchmark", "leave-last-out", "time")
PARTS = ("training", "validation", "test")
"""The meaning of the labels 0, 1 and 2."""
SPLITS = ("train", "valid", "test")
"""Their names in files and in results."""
VALIDATION, TEST = 1, 2

Labels = NDArray[np.int8]


def split(users: Ints, times: NDArray[Any] | None, rule: str, seed: int, source: object = "interactions") -> Labels:
    """Label each of n interactions, (n,), from its user (integers from 0) and its time, if there is one.

    benchmark: at random by `seed`, see `split_as_mmrec`.
    leave-last-out: a user's latest row is for test, the one before for validation; of rows with equal times the lower
    one in the file is the later. Users with fewer than 3 rows keep them all in training.
    time: the earliest 80 % of all rows are for training, the latest 10 % for test; rows of the same time stay together.

    Raises DataError, which names the `source`, for an unknown rule, for a rule that needs times if there are none, and
    if a split is empty or has only users without a training row.
    """
    if rule not in RULES:
        raise DataError(f"{source}: `rule` {rule}: expected one of {', '.join(RULES)}")
    if rule == "benchmark":
        labels = split_as_mmrec(users, Generator(PCG64(seed)).random(len(users)))
    elif times is None:
        raise DataError(f"{source}: `rule` {rule}: the interactions have no times, expected them or `rule` benchmark")
    elif rule == "time":
        ranked = np.sort(times)
        first_valid, first_test = (ranked[int(len(ranked) * cut)] for cut in (0.8, 0.9))
        labels = (times >= first_valid).astype(np.int8) + (times >= first_test)
    else:
        labels = _hold_out(users, times, np.full(users.max() + 1, 2), (TEST, VALIDATION))
    trained = np.isin(users, users[labels == 0])
    for label, part in enumerate(PARTS):
        if not (labels == label).any():
            raise DataError(f"{source}: `rule` {rule}: no row of the {len(users)} is for {part}, expected at least one")
        if not trained[labels == label].any():
            raise DataError(f"{source}: every {part} row is of a user without a training row, expected another `rule`")
    return labels


def split_as_mmrec(users: Ints, draws: NDArray[Any], order: tuple[int, int] = (TEST, VALIDATION)) -> Labels:
    """Label each of n interactions by the rule of the folders that come with MMRec.

    Of a user's n rows h = n // 5 are held out, h // 2 of them for validation and the others for test; one row each if
    n < 10, none if n < 3. Those with the highest of the random `draws` (n,) are held out, first those for `order[0]`.
    """
    counts = np.bincount(users)
    return _hold_out(users, draws, np.where(counts < 10, 2, counts // 5), order)


def _hold_out(users: Ints, keys: NDArray[Any], n_held: Ints, order: tuple[int, int]) -> Labels:
    """Label the `n_held[u]` rows of user u with the highest `keys`: the highest of them `order[0]`, then `order[1]`."""
    counts = np.bincount(users)
    n_held = np.where(counts < 3, 0, n_held)
    n_first = n_held // 2 if order[0] == VALIDATION else n_held - n_held // 2
    ranked = np.lexsort((np.arange(len(users)), keys, users))
    from_end = np.empty(len(users), dtype=np.int64)  # 0: the row with the highest key of its user
    from_end[ranked] = (np.cumsum(counts) - 1)[users[ranked]] - np.arange(len(users))
    return np.select([from_end < n_first[users], from_end < n_held[users]], order, 0).astype(np.int8)
