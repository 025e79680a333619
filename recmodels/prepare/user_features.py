"""Load item features of a user by item id: a .npy with a list of ids, or columns of a table."""

import json
import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import Floats, Ints
from recmodels.data.formats.item_rows import load_rows, rows_of, with_means
from recmodels.data.formats.tables import as_ids, as_numbers, as_text, column_names, read_columns
from recmodels.errors import DataError, UserError
from recmodels.prepare.columns import USUAL, choose, resolve
from recmodels.prepare.folder import Note
from recmodels.prepare.text import encode

if TYPE_CHECKING:
    import pyarrow

SPECIFICATION = re.compile(
    r"(?P<modality>[^=]*)=(?P<path>.+?\.(npy|parquet|(csv|tsv|txt|item)(\.gz)?))(:(?P<rest>.+))?"
)
FORMS = "MODALITY=FEATURES.npy:IDS.txt (an item id a line) or MODALITY=TABLE.csv|.tsv|.parquet:COLUMN,..."
NO_NUMBER = ("nan", "na", "n/a", "null", "none", "-")
"""Marks of a missing number in tables."""

log = logging.getLogger("mirrortune.prepare")


class Source(NamedTuple):
    """Files of one modality. `ids`: beside a .npy, the item of each row; `columns`: of a table, () for all of them."""

    modality: str
    path: Path
    ids: Path | None
    columns: tuple[str, ...]


def parse(text: str) -> Source:
    """Parse `image=feat.npy:ids.txt` or `text=items.csv:title,description`. Raises UserError for anything else."""
    found = SPECIFICATION.fullmatch(text)
    if not found:
        raise UserError(f"`features` {text}: expected {FORMS}")
    modality, path, rest = found["modality"], Path(found["path"]), found["rest"] or ""
    if not modality.isidentifier():
        raise UserError(f"`features` {text}: modality {modality!r}, expected letters, digits and underscores before =")
    if path.suffix != ".npy":
        return Source(modality, path, None, tuple(name.strip() for name in rest.split(",")) if rest else ())
    if not rest:
        expected = f"{text}:IDS.txt with an item id a line"
        raise UserError(f"`features` {text}: does not say which item each row belongs to, expected {expected}")
    return Source(modality, path, Path(rest), ())


def load(source: Source, item_ids: Sequence[str], item_col: str, encoder: str, seed: int) -> tuple[Floats, Note]:
    """Load a row for each of `item_ids`, float32 (items, dim), and a note for the manifest.

    Items without a row get the mean of the others; rows of other items are not used; of rows of the same item the first
    counts. `item_col`: the column of item ids in the interactions; a table without it may have another usual name.
    `encoder` and `seed`: of texts. Raises DataError and UserError.
    """
    if source.ids:
        matrix, rows, n_unused = load_rows(source.path, source.ids, item_ids)
        note: Note = {}
    else:
        matrix, rows, n_unused, note = _from_table(source, item_ids, item_col, encoder, seed)
    n_without = int((rows < 0).sum())
    text = "%s: %d columns of %s; %d of %d items have none and get the mean; %d rows of other items are not used"
    log.info(text, source.modality, matrix.shape[1], source.path, n_without, len(item_ids), n_unused)
    counts = {"items_without": n_without, "rows_not_used": n_unused, "columns": matrix.shape[1]}
    return with_means(matrix, rows), note | counts


def _from_table(
    source: Source, item_ids: Sequence[str], item_col: str, encoder: str, seed: int
) -> tuple[Floats, Ints, int, Note]:
    """Return features, the row of each item (-1: none), the number of unused rows, and a note for the manifest.

    Columns of numbers become features as they are. Texts are encoded; the columns of the modality "text" are always
    texts, even if they hold numbers.
    """
    path, found = source.path, column_names(source.path)
    item = choose(path, found, [item_col, *USUAL["item"]], "item", None)
    names = [resolve(path, found, name) for name in source.columns] or [name for name in found if name != item]
    if not names:
        raise DataError(f"{path}: no column but {item!r}, expected some with features")
    cells = read_columns(path, [item, *names])
    ids = as_ids(path, item, cells.pop(item))
    rows, n_unused = rows_of(path, ids.tolist(), item_ids)
    if source.modality != "text" and not any(map(_has_words, cells.values())):
        return np.hstack([_vectors(path, *cell) for cell in cells.items()]), rows, n_unused, {}
    if not source.columns:
        raise UserError(f"`features` {source.modality}={path}: expected :COLUMN,... with the columns to encode")
    parts = [as_text(path, *cell) for cell in cells.items()]
    texts = [" ".join(" ".join(cell).split()) for cell in zip(*parts, strict=True)]
    rows = np.array([row if row >= 0 and texts[row] else -1 for row in rows], dtype=np.int64)
    used = np.unique(rows[rows >= 0])
    if not len(used):
        raise DataError(f"{path}: no item has a text in {', '.join(map(repr, names))}, expected some to encode")
    matrix, encoded_by = encode([texts[row] for row in used], encoder, seed, path)
    rows_of_used = np.where(rows >= 0, np.searchsorted(used, rows), -1)
    return matrix, rows_of_used, n_unused, {"encoder": encoded_by}


def _has_words(column: "pyarrow.ChunkedArray") -> bool:
    """Return whether some cell is a text that is neither a number nor missing, and not all cells are lists."""
    import pandas as pd
    import pyarrow as pa

    if not (pa.types.is_string(column.type) or pa.types.is_large_string(column.type)):
        return False
    filled = [cell for cell in column.to_pylist() if cell and cell.strip()]
    if all(cell.startswith("[") for cell in filled):
        return False
    no_numbers = pd.to_numeric(pd.Series(filled, dtype=object), errors="coerce").isna()
    return any(cell.strip().lower() not in NO_NUMBER for cell, none in zip(filled, no_numbers, strict=True) if none)


def _vectors(path: Path, name: str, column: "pyarrow.ChunkedArray") -> Floats:
    """Return a column of numbers or of lists of equal length as float32 (rows, numbers a row). Raises DataError."""
    import pyarrow as pa

    if pa.types.is_string(column.type) and str(column[0]).startswith("["):
        lists = [_json_list(path, row, name, cell) for row, cell in enumerate(as_text(path, name, column), start=1)]
        column = pa.chunked_array([pa.array(lists, type=pa.list_(pa.float64()))])
    nested = pa.types.is_nested(column.type)
    matrix = _lists(path, name, column) if nested else as_numbers(path, name, column)[:, None]
    with np.errstate(over="ignore"):
        values = matrix.astype(np.float32)
    if not np.isfinite(values).all():
        row, index = np.argwhere(~np.isfinite(values))[0]
        raise DataError(f"{path}: row {row + 1}: {name} has {matrix[row, index]}, expected finite float32 numbers")
    return values


def _lists(path: Path, name: str, column: "pyarrow.ChunkedArray") -> NDArray[np.float64]:
    """Return a column of lists as (rows, numbers in a list). Raises DataError."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        raise DataError(f"{path}: {name!r} is a column of {kind}, expected lists of numbers")
    lengths = pc.list_value_length(column).fill_null(0).to_numpy()
    bad = (lengths != lengths[0]) | (lengths == 0)
    if bad.any():
        row = int(bad.argmax())
        expected = f"{lengths[0]} as in row 1" if row else "at least 1"
        raise DataError(f"{path}: row {row + 1}: {name} has {lengths[row]} numbers, expected {expected}")
    values = pc.list_flatten(column)
    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type)):
        raise DataError(f"{path}: {name!r} is a column of lists of {values.type}, expected lists of numbers")
    return np.asarray(values.cast(pa.float64()).to_numpy()).reshape(len(lengths), -1)


def _json_list(path: Path, row: int, name: str, cell: str) -> list[float]:
    try:
        found = json.loads(cell)
        if isinstance(found, list):
            return [float(value) for value in found]
    except (ValueError, TypeError, RecursionError):
        pass
    raise DataError(f"{path}: row {row}: {name} is {cell[:60]!r}, expected a list such as [0.1, 0.2]")
