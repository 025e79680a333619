"""Load a folder of RecBole's atomic files; Zhao et al., CIKM 2021, arXiv 2011.01731.

<name>.inter                         columns such as user_id:token, item_id:token, rating:float, timestamp:float
<name>.train.inter, .valid., .test.  instead of it, in a set that is split already
<modality>_feat.npy                  not of RecBole: row i belongs to the item on line i of <modality>_feat.ids.txt
"""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import RecDataset
from recmodels.data.formats.item_rows import load_rows, with_means
from recmodels.data.formats.mmrec import inter_path, modality_of, split_by_label
from recmodels.data.formats.tables import as_ids, column_names, read_columns
from recmodels.data.ids import IdMaps, IdSource
from recmodels.data.numbering import factorize, first_rows
from recmodels.data.splits import split
from recmodels.errors import DataError

PARTS = ("train", "valid", "test")
SPLIT_SEED = 0
USER, ITEM = "user_id:token", "item_id:token"

log = logging.getLogger("mirrortune.data")

Ids = NDArray[np.object_]
Ints = NDArray[np.int64]


def is_recbole(folder: Path) -> bool:
    """Return whether the folder's .inter files have typed columns such as `user_id:token`."""
    for path in sorted(folder.glob("*.inter")):
        try:
            with path.open("rb") as file:
                return b":token" in file.readline(10_000)
        except OSError:
            return False
    return False


def load_recbole(folder: Path, cache_dir: Path | None = None) -> RecDataset:
    """Load the data set in `folder`, its ids numbered by first appearance, split by MMRec's rule unless it is split.

    Each line is an interaction, whatever its rating; of lines with the same user and item the first counts. Only
    features with a list of ids are loaded, the mean in place of missing ones; texts are not encoded. `cache_dir` is not
    used. Raises DataError for any fault.
    """
    rows = _read(folder)
    n_users, n_items = len(rows.ids.users), len(rows.ids.items)
    labels: NDArray[np.integer] | None = rows.labels
    if labels is None:
        labels = split(rows.users, None, "benchmark", SPLIT_SEED, rows.path)
        log.info("%s: split by the benchmark's rule with seed %d", rows.path, SPLIT_SEED)
    splits = split_by_label(rows.path, np.stack([rows.users, rows.items, labels], axis=1), n_users)
    features = _features(folder, rows.ids.items)
    ids = IdSource(folder.absolute(), read_recbole_ids)
    return RecDataset.build(folder.name, n_users, n_items, splits, features, id_source=ids)


def read_recbole_ids(folder: Path) -> IdMaps:
    """Read the tokens of users and items, in the order of their numbers. Raises DataError."""
    return _read(folder).ids


class _Rows(NamedTuple):
    """The distinct interactions: number of user and of item, (n,), and the label of each if the set is split already.

    `path`: the file that messages name."""

    path: Path
    users: Ints
    items: Ints
    labels: Ints | None
    ids: IdMaps


def _read(folder: Path) -> _Rows:
    parts = [next(iter(sorted(folder.glob(f"*.{part}.inter"))), None) for part in PARTS]
    paths = [part for part in parts if part is not None]
    if not paths:
        paths = [inter_path(folder)]
    elif len(paths) != len(PARTS):
        raise DataError(f"{folder}: found {', '.join(p.name for p in paths)}, expected .train, .valid and .test.inter")
    read = [_pairs(path) for path in paths]
    (users, user_ids), (items, item_ids) = (factorize(np.concatenate(tokens)) for tokens in zip(*read, strict=True))
    labels = np.repeat(np.arange(len(read)), [len(tokens) for tokens, _ in read]) if len(read) > 1 else None
    first = first_rows(users, items)
    if not first.all():
        log.info("%s: left out %d lines whose user and item are on a line above", paths[0], (~first).sum())
    ids = IdMaps(user_ids.tolist(), item_ids.tolist())
    return _Rows(paths[0], users[first], items[first], None if labels is None else labels[first], ids)


def _pairs(path: Path) -> tuple[Ids, Ids]:
    found = column_names(path)
    tokens = [name for name in found if name.endswith(":token") and name != USER]
    item = ITEM if ITEM in found or len(tokens) != 1 else tokens[0]
    if USER not in found or item not in found:
        names = ", ".join(map(repr, found))
        raise DataError(f"{path}:1: found the columns {names}, expected {USER!r} and {ITEM!r}")
    columns = read_columns(path, (USER, item))
    return as_ids(path, USER, columns[USER]), as_ids(path, item, columns[item])


def _features(folder: Path, item_ids: Sequence[str]) -> dict[str, NDArray[np.float32]]:
    features = {}
    for path in sorted(folder.glob("*_feat.npy")):
        listed = path.with_suffix(".ids.txt")
        if not listed.is_file():
            log.warning("%s: not loaded, as there is no %s with the item of each row", path, listed.name)
            continue
        matrix, rows, n_unknown = load_rows(path, listed, item_ids)
        log.info("%s: the mean row for %d items without one; %d rows are of no item", path, (rows < 0).sum(), n_unknown)
        features[modality_of(path)] = with_means(matrix, rows)
    return features
