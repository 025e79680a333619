"""Parse the text of an .inter file. A fault is one line with the number of the file's line."""

import io
import re
import warnings
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from recmodels.data.numbering import first_rows
from recmodels.errors import DataError, did_you_mean

COLUMNS = ("userID", "itemID", "x_label")
INTEGER = re.compile(r"[+-]?[0-9]{1,18}")
IDS_PER_LINE = 100  # a larger id is a raw key, and tables of that size would fill the memory


def parse_inter(path: Path, raw: bytes) -> NDArray[np.int64]:
    """Parse the columns userID, itemID and x_label of the file's bytes `raw`: (n, 3), n >= 1, in file order.

    UTF-8 with or without a byte-order mark, any line ends; empty lines are skipped. `path` serves the messages only.
    Raises DataError for a missing column, a line of another number of fields, a field that is no integer, an id below 0
    or absurdly large, a label other than 0, 1 and 2, a repeated pair of user and item, a file without interactions.
    """
    text = raw.decode("utf-8-sig", errors="replace")  # the three columns are ASCII; others may hold anything
    if not text.strip():
        raise DataError(f"{path}: the file is empty, expected a header line with {', '.join(COLUMNS)}")
    stream = io.StringIO(text, newline=None)
    names = [name.strip() for name in stream.readline().split("\t")]
    for column in COLUMNS:
        if column not in names:
            raise DataError(f"{path}:1: no tab-separated column {column!r}{did_you_mean(column, names)}")
    columns = [names.index(column) for column in COLUMNS]
    if next(_fields(text), None) is None:
        raise DataError(f"{path}: found a header line and no interactions")
    first_fault = partial(_first_non_integer, path, text, columns)
    table = read_integers(path, stream, first_fault, delimiter="\t", usecols=columns)
    for line_number, line in enumerate(io.StringIO(text, newline=None), start=1):
        n_fields = line.count("\t") + 1
        if n_fields != len(names) and line != "\n":  # its columns may be shifted
            raise DataError(f"{path}:{line_number}: found {n_fields} fields, expected {len(names)} as in the header")
    _check_values(path, table, partial(_line, text))
    check_repeats(path, table, partial(_line, text))
    return table


def read_integers(
    path: Path, lines: Iterable[str], first_fault: Callable[[], str | None], **options: Any
) -> NDArray[np.int64]:
    """Return the integers in lines of text, (lines, numbers in a line); `options` are np.loadtxt's.

    Raises DataError for other text: `first_fault` looks for the faulty line and describes it.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error", DeprecationWarning)  # early NumPy 2 reads 1.5 as 1, and only warns
        try:
            return np.loadtxt(lines, dtype=np.int64, comments=None, ndmin=2, **options)
        except (ValueError, DeprecationWarning) as error:
            raise DataError(first_fault() or f"{path}: {error}") from None


def _line(text: str, row: int) -> int:
    """Return the line of the file (from 1, the header is 1) that holds interaction `row` (from 0)."""
    return next(islice(_fields(text), row, None))[0]


def _fields(text: str) -> Iterator[tuple[int, list[str]]]:
    """Yield line number and fields of each interaction. Slow: used only once a fault is known."""
    for line_number, line in enumerate(io.StringIO(text, newline=None), start=1):
        if line_number > 1 and line != "\n":
            yield line_number, line.rstrip("\n").split("\t")


def _first_non_integer(path: Path, text: str, columns: list[int]) -> str | None:
    for line_number, fields in _fields(text):
        for name, position in zip(COLUMNS, columns, strict=True):
            field = fields[position].strip() if position < len(fields) else ""
            if not INTEGER.fullmatch(field):
                return f"{path}:{line_number}: {name} is {field!r}, expected an integer"
    return None


def _check_values(path: Path, table: NDArray[np.int64], line: Callable[[int], int]) -> None:
    largest = IDS_PER_LINE * len(table)
    an_id = largest, f"an id numbered from 0 without large gaps (at most {largest} here)"
    a_label = 2, "0 (training), 1 (validation) or 2 (test)"
    for name, values, (limit, expected) in zip(COLUMNS, table.T, (an_id, an_id, a_label), strict=True):
        bad = (values < 0) | (values > limit)
        if bad.any():
            row = int(bad.argmax())
            raise DataError(f"{path}:{line(row)}: {name} is {values[row]}, expected {expected}")


def check_repeats(path: Path, table: NDArray[np.int64], line: Callable[[int], int]) -> None:
    """Raise DataError if two rows of (n, 2 or more) begin with the same user and item; `line(row)` is a row's line."""
    repeated = ~first_rows(table[:, 0], table[:, 1])
    if repeated.any():
        second = int(repeated.argmax())
        user, item = table[second, :2]
        first = int(((table[:, 0] == user) & (table[:, 1] == item)).argmax())
        found = f"user {user} and item {item} were on line {line(first)} already"
        raise DataError(f"{path}:{line(second)}: {found}, expected each pair once over all splits")
