"""Read text tables: a row a line, a separator between cells. What could be misread is refused with its row."""

import csv
import io
import logging
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recmodels.data.formats.dialect import SEPARATORS, Dialect, are_numbers
from recmodels.data.formats.quotation import Quotation, quotation
from recmodels.data.formats.swallowed import Known, are_rows, suspects
from recmodels.data.formats.text_file import TextFile, line_of, read_text_file
from recmodels.errors import DataError

if TYPE_CHECKING:
    import pyarrow

log = logging.getLogger("mirrortune.data")

BLOCK = 1 << 26  # bytes that are parsed at a time: no row may be longer
HEAD = 1 << 20  # bytes in which the header is looked for first


def header(path: Path, dialect: Dialect) -> list[str]:
    """Read the names of the columns: "0", "1", ... without a header. Raises DataError for what is no table."""
    file = read_text_file(path, dialect, HEAD)
    try:
        names, _, behind = _first_row(path, dialect, file)
        if behind < len(file.text):
            return names
    except DataError:
        if len(file.text) < HEAD // 4:
            raise
    return _first_row(path, dialect, read_text_file(path, dialect))[0]  # it may go on beyond the first bytes


def read_cells(path: Path, dialect: Dialect, names: Sequence[str]) -> dict[str, "pyarrow.ChunkedArray"]:
    """Read the columns of these names, which the table has, as binary cells. Raises DataError.

    Beside faults of the parser it finds what parsers accept: rows that torn quotation marks have swallowed, cells in
    quotation marks of which nobody knows whether they belong to the text, the header of a second file.
    """
    file = read_text_file(path, dialect)
    if file.text[-1:] not in (b"\n", b"\r", b""):
        log.warning("%s: the last row has no line end; if the file was cut off, so may be this row", path)
    found, start, _ = _first_row(path, dialect, file)
    table = _Table(path, dialect, file, len(found), start)
    wanted = [found.index(name) for name in names]
    columns = dict(zip(names, table.columns(wanted), strict=True))
    if dialect.quote is None:
        table.check_unclear(columns)
    if dialect.header is not False and not are_numbers(names):
        _check_header_once(path, columns)
    return columns


class _Table:
    """The rows of a text table of `width` columns, which begin at the offset `start` of the `file`.

    `enclosed`: whether quotation marks enclose cells. Raises DataError for marks that do not fit together.
    """

    def __init__(self, path: Path, dialect: Dialect, file: TextFile, width: int, start: int):
        self.path, self.dialect, self.file, self.width, self.start = path, dialect, file, width, start
        self.enclosed = False
        if dialect.quote not in (None, "none"):
            found = quotation(file.text, file.sep, dialect.quote == "backslash")
            self.enclosed = bool(len(found.opens))
            if fault := self._torn(found):
                raise DataError(f"{path}: {fault}")

    def columns(self, wanted: Sequence[int]) -> list["pyarrow.ChunkedArray"]:
        """Parse the columns at these positions as binary cells. Raises DataError for a row of another length."""
        import pyarrow as pa
        from pyarrow import csv as arrow_csv

        names = [str(position) for position in range(self.width)]
        rows = memoryview(self.file.text)[self.start :]
        if not bytes(rows[:1024]).strip(b"\r\n") and not bytes(rows).strip(b"\r\n"):
            return [pa.chunked_array([], pa.binary()) for _ in wanted]
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(pa.py_buffer(rows)),
                # With several threads, none knows the number of a row.
                arrow_csv.ReadOptions(use_threads=False, block_size=BLOCK, column_names=names),
                arrow_csv.ParseOptions(
                    delimiter=self.file.sep.decode(),
                    quote_char='"' if self.enclosed else False,
                    escape_char="\\" if self.dialect.quote == "backslash" else False,
                    newlines_in_values=self.enclosed,
                ),
                arrow_csv.ConvertOptions(
                    include_columns=[names[position] for position in wanted],
                    column_types=dict.fromkeys(names, pa.binary()),
                ),
            )
        except pa.ArrowException as error:
            raise DataError(f"{self.path}: {self._fault(str(error))}") from None
        return [self.file.restored(column) for column in table.columns]

    def check_unclear(self, columns: dict[str, "pyarrow.ChunkedArray"]) -> None:
        """Raise DataError for a cell in quotation marks, if all marks of the table could enclose cells."""
        import pyarrow.compute as pc

        for name, column in columns.items():
            marked = pc.and_(pc.starts_with(column, pattern='"'), pc.ends_with(column, pattern='"'))
            row = pc.index(pc.and_(marked, pc.greater(pc.binary_length(column), 1)), True).as_py()
            if row < 0:
                continue
            found = quotation(self.file.text, self.file.sep, escapes=False)
            if not found.torn and not next(suspects(self.file.text, self.file.sep, self.width, found), None):
                expected = "expected `quote` double if the marks enclose it, `quote` none if they are part of it"
                raise DataError(f"{self.path}: row {row + 1}: {name} is {_shown(column[row].as_py())}, {expected}")

    def _torn(self, found: Quotation) -> str | None:
        """Return the fault in the quotation marks, or None."""
        fault = found.torn or self._swallowed(found)
        if fault is None:
            return None
        text, (offset, why) = self.file.text, fault
        row = found.row(text, offset) + (self.dialect.header is False)
        begin = max(text.rfind(edge, 0, offset) for edge in (self.file.sep, b"\n", b"\r")) + 1
        after = _shown(text[begin : begin + 100].splitlines()[0].split(self.file.sep)[0])
        ways = "`quote` none if quotation marks are part of the text"
        if b'\\"' in text and self.dialect.quote == "double":
            ways = f'`quote` backslash if \\" stands for one, {ways}'
        where = f"row {row}" if row else "header"
        return f"{where}: torn quotation at {after} ({why}), expected a whole one, or {ways}"

    def _swallowed(self, found: Quotation) -> tuple[int, str] | None:
        """Return the offset of the first quotation that holds rows, and the reason."""
        known = cache(lambda position: Known(_texts(self.columns([position])[0])))
        for suspect in suspects(self.file.text, self.file.sep, self.width, found):
            if are_rows(suspect, known):
                return suspect.offset, "the lines up to the mark that closes it are rows of their own"
        return None

    def _fault(self, message: str) -> str:
        """Return the fault in a message of the parser's."""
        found = re.search(r"Row #(\d+): Expected \d+ columns, got (\d+): (.*)", message)
        if not found:
            return f"not a readable table ({(message.splitlines() or ['no reason'])[0]})"
        row, n_cells, text = found.groups()
        of = "row 1" if self.dialect.header is False else "the header"
        asked = self.dialect.quote in (None, "none") and b'"' in self.file.text
        end = f"{_shown(text.encode())}{'; `quote` double, if marks enclose cells?' if asked else ''}"
        return f"row {row}: found {n_cells} cell{'s' * (n_cells != '1')}, expected {self.width} as in {of} ({end})"


def _first_row(path: Path, dialect: Dialect, file: TextFile) -> tuple[list[str], int, int]:
    """Return the names of the columns, where the rows begin, and where the first line ends, be it header or row.

    Raises DataError if there is no sensible one.
    """
    text = file.text
    skipped = len(text) - len(text.lstrip(b"\r\n"))
    if skipped == len(text):
        raise DataError(f"{path}: the file is empty, expected a table")
    for size in (HEAD, len(text)):
        decoded = text[skipped : skipped + size].decode(errors="surrogateescape")
        lines = io.StringIO(decoded, newline="")
        try:
            cells = next(csv.reader(lines, strict=True, **_csv_options(dialect, file.sep)))
        except csv.Error as error:
            if size < len(text):
                continue
            _check_separator(path, dialect, decoded.splitlines()[0], '"{}"')
            line = line_of(text, skipped)
            raise DataError(f"{path}:{line}: torn quotation or too long a cell ({error}), expected names") from None
        if lines.tell() < len(decoded):
            break
    behind = skipped + len(decoded[: lines.tell()].encode(errors="surrogateescape"))
    _check_first_row(path, dialect, cells)
    if dialect.header is False:
        return [str(position) for position in range(len(cells))], skipped, behind
    names = [cell.replace(file.sep.decode(), dialect.sep or "") for cell in cells]
    return [_printable(name) for name in names], behind, behind


def _printable(name: str) -> str:
    r"""Return a name with bytes of another encoding as \xe9."""
    return name.encode(errors="surrogateescape").decode(errors="backslashreplace")


def _csv_options(dialect: Dialect, sep: bytes) -> dict[str, Any]:
    return {
        "delimiter": sep.decode(),
        "quoting": csv.QUOTE_NONE if dialect.quote in (None, "none") else csv.QUOTE_MINIMAL,
        "escapechar": "\\" if dialect.quote == "backslash" else None,
    }


def _check_first_row(path: Path, dialect: Dialect, cells: list[str]) -> None:
    """Raise DataError for one column that looks like several, and for names that look like cells."""
    if len(cells) == 1:
        _check_separator(path, dialect, cells[0], "{}")
    for cell in cells:
        if dialect.quote is None and len(cell) > 1 and cell[0] == cell[-1] == '"':
            expected = "expected `quote` double if the marks enclose it, `quote` none if they are part of it"
            raise DataError(f"{path}: found {cell!r} in the first row, {expected}")
    if dialect.header is None and are_numbers(cells):
        found = f"the names in its first row are numbers ({', '.join(map(repr, cells[:4]))})"
        raise DataError(f"{path}: {found}, expected `header=False` if it has none, `header=True` if they are names")


def _check_separator(path: Path, dialect: Dialect, line: str, pattern: str) -> None:
    """Raise DataError if another usual separator, put into the `pattern`, is in the first line."""
    sep = dialect.sep or ""
    for other in sorted(SEPARATORS, key=len, reverse=True):
        if pattern.format(other) in line and other != sep:
            shown = _shown(line.encode(errors="surrogateescape"))
            found = f"one column, {shown}, with {SEPARATORS.get(sep, repr(sep))} between cells"
            raise DataError(f"{path}: found {found}, expected several (`sep` {SEPARATORS[other]}?)")


def _check_header_once(path: Path, columns: dict[str, "pyarrow.ChunkedArray"]) -> None:
    """Raise DataError for a row that repeats the header, as in files that were joined. One column says too little."""
    import pyarrow.compute as pc

    same = None
    for name, column in columns.items():
        found = pc.equal(column, name.encode())
        same = found if same is None else pc.and_(same, found)
    row = pc.index(same, True).as_py() if len(columns) > 1 else -1
    if row >= 0:
        raise DataError(f"{path}: row {row + 1}: repeats the header, expected one header (are these several files?)")


def _texts(column: "pyarrow.ChunkedArray") -> list[str]:
    return [cell.decode(errors="replace") for cell in column.to_pylist()]


def _shown(cell: bytes) -> str:
    text = cell.decode(errors="replace")
    return repr(text if len(text) <= 60 else f"{text[:60]}...")
