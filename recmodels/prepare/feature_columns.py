"""Decide whether a column of a table holds words or numbers, and return it as texts or as a matrix.

A type in the column's name decides, as in RecBole's headers: `title:token_seq` and `year:token` are words,
`price:float` is a number, `emb:float_seq` a vector. Without one the cells decide.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import Floats
from recmodels.errors import DataError
from recmodels.prepare.number_cells import looks_like_a_vector, numbers_in, reads_as_words

if TYPE_CHECKING:
    import pyarrow

WORDS, NUMBERS = ("token", "token_seq"), ("float", "float_seq")


@dataclass(frozen=True)
class Words:
    """A column of texts, "" for a missing one, as in all rows of a column without values. `in_digits`: how many of the
    texts are numbers, as the title 1984 is."""

    name: str
    cells: list[str]
    in_digits: int = 0

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which rows have no text, (rows,)."""
        return np.array([not cell.strip() for cell in self.cells])


@dataclass(frozen=True)
class Numbers:
    """A column of numbers or of vectors of equal length, float32 (rows, dim); NaN all over a row with a missing value.

    `cells`: the numbers as they are written, if they may be part of a text, as a year is beside a title."""

    name: str
    matrix: Floats
    cells: list[str] | None = None

    @property
    def missing(self) -> NDArray[np.bool_]:
        """Which rows have a missing value, (rows,)."""
        return np.isnan(self.matrix[:, 0])


def feature_column(path: Path, name: str, column: "pyarrow.ChunkedArray") -> Words | Numbers:
    """Return the column `name` of the table at `path` as words or numbers.

    Raises DataError, one line with the row (from 1), for cells of different kinds, vectors of different lengths and
    numbers that no float32 can hold.
    """
    import pyarrow as pa

    declared = name.rpartition(":")[2] if ":" in name else ""
    column = _plain(path, name, column)
    kind = column.type
    if pa.types.is_null(kind):
        return _empty(name, len(column))
    if _is_list(kind) and not _is_text(kind.value_type):
        if declared in WORDS:
            raise DataError(f"{path}: {name} is a column of {kind}, expected words, as its name says")
        return _lists(path, name, column)
    if _is_list(kind):
        return _texts(path, name, [None if cell is None else _joined(cell) for cell in column.to_pylist()], declared)
    if _is_text(kind) or pa.types.is_temporal(kind):
        return _texts(path, name, column.cast(pa.string()).to_pylist(), declared)
    if not _is_number(kind):
        raise DataError(f"{path}: {name} is a column of {kind}, expected text, numbers or lists of numbers")
    as_written = "{:.15g}" if pa.types.is_floating(kind) else "{}"  # a year may be a float because others are missing
    cells = ["" if cell is None else as_written.format(cell) for cell in column.to_pylist()]
    if declared in WORDS:
        return Words(name, cells)
    values = column.cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy()[:, None]
    return _finite(path, name, values, None if declared in NUMBERS else cells)


def _texts(path: Path, name: str, texts: list[str | None], declared: str) -> Words | Numbers:
    """Decide on a column of text: words if a cell holds words, else a matrix.

    Numbers among words are a fault, unless they are the smaller part and may be titles such as `1984` and `4 5 6`.
    """
    cells = [text or "" for text in texts]
    if declared in WORDS:
        return Words(name, cells)
    read: list[list[float] | None] = []
    unclear: tuple[int, str] | None = None
    for row, cell in enumerate(cells):
        try:
            read.append(numbers_in(cell))
        except ValueError as error:
            unclear = unclear or (row, str(error))
            read.append([0.0, 0.0])  # several numbers, whichever they are
    filled = [row for row, found in enumerate(read) if found is None or not np.isnan(found).all()]
    if not filled:
        return _empty(name, len(cells))
    words = [row for row in filled if read[row] is None]
    vectors = [row for row in filled if len(read[row] or ()) > 1]
    if words and declared in NUMBERS:
        raise _fault(path, words[0], name, cells[words[0]], "expected numbers, as the column's name says")
    if words:
        in_digits = [row for row in filled if read[row] is not None]
        sure = [row for row in vectors if looks_like_a_vector(cells[row], len(read[row] or ()))]
        many = 2 * len(in_digits) >= len(filled)
        if many or sure:
            first, other = sorted((words[0], in_digits[0] if many else sure[0]))
            before = f"expected the same kind as in row {first + 1}, {cells[first]!r:.60}"
            fix = f"all words or all numbers (a column called {name}:token_seq is words)"
            raise _fault(path, other, name, cells[other], f"{before}: {fix}")
        strange = [row for row in words if not reads_as_words(cells[row])]
        if 2 * len(strange) > len(words):
            expected = f"expected words, or numbers such as [0.1, 0.2] (a column called {name}:token_seq is words)"
            raise _fault(path, strange[0], name, cells[strange[0]], expected)
        return Words(name, cells, len(in_digits))
    if unclear:
        raise _fault(path, unclear[0], name, cells[unclear[0]], unclear[1])
    if declared == "float" and vectors:
        raise _fault(path, vectors[0], name, cells[vectors[0]], "expected one number, as the column's name says")
    single = not vectors and not any(cell.lstrip()[:1] == "[" for cell in cells)
    kept = set(filled)
    matrix = _matrix(path, name, [found if found and row in kept else [] for row, found in enumerate(read)])
    return _finite(path, name, matrix, cells if single and declared not in NUMBERS else None)


def _matrix(path: Path, name: str, rows: list[list[float]]) -> NDArray[np.float64]:
    """Return vectors as (rows, dim), NaN for an empty one. Raises DataError for one of another length."""
    _check_lengths(path, name, np.array([len(row) for row in rows]))
    width = max(map(len, rows))
    return np.array([row or [np.nan] * width for row in rows], dtype=np.float64)


def _lists(path: Path, name: str, column: "pyarrow.ChunkedArray") -> Words | Numbers:
    """Return a column of lists of numbers. A null, an empty list and a list with a null or NaN are missing."""
    import pyarrow as pa
    import pyarrow.compute as pc

    inner = column.type.value_type
    if not (_is_number(inner) or pa.types.is_null(inner)):
        raise DataError(f"{path}: {name} is a column of lists of {inner}, expected lists of numbers")
    valid = column.is_valid().to_numpy()
    filled = column.filter(column.is_valid())
    lengths = np.zeros(len(column), dtype=np.int64)
    lengths[valid] = pc.list_value_length(filled).to_numpy()
    if not lengths.any():
        return _empty(name, len(column))
    _check_lengths(path, name, lengths)
    values = pc.list_flatten(filled).cast(pa.float64(), safe=False).fill_null(np.nan).to_numpy()
    matrix = np.full((len(column), int(lengths.max())), np.nan)
    matrix[lengths > 0] = values.reshape(-1, matrix.shape[1])
    return _finite(path, name, matrix, None)


def _check_lengths(path: Path, name: str, lengths: NDArray[np.int64]) -> None:
    """Raise DataError unless all lengths that are not 0, at least one, are equal."""
    first = int((lengths > 0).argmax())
    bad = (lengths != lengths[first]) & (lengths > 0)
    if bad.any():
        row = int(bad.argmax())
        expected = f"expected {lengths[first]} as in row {first + 1}"
        raise DataError(f"{path}: row {row + 1}: {name} has {lengths[row]} numbers, {expected}")


def _finite(path: Path, name: str, values: NDArray[np.float64], cells: list[str] | None) -> Words | Numbers:
    """Return values (rows, dim) as float32; a row with NaN is NaN all over. Raises DataError for infinity.

    `cells`: what the numbers look like in a text, if they may stand in one."""
    with np.errstate(over="ignore"):
        matrix = values.astype(np.float32)
    infinite = np.isinf(matrix)
    if infinite.any():
        row, index = np.argwhere(infinite)[0]
        raise DataError(f"{path}: row {row + 1}: {name} has {values[row, index]}, expected finite float32 numbers")
    missing = np.asarray(np.isnan(matrix).any(axis=1))
    if missing.all():
        return _empty(name, len(matrix))
    matrix[missing] = np.nan
    texts = cells and ["" if none else cell for cell, none in zip(cells, missing, strict=True)]
    return Numbers(name, matrix, texts)


def _empty(name: str, n_rows: int) -> Words:
    return Words(name, [""] * n_rows)


def _fault(path: Path, row: int, name: str, cell: str, expected: str) -> DataError:
    return DataError(f"{path}: row {row + 1}: {name} is {cell!r:.60}, {expected}")


def _plain(path: Path, name: str, column: "pyarrow.ChunkedArray") -> "pyarrow.ChunkedArray":
    """Return the column without dictionaries and extension types such as tensors, and bytes that are text as text."""
    import pyarrow as pa
    import pyarrow.compute as pc

    types = pa.types
    if isinstance(column.type, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], column.type.storage_type)
    if types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    if types.is_binary(column.type) or types.is_large_binary(column.type) or types.is_binary_view(column.type):
        try:
            text = column.cast(pa.string())
        except pa.ArrowInvalid:
            text = None
        if text is None or pc.any(pc.match_substring(text, "\0")).as_py():  # as in the bytes of numbers
            raise DataError(f"{path}: {name} is a column of {column.type} that is no text, expected lists of numbers")
        return text
    return column


def _is_list(kind: "pyarrow.DataType") -> bool:
    import pyarrow as pa

    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _is_text(kind: "pyarrow.DataType") -> bool:
    import pyarrow as pa

    return pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)


def _is_number(kind: "pyarrow.DataType") -> bool:
    import pyarrow as pa

    types = pa.types
    return types.is_floating(kind) or types.is_integer(kind) or types.is_decimal(kind) or types.is_boolean(kind)


def _joined(texts: list[str | None]) -> str:
    return " ".join(text for text in texts if text)
