"""Load a folder in the format of MMRec's data sets; Zhou, MMAsia workshops 2023, arXiv 2302.03497.

<name>.inter                 columns userID, itemID and x_label (0 training, 1 validation, 2 test), separated by tabs
<modality>_feat.npy          row i are the features of item i
user_ids.tsv, item_ids.tsv   not of MMRec: the original id of each number
"""

import hashlib
import logging
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from recmodels.data.cache import cached, default_cache_dir
from recmodels.data.dataset import Interactions, RecDataset, Splits
from recmodels.data.formats.feature_file import load_features, warn_of_other_files
from recmodels.data.formats.inter_file import parse_inter
from recmodels.data.ids import IdSource, read_id_tables
from recmodels.data.splits import PARTS
from recmodels.errors import DataError
from recmodels.files import reading

log = logging.getLogger("mirrortune.data")


def is_mmrec(folder: Path) -> bool:
    """Return whether the folder has an .inter file."""
    return any(folder.glob("*.inter"))


def load_mmrec(folder: Path, cache_dir: Path | None = None) -> RecDataset:
    """Load the data set in `folder`; parsed interactions are kept in `cache_dir` (default: the user's cache folder).

    Sizes are 1 + the largest id over all lines. Validation and test lines of users without a training line are dropped
    afterwards, with a warning. A row of features that holds NaN becomes the mean of the others, with a warning. Raises
    DataError, one line with file and row, for any fault.
    """
    path = inter_path(folder)
    with reading(path):
        raw = path.read_bytes()
    name = f"inter-v1-{hashlib.sha256(raw).hexdigest()}.npz"  # the content decides, so no entry is ever stale
    table = cached((cache_dir or default_cache_dir()) / name, partial(parse_inter, path, raw))
    n_users, n_items = (int(size) for size in table[:, :2].max(axis=0) + 1)
    splits = split_by_label(path, table, n_users)
    warn_of_other_files(folder)
    features = {modality_of(file): load_features(file, n_items) for file in sorted(folder.glob("*_feat.npy"))}
    ids = IdSource(folder.absolute(), partial(read_id_tables, n_users=n_users, n_items=n_items))
    return RecDataset(folder.name, n_users, n_items, *splits, features, id_source=ids)


def inter_path(folder: Path) -> Path:
    """Return `<folder name>.inter` in `folder`, else the only .inter file there. Raises DataError if neither exists."""
    if not folder.is_dir():
        raise DataError(f"{folder}: no such folder, expected one with {folder.name}.inter")
    found = sorted(folder.glob("*.inter"))
    named = folder / f"{folder.name}.inter"
    if named in found:
        return named
    if len(found) != 1:
        names = ", ".join(path.name for path in found) or "no .inter file"
        raise DataError(f"{folder}: found {names}, expected {named.name} or exactly one .inter file")
    return found[0]


def modality_of(path: Path) -> str:
    """Return `image` for `image_feat.npy`. Raises DataError for a name that a part of a model cannot have."""
    name = path.name.removesuffix("_feat.npy")
    if not name.isidentifier():  # models name their parts after it, which torch allows only without dots
        raise DataError(f"{path}: modality {name!r}, expected letters, digits and underscores before _feat.npy")
    return name


def split_by_label(path: Path, table: NDArray[np.int64], n_users: int) -> Splits:
    """Return training, validation and test from rows of user, item and label, (n, 3).

    Rows of users without a training row are left out. Raises DataError, which names `path`, if a split is empty."""
    users, items, labels = table.T
    trained = (np.bincount(users[labels == 0], minlength=n_users) > 0)[users]  # (n,): the row's user has a training row
    for label, part in enumerate(PARTS):
        if not (labels == label).any():
            raise DataError(f"{path}: no line with x_label {label}, expected a {part} split")
        if not trained[labels == label].any():
            raise DataError(f"{path}: every {part} line (x_label {label}) is of a user without a training line")
    if not trained.all():
        dropped = users[~trained]
        text = "%s: dropped %d validation and test lines of %d users without a training line"
        log.warning(text, path, len(dropped), len(np.unique(dropped)))
    return Interactions.by_label(users[trained], items[trained], labels[trained], n_users)
