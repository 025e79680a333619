"""Load a folder in the format of AMR's reference code; Tang et al., TKDE 2020, arXiv 1809.07062.

pos.txt        a training pair a line: user, item
neg.txt        line u, from 0, belongs to user u: the test item, then the negatives that it is ranked against
f_resnet.npy   row i are the features of item i

Numbers are separated by blanks, tabs or commas.
"""

import logging
from functools import partial
from pathlib import Path

import numpy as np
from numpy.random import PCG64, Generator
from numpy.typing import NDArray

from recmodels.data.dataset import Interactions, Ints, RecDataset, Split
from recmodels.data.formats.feature_file import load_features
from recmodels.data.formats.inter_file import INTEGER, check_repeats, read_integers
from recmodels.data.ids import IdSource, read_id_tables
from recmodels.errors import DataError
from recmodels.files import reading

PAIRS, LISTS, FEATURES = "pos.txt", "neg.txt", "f_resnet.npy"
VALIDATION_SEED = 0

log = logging.getLogger("mirrortune.data")


def is_amr(folder: Path) -> bool:
    """Return whether the folder has a file with AMR's training pairs."""
    return (folder / PAIRS).is_file()


def load_amr(folder: Path, cache_dir: Path | None = None) -> RecDataset:
    """Load the data set in `folder`: as many users as lists, as many items as rows of features, the modality "image".

    Features are divided by their largest magnitude. The reference selects on its test lists; here a tenth of the users
    with two training pairs or more, at least one user, give one pair each for validation. It is ranked against as many
    items as a test list has, drawn by a fixed seed and without replacement from those that the user has neither in
    training nor in test. Test negatives that are training items of the user stay, as the reference ranks them, with a
    warning. `cache_dir` is not used. Raises DataError, one line with file and row, for any fault.
    """
    features = load_features(folder / FEATURES)
    pairs = _table(folder / PAIRS, "a user and an item", width=2)
    lists = _table(folder / LISTS, "the test item, then as many negatives as on line 1")
    n_users, n_items = len(lists), len(features)
    _check_ids(folder, pairs, lists, n_items)
    tested = lists[:, 0]
    known = Interactions.from_pairs(pairs[:, 0], pairs[:, 1], n_users)
    held, negatives = _hold_out(folder, known, tested, n_items, lists.shape[1] - 1)
    train, valid, _ = Interactions.by_label(known.users, known.items, held.astype(np.int8), n_users)
    test = Interactions.from_pairs(np.arange(n_users), tested, n_users)
    images = {"image": features / (np.abs(features).max() or 1)}
    candidates: dict[Split, Ints] = {"valid": negatives, "test": np.ascontiguousarray(lists[:, 1:])}
    ids = IdSource(folder.absolute(), partial(read_id_tables, n_users=n_users, n_items=n_items))
    return RecDataset(folder.name, n_users, n_items, train, valid, test, images, candidates=candidates, id_source=ids)


def _table(path: Path, expected: str, width: int = 0) -> Ints:
    """Read a file with `width` numbers in each line (0: as many as in the first, at least two); line r is row r - 1."""
    with reading(path):
        text = path.read_bytes().decode("utf-8-sig", errors="replace")
    lines = text.replace(",", " ").rstrip().splitlines()
    if not lines:
        raise DataError(f"{path}: the file is empty, expected in each line {expected}")
    width = width or max(2, len(lines[0].split()))
    first_fault = partial(_first_fault, path, lines, width, expected)
    table = read_integers(path, lines, first_fault)
    if table.shape != (len(lines), width):
        raise DataError(first_fault())
    return table


def _first_fault(path: Path, lines: list[str], width: int, expected: str) -> str | None:
    """Describe the first line that does not hold `width` integers."""
    for line_number, line in enumerate(lines, start=1):
        fields = line.split()
        for field in fields:
            if not INTEGER.fullmatch(field):
                return f"{path}:{line_number}: found {field!r}, expected an integer"
        if len(fields) != width:
            return f"{path}:{line_number}: found {len(fields)} numbers, expected {width}: {expected}"
    return None


def _check_ids(folder: Path, pairs: Ints, lists: Ints, n_items: int) -> None:
    path, tests, n_users = folder / PAIRS, folder / LISTS, len(lists)
    for file, kind, ids, n, why in (
        (path, "user", pairs[:, :1], n_users, f"{LISTS} has {n_users} lines"),
        (path, "item", pairs[:, 1:], n_items, f"{FEATURES} has {n_items} rows"),
        (tests, "item", lists, n_items, f"{FEATURES} has {n_items} rows"),
    ):
        outside = np.argwhere((ids < 0) | (ids >= n))
        if len(outside):
            row, column = outside[0]
            raise DataError(f"{file}:{row + 1}: {kind} is {ids[row, column]}, expected 0 to {n - 1}, as {why}")
    check_repeats(path, pairs, lambda row: row + 1)
    among = (lists[:, 1:] == lists[:, :1]).any(1)
    if among.any():
        row = int(among.argmax())
        raise DataError(f"{tests}:{row + 1}: the test item, {lists[row, 0]}, is among its negatives")
    trained = pairs[:, 0] * n_items + pairs[:, 1]
    keys = np.arange(n_users)[:, None] * n_items + lists
    in_training = np.isin(keys, trained)
    if in_training[:, 0].any():
        row = int(in_training[:, 0].argmax())
        line = int((trained == keys[row, 0]).argmax()) + 1
        found = f"user {row} and item {lists[row, 0]} were on line {line} of {PAIRS} already"
        raise DataError(f"{tests}:{row + 1}: {found}, expected each pair once over all splits")
    if in_training.any():
        text = "%s: %d negatives of %d users are training items of theirs, ranked all the same, as the reference does"
        log.warning(text, tests, in_training.sum(), in_training.any(1).sum())


def _hold_out(folder: Path, known: Interactions, tested: Ints, n_items: int, n: int) -> tuple[NDArray[np.bool_], Ints]:
    """Choose validation pairs: a mask over the known pairs, and `n` items that each is ranked against, (pairs, n)."""
    rng = Generator(PCG64(VALIDATION_SEED))
    several = np.flatnonzero(known.counts > 1)
    if not len(several):
        raise DataError(f"{folder / PAIRS}: no user has two lines, expected one to hold out for validation")
    users = np.sort(rng.choice(several, max(1, len(several) // 10), replace=False))
    held = np.zeros(len(known), dtype=bool)
    held[known.indptr[users] + rng.integers(known.counts[users])] = True
    negatives = []
    for user in users:
        own = known.items[known.indptr[user] : known.indptr[user + 1]]
        others = np.setdiff1d(np.arange(n_items), [*own, tested[user]])
        if len(others) < n:
            found = f"user {user} has neither trained on nor is tested on {len(others)} items"
            expected = f"at least the {n} of a line of {LISTS} to rank a validation item against"
            raise DataError(f"{folder}: {found}, expected {expected}")
        negatives.append(rng.choice(others, n, replace=False))
    return held, np.stack(negatives)
