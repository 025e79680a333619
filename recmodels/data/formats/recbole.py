"""A folder of RecBole's atomic files -> RecDataset; Zhao et al., CIKM 2021, arXiv 2011.01731.

<name>.inter                         columns such as user_id:token, item_id:token, rating:float, timestamp:float
<name>.train.inter, .valid., .test.  instead of it: a set that is split already
<modality>_feat.npy                  not of RecBole: row i belongs to the item on line i of <modality>_feat.ids.txt
"""

import logging
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import RecDataset
from recmodels.data.fingerprint import fingerprint
from recmodels.data.formats.feature_file import load_features
from recmodels.data.formats.item_rows import read_id_list, rows_of, with_means
from recmodels.data.formats.mmrec import inter_path, modality_of, split_by_label
from recmodels.data.formats.tables import as_ids, column_names, read_columns
from recmodels.errors import DataError, UserError

PARTS = ("train", "valid", "test")
SPLIT_SEED = 0
USER, ITEM = "user_id:token", "item_id:token"

log = logging.getLogger("mirrortune.data")

Ids = NDArray[np.object_]
Ints = NDArray[np.int64]


def is_recbole(folder: Path) -> bool:
    """Whether the folder's .inter files have typed columns such as `user_id:token`."""
    for path in sorted(folder.glob("*.inter")):
        try:
            with path.open("rb") as file:
                return b":token" in file.readline(10_000)
        except OSError:
            return False
    return False


def load_recbole(folder: Path) -> RecDataset:
    """The data set in `folder`, its ids numbered by first appearance, split by the benchmark's rule if it is not yet.

    Each line is an interaction, whatever its rating; of lines with the same user and item the first counts. Only
    features with a list of ids are loaded, the mean in place of missing ones; texts are not encoded. Raises DataError
    for whatever is not in the format.
    """
    from recmodels.data.splits import split

    path, users, items, labels = _interactions(folder)
    user_codes, user_ids = _number(users)
    item_codes, item_ids = _number(items)
    if labels is None:
        try:
            labels = split(user_codes, None, "benchmark", SPLIT_SEED).astype(np.int64)
        except UserError as error:
            raise DataError(f"{path}: {error}") from None
        log.info("%s: split by the benchmark's rule with seed %d", path, SPLIT_SEED)
    table = np.stack([user_codes, item_codes, labels], axis=1)
    splits = split_by_label(path, table, len(user_ids))
    features = _features(path, item_ids)
    digest = fingerprint(len(user_ids), len(item_ids), splits, features)
    return RecDataset(folder.name, len(user_ids), len(item_ids), *splits, features, digest)


def recbole_ids(folder: Path) -> tuple[list[str], list[str]]:
    """The tokens of users and items, by our numbers."""
    _, users, items, _ = _interactions(folder)
    return _number(users)[1], _number(items)[1]


def _interactions(folder: Path) -> tuple[Path, Ids, Ids, Ints | None]:
    """The file that faults name, then user, item and, of a split set, label of each distinct interaction, (n,) each."""
    parts = [next(iter(sorted(folder.glob(f"*.{part}.inter"))), None) for part in PARTS]
    paths = [part for part in parts if part is not None]
    if not paths:
        paths = [inter_path(folder)]
    elif len(paths) != len(PARTS):
        raise DataError(f"{folder}: found {', '.join(p.name for p in paths)}, expected .train, .valid and .test.inter")
    read = [_pairs(path) for path in paths]
    users, items = (np.concatenate(column) for column in zip(*read, strict=True))
    labels = np.repeat(np.arange(len(read)), [len(rows) for rows, _ in read]) if len(read) > 1 else None
    kept = first_of_pairs(users, items)
    if not kept.all():
        log.info("%s: left out %d lines whose user and item are on a line above", paths[0], (~kept).sum())
    return paths[0], users[kept], items[kept], None if labels is None else labels[kept]


def first_of_pairs(users: Ids, items: Ids) -> NDArray[np.bool_]:
    """Which of the (n,) rows are the first with their user and item."""
    user_codes, item_codes = _codes(users), _codes(items)
    _, firsts = np.unique(user_codes * (item_codes.max() + 1) + item_codes, return_index=True)
    kept = np.zeros(len(users), dtype=bool)
    kept[firsts] = True
    return kept


def _pairs(path: Path) -> tuple[Ids, Ids]:
    found = column_names(path)
    tokens = [name for name in found if name.endswith(":token") and name != USER]
    item = ITEM if ITEM in found or len(tokens) != 1 else tokens[0]
    if USER not in found or item not in found:
        names = ", ".join(map(repr, found))
        raise DataError(f"{path}:1: found the columns {names}, expected {USER!r} and {ITEM!r}")
    columns = read_columns(path, (USER, item))
    return as_ids(path, USER, columns[USER]), as_ids(path, item, columns[item])


def _number(values: Ids) -> tuple[Ints, list[str]]:
    from recmodels.data.numbering import number

    codes, distinct = number(values)
    return codes, distinct.tolist()


def _codes(values: Ids) -> Ints:
    return _number(values)[0]


def _features(inter: Path, item_ids: list[str]) -> dict[str, NDArray[np.float32]]:
    features = {}
    for path in sorted(inter.parent.glob("*_feat.npy")):
        listed = path.with_suffix(".ids.txt")
        if not listed.is_file():
            log.warning("%s: not loaded, as there is no %s with the item of each row", path, listed.name)
            continue
        matrix, ids = load_features(path), read_id_list(listed)
        if len(ids) != len(matrix):
            raise DataError(f"{listed}: {len(ids)} ids, expected {len(matrix)}, one for each row of {path.name}")
        rows, n_unknown = rows_of(listed, ids, item_ids)
        log.info("%s: the mean row for %d items without one; %d rows are of no item", path, (rows < 0).sum(), n_unknown)
        features[modality_of(path)] = with_means(matrix, rows)
    if not features:
        texts = next(iter(sorted(inter.parent.glob("*.item"))), "ITEMS.csv")
        log.info(
            "%s: no item features; a set that has them: run_search.py prepare --from %s --name NEW "
            "--features text=%s:COLUMN",
            inter.parent,
            inter,
            texts,
        )
    return features
