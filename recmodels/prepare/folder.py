"""Write arrays as a data set folder in MMRec's format, whole or not at all."""

import hashlib
import json
import os
import shutil
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from recmodels.data.dataset import Floats
from recmodels.data.splits import Labels
from recmodels.errors import DataError, UserError
from recmodels.files import reading
from recmodels.prepare.interactions import Table

BLOCK = 4096  # rows of features at a time: 64 MB at 4096 columns
DAY = 86400

Note = dict[str, Any]
"""Facts about a source, a modality or the whole data set for the manifest."""


def write_folder(
    path: Path, table: Table, labels: Labels, features: Mapping[str, Floats], manifest: Note, overwrite: bool = False
) -> None:
    """Write the folder `path` of a data set, which is called as the last part of `path`.

    It holds `<name>.inter`, `<modality>_feat.npy` (float32), user_ids.tsv, item_ids.tsv and manifest.json. `labels`
    (n,): the split of each interaction; feature matrices are (items, dim), memory maps included. All is written to a
    hidden folder beside `path` and renamed at the end. Raises UserError if `path` exists (unless `overwrite`);
    DataError for an id that is empty or contains a tab or a line end, and if the disk is full or cannot be written.
    """
    check_free(path, overwrite)
    check_ids(table, path)
    new = path.parent / f".{path.name}.{uuid.uuid4().hex}.tmp"
    columns = {"userID": table.users, "itemID": table.items, **table.extra, "x_label": labels}
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _remove_leftovers(path)
        new.mkdir()
        for modality, matrix in features.items():
            save_rows(new / f"{modality}_feat.npy", matrix)
        _write_ids(new / "user_ids.tsv", "userID", table.user_ids)
        _write_ids(new / "item_ids.tsv", "itemID", table.item_ids)
        pd.DataFrame(columns).to_csv(new / f"{path.name}.inter", sep="\t", index=False)
        text = json.dumps(manifest, indent=2, ensure_ascii=False)
        (new / "manifest.json").write_text(text + "\n", encoding="utf-8")
        _put_in_place(new, path)
    except OSError as error:
        reason = error.strerror or error
        raise DataError(f"{path}: cannot be written ({reason}); nothing half-written was left there") from None
    finally:
        shutil.rmtree(new, ignore_errors=True)


def describe(name: str, packages: Sequence[str], **facts: Any) -> Note:
    """Return the manifest of a data set: name, time, the `facts`, and the versions of the `packages` that made it."""
    made = datetime.now(UTC).isoformat(timespec="seconds")
    return {"name": name, "made": made, **facts, "versions": {package: version(package) for package in packages}}


def file_note(path: Path) -> Note:
    """Return size and checksum of a source file for the manifest. Raises DataError if it cannot be read."""
    with reading(path), path.open("rb") as file:
        return {"bytes": path.stat().st_size, "sha256": hashlib.file_digest(file, "sha256").hexdigest()}


def check_free(path: Path, overwrite: bool) -> None:
    """Raise UserError if a folder at `path` may not be replaced, or a file is there."""
    if path.exists() and not overwrite:
        raise UserError(f"{path}: exists already, expected `overwrite` to replace it, or another `name` or `data_dir`")
    if path.exists() and not path.is_dir():
        raise UserError(f"{path}: is a file, expected no file there, as a folder is to be written")


def check_ids(table: Table, source: Path) -> None:
    """Raise DataError, which names the `source`, for an id that does not fit into a line of a tab-separated table."""
    for kind, ids in (("user", table.user_ids), ("item", table.item_ids)):
        for row, name in enumerate(ids):
            if name.splitlines() != [name] or "\t" in name:
                raise DataError(f"{source}: {kind} {row}: its id is {name!r}, expected text without tabs and line ends")


def save_rows(path: Path, matrix: Floats) -> None:
    """Write the matrix as a float32 .npy, in blocks of rows, so that a memory map is never in memory as a whole."""
    header = {"descr": "<f4", "fortran_order": False, "shape": matrix.shape}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for start in range(0, len(matrix), BLOCK):
            file.write(np.ascontiguousarray(matrix[start : start + BLOCK], dtype="<f4").tobytes())


def _write_ids(path: Path, column: str, ids: Sequence[str]) -> None:
    with path.open("w", encoding="utf-8", newline="\n") as file:
        file.write(f"{column}\toriginal_id\n")
        file.writelines(f"{number}\t{name}\n" for number, name in enumerate(ids))


def _put_in_place(new: Path, path: Path) -> None:
    if not path.exists():
        os.replace(new, path)
        return
    old = new.with_suffix(".old")
    os.replace(path, old)
    try:
        os.replace(new, path)
    except OSError:
        os.replace(old, path)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _remove_leftovers(path: Path) -> None:
    """Remove folders that killed processes left; only those older than a day, as others may still be written to."""
    for kind in ("tmp", "old"):
        for leftover in path.parent.glob(f".{path.name}.*.{kind}"):
            if time.time() - leftover.stat().st_mtime > DAY:
                shutil.rmtree(leftover, ignore_errors=True)
