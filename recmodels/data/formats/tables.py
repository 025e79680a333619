"""Read columns of CSV, tab-separated or Parquet tables as ids, texts or numbers. A fault names file and row.

Rows are counted from 1, without the header.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from recmodels.data.formats.parquet_file import read_parquet
from recmodels.errors import DataError
from recmodels.files import reading

if TYPE_CHECKING:
    import pyarrow

EXACT = 2**53  # beyond it a float is no longer a certain integer


def column_names(path: Path) -> list[str]:
    """Read the names in a table's header. Raises DataError for a file that is no table, or with a name twice."""
    from pyarrow import csv, parquet

    with _readable(path):
        if path.suffix == ".parquet":
            found = list(parquet.read_schema(path).names)
        else:
            with csv.open_csv(str(path), csv.ReadOptions(use_threads=False), _parsing(path)) as reader:
                found = list(reader.schema.names)
    for name in found:
        if found.count(name) > 1:
            raise DataError(f"{path}: two columns are called {name!r}, expected each name once")
    return found


def read_columns(path: Path, names: Sequence[str]) -> dict[str, "pyarrow.ChunkedArray"]:
    """Read the columns of these names, of equal length, at least 1: text from a text file, any type from Parquet.

    The file's name decides: .parquet; .csv; any other is separated by tabs; .gz may follow on text. Only in .csv and
    .tsv quotation marks enclose a cell. Raises DataError for a damaged file, a missing column, a table without rows.
    """
    import pyarrow as pa
    from pyarrow import csv

    found = column_names(path)
    for name in names:
        if name not in found:
            raise DataError(f"{path}: no column {name!r}, found {', '.join(map(repr, found))}")
    distinct = list(dict.fromkeys(names))
    with _readable(path):
        if path.suffix == ".parquet":
            table = read_parquet(path, distinct)
            table.validate(full=True)  # text that is no UTF-8 would be a fault only when it is looked at
        else:  # with one thread: of several, none knows the number of a row with a fault
            converting = csv.ConvertOptions(include_columns=distinct, column_types=dict.fromkeys(names, pa.string()))
            table = csv.read_csv(str(path), csv.ReadOptions(use_threads=False), _parsing(path), converting)
    if not len(table):
        raise DataError(f"{path}: found a header and no rows")
    return {name: table[name] for name in names}


def as_ids(path: Path, name: str, column: "pyarrow.ChunkedArray") -> NDArray[np.object_]:
    """Return ids as text, (n,) of str: text as it is written, whole numbers in digits. DataError for a missing one."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
    if pa.types.is_floating(kind):  # many tools make floats of integers with gaps
        column = _whole(path, name, column.to_numpy())
    elif not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_integer(kind)):
        raise DataError(f"{path}: {name!r} is a column of {kind}, expected ids that are text or whole numbers")
    text = column.cast(pa.string())
    missing = np.asarray(pc.equal(pc.utf8_trim_whitespace(text.fill_null("")), ""))
    if missing.any():
        row = int(missing.argmax()) + 1
        raise DataError(f"{path}: row {row}: {name} is missing, expected an id in each row ({missing.sum()} have none)")
    return np.array(text.to_pylist(), dtype=object)


def as_text(path: Path, name: str, column: "pyarrow.ChunkedArray") -> list[str]:
    """Return the cells as text, "" for a missing one. Raises DataError for cells that hold several values."""
    import pyarrow as pa

    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type) or pa.types.is_large_binary(column.type):
        raise DataError(f"{path}: {name!r} is a column of {column.type}, expected text or numbers")
    found: list[str] = column.cast(pa.string()).fill_null("").to_pylist()
    return found


def as_numbers(path: Path, name: str, column: "pyarrow.ChunkedArray") -> NDArray[np.float64]:
    """Return the cells as finite numbers, (n,); true and false are 1 and 0. Raises DataError for any other."""
    import pandas as pd
    import pyarrow as pa

    if pa.types.is_floating(column.type) or pa.types.is_integer(column.type) or pa.types.is_boolean(column.type):
        values = column.cast(pa.float64(), safe=False).to_numpy()
    else:
        series = pd.Series(as_text(path, name, column), dtype=object)
        values = pd.to_numeric(series, errors="coerce").to_numpy(dtype=np.float64)
    bad = ~np.isfinite(values)
    if bad.any():
        row = int(bad.argmax())
        raise DataError(f"{path}: row {row + 1}: {name} is {column[row].as_py()!r}, expected a number")
    return values


def _whole(path: Path, name: str, values: NDArray[np.floating[Any]]) -> "pyarrow.Array":
    import pyarrow as pa

    missing = np.isnan(values)
    fractions = ~missing & ~((np.floor(values) == values) & (np.abs(values) < EXACT))
    if fractions.any():
        row = int(fractions.argmax())
        raise DataError(f"{path}: row {row + 1}: {name} is {values[row]}, expected text or a whole number")
    return pa.array(np.where(missing, 0, values).astype(np.int64), mask=missing)


def _parsing(path: Path) -> Any:
    from pyarrow import csv

    kind = path.with_suffix("").suffix if path.suffix == ".gz" else path.suffix
    quoted = kind in (".csv", ".tsv")
    delimiter, quote = "," if kind == ".csv" else "\t", '"' if quoted else False
    return csv.ParseOptions(delimiter=delimiter, quote_char=quote, newlines_in_values=quoted)


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
