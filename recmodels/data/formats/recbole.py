"""Load a folder of RecBole's atomic files; Zhao et al., CIKM 2021, arXiv 2011.01731.

<name>.inter                         columns such as user_id:token, item_id:token, rating:float, timestamp:float
<name>.train.inter, .valid., .test.  instead of it, in a set that is split already
<modality>_feat.npy                  not of RecBole: row i belongs to the item on line i of <modality>_feat.ids.txt
"""

import logging
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import RecDataset
from recmodels.data.formats.feature_file import warn_of_other_files
from recmodels.data.formats.item_rows import load_rows, with_means
from recmodels.data.formats.mmrec import inter_path, modality_of, split_by_label
from recmodels.data.formats.tables import as_ids, column_names, read_columns
from recmodels.data.ids import IdMaps, IdSource
from recmodels.data.numbering import factorize, first_rows
from recmodels.data.splits import SPLITS, split
from recmodels.errors import DataError

SPLIT_SEED = 0
UNSPLIT = -1  # label of the interactions of a set that is not split yet
USER, ITEM = "user_id:token", "item_id:token"

log = logging.getLogger("mirrortune.data")


def is_recbole(folder: Path) -> bool:
    """Return whether the folder's first .inter file has typed columns such as `user_id:token`."""
    try:
        with min(folder.glob("*.inter")).open("rb") as file:
            return b":token" in file.readline(10_000)
    except (OSError, ValueError):  # ValueError: there is none
        return False


def load_recbole(folder: Path, cache_dir: Path | None = None) -> RecDataset:
    """Load the data set in `folder`, its ids numbered by first appearance, split by MMRec's rule unless it is split.

    Each line is an interaction, whatever its rating; of lines with the same user and item the first counts. Only
    features with a list of ids are loaded, the mean in place of missing rows and of rows that hold NaN; texts are not
    encoded. `cache_dir` is not used. Raises DataError for any fault.
    """
    path, ids, table = _read(folder)
    n_users, n_items = len(ids.users), len(ids.items)
    if (table[:, 2] == UNSPLIT).all():
        table[:, 2] = split(table[:, 0], None, "benchmark", SPLIT_SEED, path)
        log.info("%s: split by the benchmark's rule with seed %d", path, SPLIT_SEED)
    splits, features = split_by_label(path, table, n_users), _features(folder, ids.items)
    source = IdSource(folder.absolute(), read_recbole_ids)
    return RecDataset(folder.name, n_users, n_items, *splits, features, id_source=source)


def read_recbole_ids(folder: Path) -> IdMaps:
    """Read the tokens of users and items, in the order of their numbers. Raises DataError."""
    return _read(folder)[1]


def _read(folder: Path) -> tuple[Path, IdMaps, NDArray[np.int64]]:
    """Return the file that messages name, the tokens, and user, item and label of each distinct interaction, (n, 3)."""
    parts = [min(folder.glob(f"*.{part}.inter"), default=None) for part in SPLITS]
    paths = [part for part in parts if part is not None] or [inter_path(folder)]
    if any(parts) and not all(parts):
        raise DataError(f"{folder}: found {', '.join(p.name for p in paths)}, expected .train, .valid and .test.inter")
    try:
        read = [_pairs(path) for path in paths]
    except DataError as error:
        prepare = "; a folder is loaded without parameters, but prepare has them" if "`" in str(error) else ""
        raise DataError(f"{error}{prepare}") from None
    (users, user_ids), (items, item_ids) = (factorize(np.concatenate(tokens)) for tokens in zip(*read, strict=True))
    labels = np.repeat(np.arange(len(read)) if all(parts) else UNSPLIT, [len(tokens) for tokens, _ in read])
    first = first_rows(users, items)
    if not first.all():
        log.info("%s: left out %d lines whose user and item are on a line above", paths[0], (~first).sum())
    ids = IdMaps(user_ids.tolist(), item_ids.tolist())
    return paths[0], ids, np.stack([users, items, labels], axis=1)[first]


def _pairs(path: Path) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
    """Return user and item of each line of a file, as text."""
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
    warn_of_other_files(folder)
    for path in sorted(folder.glob("*_feat.npy")):
        listed = path.with_suffix(".ids.txt")
        if not listed.is_file():
            log.warning("%s: not loaded, as there is no %s with the item of each row", path, listed.name)
            continue
        matrix, found = load_rows(path, listed, item_ids)
        text = "%s: the mean row for %d items without one; %d rows are of no item"
        log.info(text, path, found.n_without, found.n_unused)
        if found.n_missing:
            text = "%s: %d of %d rows have missing values and count for no item, the first is row %d"
            log.warning(text, path, found.n_missing, len(matrix), found.missing.argmax())
        features[modality_of(path)] = with_means(matrix, found.rows)
    return features
