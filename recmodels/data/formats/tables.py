"""Read columns of text tables, JSON lines or Parquet as ids, texts or numbers. A fault names file and row.

Rows are counted from 1, without the header.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recmodels.data.formats import delimited, json_lines
from recmodels.data.formats.dialect import BY_ENDING, JSON, Dialect, ending
from recmodels.data.formats.parquet_file import read_parquet
from recmodels.errors import DataError
from recmodels.files import reading

if TYPE_CHECKING:
    import pyarrow


def column_names(path: Path, dialect: Dialect = BY_ENDING) -> list[str]:
    """Read the names of a table's columns. Raises DataError for a file that is no table, or with a name twice.

    The file's ending decides, before a .gz that may follow on text: .parquet; .jsonl, .ndjson or .json for JSON lines;
    any other is a text table of this `dialect`.
    """
    if ending(path) == ".parquet":
        from pyarrow import parquet

        with _readable(path):
            found = list(parquet.read_schema(path).names)
    else:
        found = json_lines.keys(path) if ending(path) in JSON else delimited.header(path, dialect.of(path))
    if not found:
        raise DataError(f"{path}: found no columns, expected a table")
    for name, n in Counter(found).items():
        if n > 1:
            raise DataError(f"{path}: two columns are called {name!r}, expected each name once")
    return found


def read_columns(path: Path, names: Sequence[str], dialect: Dialect = BY_ENDING) -> dict[str, "pyarrow.ChunkedArray"]:
    """Read the columns of these names, of equal length, at least 1: text from a text table, any type from others.

    The file's ending decides as for `column_names`. Raises DataError for a damaged file, a missing column, a table
    without rows.
    """
    found = column_names(path, dialect)
    for name in names:
        if name not in found:
            headless = (
                "; `header=False` names columns by position" if name.isdigit() and ending(path) not in JSON else ""
            )
            raise DataError(f"{path}: no column {name!r}, found {', '.join(map(repr, found))}{headless}")
    distinct = list(dict.fromkeys(names))
    if ending(path) == ".parquet":
        with _readable(path):
            table = read_parquet(path, distinct)
            table.validate(full=True)  # text that is no UTF-8 would be a fault only when it is looked at
        columns = {name: table[name] for name in distinct}
    elif ending(path) in JSON:
        columns = json_lines.read_values(path, distinct)
    else:
        cells = delimited.read_cells(path, dialect.of(path), distinct)
        columns = {name: _as_string(path, name, column, "UTF-8 (`encoding`?)") for name, column in cells.items()}
    if not len(columns[distinct[0]]):
        raise DataError(f"{path}: found {'no rows' if ending(path) in JSON else 'a header and no rows'}")
    return {name: columns[name] for name in names}


def as_ids(path: Path, name: str, column: "pyarrow.ChunkedArray") -> NDArray[np.object_]:
    """Return ids as text, (n,) of str: text as it is written, whole numbers in digits. DataError for a missing one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _decoded(column)
    kind = column.type
    if pa.types.is_floating(kind):  # many tools make floats of integers with gaps
        column = _whole(path, name, column.to_numpy())
    elif pa.types.is_decimal(kind):
        column = _whole_decimals(path, name, column)
    elif not (is_text_type(kind) or pa.types.is_integer(kind) or pa.types.is_null(kind)):
        raise DataError(f"{path}: {name!r} is a column of {kind}, expected ids that are text or whole numbers")
    text = _as_string(path, name, column)
    missing = np.asarray(pc.equal(pc.utf8_trim_whitespace(text.fill_null("")), ""))
    if missing.any():
        row = int(missing.argmax()) + 1
        raise DataError(f"{path}: row {row}: {name} is missing, expected an id in each row ({missing.sum()} have none)")
    return np.array(text.to_pylist(), dtype=object)


def as_text(path: Path, name: str, column: "pyarrow.ChunkedArray") -> list[str]:
    """Return the cells as text, "" for a missing one. Raises DataError for cells that hold several values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    column = _decoded(column)
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    try:
        found: list[str] = _as_string(path, name, column).fill_null("").to_pylist()
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise DataError(f"{path}: {name!r} is a column of {column.type}, expected text or numbers") from None
    return found


def as_numbers(path: Path, name: str, column: "pyarrow.ChunkedArray") -> NDArray[np.float64]:
    """Return the cells as finite numbers, (n,); true and false are 1 and 0. Raises DataError for any other."""
    import pandas as pd
    import pyarrow as pa

    column = _decoded(column)
    kind = column.type
    if (
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    ):
        values = column.cast(pa.float64(), safe=False).to_numpy()
    else:
        series = pd.Series(as_text(path, name, column), dtype=object)
        values = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(f"{path}: row {row + 1}: {name} is {column[row].as_py()!r}, expected a number")
    return values


def _decoded(column: "pyarrow.ChunkedArray") -> "pyarrow.ChunkedArray":
    """Return the values themselves of a column of categories."""
    import pyarrow as pa

    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def is_text_type(kind: "pyarrow.DataType") -> bool:
    """Return whether a type of Arrow holds text, or bytes that may be text."""
    import pyarrow as pa

    names = ("string", "large_string", "string_view", "binary", "large_binary", "binary_view", "fixed_size_binary")
    return any(getattr(pa.types, f"is_{name}")(kind) for name in names if hasattr(pa.types, f"is_{name}"))


def _as_string(path: Path, name: str, column: Any, expected: str = "UTF-8") -> Any:
    """Return a column as Arrow's string. DataError for bytes that are no text; ArrowException for other types."""
    import pyarrow as pa

    try:
        return column.cast(pa.string())
    except pa.ArrowInvalid:
        if not is_text_type(column.type):
            raise
    for row, cell in enumerate(column.cast(pa.large_binary()).to_pylist(), start=1):
        try:
            (cell or b"").decode()
        except UnicodeDecodeError:
            raise DataError(f"{path}: row {row}: {name} is {cell[:60]!r}, expected text in {expected}") from None
    raise DataError(f"{path}: {name!r} is a column of {column.type} with more text than fits, expected less than 2 GB")


def _whole(path: Path, name: str, values: NDArray[np.floating[Any]]) -> "pyarrow.Array":
    import pyarrow as pa

    digits = np.finfo(values.dtype).nmant + 1  # beyond 2**digits a float is no longer a certain integer
    values = values.astype(np.float64)
    missing = np.isnan(values)
    fractions = ~missing & ~((np.floor(values) == values) & (np.abs(values) < 2**digits))
    if fractions.any():
        row = int(fractions.argmax())
        expected = f"expected text or a whole number (below 2**{digits}, as these floats are not exact beyond)"
        raise DataError(f"{path}: row {row + 1}: {name} is {values[row]}, {expected}")
    return pa.array(np.where(missing, 0, values).astype(np.int64), mask=missing)


def _whole_decimals(path: Path, name: str, column: "pyarrow.ChunkedArray") -> "pyarrow.ChunkedArray":
    import pyarrow as pa

    digits = 38 if column.type.bit_width <= 128 else 76
    whole = pa.decimal128(digits, 0) if digits == 38 else pa.decimal256(digits, 0)
    try:
        return column.cast(whole)
    except pa.ArrowInvalid:
        values = column.to_pylist()
    row = next((row for row, value in enumerate(values) if value is not None and value != int(value)), 0)
    raise DataError(f"{path}: row {row + 1}: {name} is {values[row]}, expected text or a whole number")


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise any error of pyarrow as a DataError of one line."""
    try:
        with reading(path):
            yield
    except DataError:
        raise
    except Exception as error:  # damaged bytes make pyarrow raise half a dozen kinds
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise DataError(f"{path}: not a readable table ({reason})") from None
