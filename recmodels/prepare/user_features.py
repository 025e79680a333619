"""Load item features of a user by item id: a .npy with a list of ids, or columns of a table."""

import logging
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import Floats
from recmodels.data.formats.dialect import BY_ENDING, Dialect
from recmodels.data.formats.item_rows import ItemRows, load_rows, rows_of, with_means
from recmodels.data.formats.tables import as_ids, column_names, read_columns
from recmodels.errors import DataError, UserError
from recmodels.prepare.columns import USUAL, choose, resolve
from recmodels.prepare.feature_columns import Numbers, Words, feature_column
from recmodels.prepare.folder import Note
from recmodels.prepare.text import encode

SPECIFICATION = re.compile(
    r"(?P<modality>[^=]*)=(?P<path>.+?\.(?i:npy|parquet|(csv|tsv|txt|tab|dat|data|item|jsonl|ndjson|json)(\.gz)?))"
    r"(:(?P<rest>.+))?"
)
FORMS = "MODALITY=FEATURES.npy:IDS.txt (an item id a line) or MODALITY=TABLE.csv|.tsv|.parquet:COLUMN,..."
TEXT = "text"  # the modality of words, and what makes another modality one of words, as in reviews:text=...
TO_NPY = {  # endings of files of arrays, which are never opened -> what makes a matrix of one
    ("pt", "pth", "ckpt"): "torch.load({}, weights_only=True).numpy()",
    ("npz",): "numpy.load({})[NAME]",
    ("h5", "hdf5"): "h5py.File({})[NAME][:]",
    ("mat",): "scipy.io.loadmat({})[NAME]",
    ("safetensors",): "safetensors.numpy.load_file({})[NAME]",
    ("pkl", "pickle", "joblib", "npy.gz", "zarr", "tfrecord", "bin"): "MATRIX",
}
TO_TABLE = ("feather", "arrow", "orc", "xlsx", "xls", "ods", "avro")
ENDINGS = "|".join(re.escape(ending) for endings in (*TO_NPY, TO_TABLE) for ending in endings)
OTHER_FILE = re.compile(rf"[^=]*=(?P<path>[^:]+?\.(?P<ending>{ENDINGS}))(:.*)?", re.IGNORECASE)

log = logging.getLogger("mirrortune.prepare")


class Source(NamedTuple):
    """Files of one modality. `ids`: beside a .npy, the item of each row; `columns`: of a table, () for all of them.

    `words`: the columns may hold words, which are encoded."""

    modality: str
    path: Path
    ids: Path | None
    columns: tuple[str, ...]
    words: bool


class Features(NamedTuple):
    """A matrix (rows of a file, dim), the row of each item, and what the manifest says of them."""

    matrix: Floats
    found: ItemRows
    note: Note


def parse(text: str) -> Source:
    """Parse `image=feat.npy:ids.txt`, `text=items.csv:title,description` or, for words of another modality than text,
    `reviews:text=items.csv:review`. Raises UserError for anything else, with the way out for other kinds of files."""
    if other := OTHER_FILE.fullmatch(text):
        raise UserError(f"`features` {text}: {_way_out(other['path'], other['ending'].lower())}")
    found = SPECIFICATION.fullmatch(text)
    if not found:
        raise UserError(f"`features` {text}: expected {FORMS}")
    (modality, colon, tag), path, rest = found["modality"].partition(":"), Path(found["path"]), found["rest"] or ""
    if not modality.isidentifier():
        raise UserError(f"`features` {text}: modality {modality!r}, expected letters, digits and underscores before =")
    if colon and tag != TEXT:
        raise UserError(f"`features` {text}: {tag!r} before =, expected {modality}= or, for words, {modality}:{TEXT}=")
    if path.suffix.lower() != ".npy":
        columns = tuple(name.strip() for name in rest.split(",")) if rest else ()
        return Source(modality, path, None, columns, words=modality == TEXT or bool(colon))
    if colon:
        raise UserError(f"`features` {text}: a .npy holds no words, expected {modality}= before it")
    if not rest:
        expected = f"{text}:IDS.txt with an item id a line"
        raise UserError(f"`features` {text}: does not say which item each row belongs to, expected {expected}")
    return Source(modality, path, Path(rest), (), words=False)


def load(
    source: Source, item_ids: Sequence[str], item_col: str, encoder: str, seed: int, dialect: Dialect = BY_ENDING
) -> tuple[Floats, Note]:
    """Load a row for each of `item_ids`, float32 (items, dim), and a note for the manifest.

    A row with a missing value counts for nothing, and items without a row get the mean of the others; rows of other
    items are not used; of rows of the same item the first one counts that has all values. `item_col`: the column of
    item ids in the interactions; a table without it may have another usual name. `encoder` and `seed`: of texts.
    `dialect`: of a text table; without a header its column 0 has the item ids. Raises DataError and UserError.
    """
    if source.ids:
        matrix, found = load_rows(source.path, source.ids, item_ids)
        features = Features(matrix, found, {})
    else:
        features = _from_table(source, item_ids, item_col, encoder, seed, dialect)
    matrix, found, note = features
    text = "%s: %d columns of %s; %d of %d items have none and get the mean; %d rows of other items are not used"
    level = logging.WARNING if 2 * found.n_without > len(item_ids) else logging.INFO
    log.log(level, text, source.modality, matrix.shape[1], source.path, found.n_without, len(item_ids), found.n_unused)
    if found.n_without:
        log.info("%s: the first item without is %r", source.modality, item_ids[int((found.rows < 0).argmax())])
    counts = {"items_without": found.n_without, "rows_not_used": found.n_unused, "columns": matrix.shape[1]}
    if found.n_missing:
        first = int(found.missing.argmax()) + (0 if source.ids else 1)  # arrays count from 0, tables from 1
        text = "%s: %d rows of %s have missing values, the first is row %d"
        log.info(text, source.modality, found.n_missing, source.path, first)
        counts["rows_with_missing_values"] = found.n_missing
    return with_means(matrix, found.rows), note | counts


def _from_table(
    source: Source, item_ids: Sequence[str], item_col: str, encoder: str, seed: int, dialect: Dialect
) -> Features:
    """Load columns that are all numbers as they are, and encode columns of words, if the source may hold words."""
    path, found = source.path, column_names(source.path, dialect)
    usual = [item_col, *USUAL["item"]]
    item = "0" if dialect.header is False else choose(path, found, usual, "item", None)
    names = [resolve(path, found, name) for name in source.columns] or [name for name in found if name != item]
    if not names:
        raise DataError(f"{path}: no column but {item!r}, expected some with features")
    cells = read_columns(path, [item, *names], dialect)
    ids = as_ids(path, item, cells[item]).tolist()
    columns = [_accepted(source, feature_column(path, name, cells[name])) for name in names]
    missing_in = _missing_in(path, columns)
    words = [column for column in columns if isinstance(column, Words)]
    numbers = [column for column in columns if isinstance(column, Numbers)]
    if any(not column.missing.all() for column in words):
        _say_what_becomes_text(path, words, numbers)
        features = _encoded(source, columns, ids, item_ids, encoder, seed)
    else:
        if words:
            raise DataError(
                f"{path}: {words[0].name} has a missing value in all {len(ids)} rows, expected some without"
            )
        if source.words:
            log.info("%s: numbers, taken as they are, and no words in %s", path, ", ".join(names))
        missing = np.any([column.missing for column in numbers], axis=0)
        matrix = np.hstack([column.matrix for column in numbers])
        features = Features(matrix, rows_of(path, ids, item_ids, missing), {})
    return features._replace(note=features.note | ({"missing_in": missing_in} if missing_in else {}))


def _missing_in(path: Path, columns: Sequence[Words | Numbers]) -> dict[str, int]:
    """Return the number of missing values of each column that has some. A column that mostly misses is a warning."""
    counts = {}
    for column in columns:
        n = int(column.missing.sum())
        if n:
            counts[column.name] = n
            most = 2 * n > len(column.missing)
            text = "%s: %s is missing in %d of %d rows%s, first in row %d"
            details = (n, len(column.missing), ", in most of them" if most else "", column.missing.argmax() + 1)
            log.log(logging.WARNING if most else logging.INFO, text, path, column.name, *details)
    return counts


def _accepted(source: Source, column: Words | Numbers) -> Words | Numbers:
    """Return the column. Raises UserError if it holds words and the source, or no column of it, is to be encoded."""
    if isinstance(column, Numbers) or column.missing.all() or (source.words and source.columns):
        return column
    if source.words:
        raise UserError(f"`features` {source.modality}={source.path}: expected :COLUMN,... with the columns to encode")
    row = int((~column.missing).argmax())
    found = f"{column.name} holds words ({column.cells[row]!r:.60} in row {row + 1})"
    expected = f"expected numbers, or {source.modality}:{TEXT}=TABLE:COLUMN,... to encode words"
    raise UserError(f"`features` {source.modality}={source.path}: {found}, {expected}")


def _say_what_becomes_text(path: Path, words: Sequence[Words], numbers: Sequence[Numbers]) -> None:
    """Log which numbers become part of a text. Raises DataError if some of them are vectors."""
    for other in numbers:
        if other.cells is None:
            expected = "expected words or numbers alone, or each as a modality of its own"
            raise DataError(f"{path}: {words[0].name} holds words and {other.name} numbers, {expected}")
        log.info("%s: the numbers of %s become part of the text", path, other.name)
    for column in words:
        if column.in_digits:
            log.info("%s: %s holds words; %d of its cells are in digits", path, column.name, column.in_digits)


def _encoded(
    source: Source,
    columns: Sequence[Words | Numbers],
    ids: Sequence[str],
    item_ids: Sequence[str],
    encoder: str,
    seed: int,
) -> Features:
    """Encode the texts of the items' rows. A row is missing if all of its columns are empty."""
    parts = [column.cells or [] for column in columns]
    texts = [" ".join(" ".join(cell).split()) for cell in zip(*parts, strict=True)]
    found = rows_of(source.path, ids, item_ids, np.array([not text for text in texts]))
    used = np.unique(found.rows[found.rows >= 0])
    matrix, encoded_by = encode([texts[row] for row in used], encoder, seed, source.path)
    rows: NDArray[np.int64] = np.where(found.rows >= 0, np.searchsorted(used, found.rows), -1)
    return Features(matrix, found._replace(rows=rows), {"encoder": encoded_by})


def _way_out(path: str, ending: str) -> str:
    """Describe how to make a file of a kind that is read, of one with another ending."""
    stem, quoted = path[: -len(ending) - 1], f"'{path}'"
    if ending in TO_TABLE:
        return f"a .{ending} is never opened, expected a table such as {stem}.parquet or {stem}.csv"
    matrix = next(make for endings, make in TO_NPY.items() if ending in endings).format(quoted)
    made = f"numpy.save('{stem}.npy', {matrix}, allow_pickle=False)"
    return f"a .{ending} is never opened, expected a .npy, made once by {made}"
