"""Read the bytes of a text table as UTF-8 with a separator of one byte, whatever its encoding and separator."""

import codecs
import gzip
import re
import zlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from recmodels.data.formats.dialect import Dialect
from recmodels.errors import DataError
from recmodels.files import reading

if TYPE_CHECKING:
    import pyarrow

BINARY = {
    b"\x1f\x8b": "a gzip file, expected a name that ends in .gz",
    b"PAR1": "a Parquet file, expected a name that ends in .parquet",
    b"PK\x03\x04": "a zip or Excel file",
    b"\xd0\xcf\x11\xe0": "an Excel file",
    b"BZh": "a bzip2 file",
    b"\xfd7zXZ": "an xz file",
    b"\x28\xb5\x2f\xfd": "a zstd file",
    b"ARROW1": "an Arrow file",
    b"\x93NUMPY": "a NumPy file",
    b"\x89HDF": "an HDF5 file",
}
"""First bytes of files that are no text -> what they are."""
MARKS = {  # utf-32 first: its mark begins with that of utf-16
    codecs.BOM_UTF32_LE: "utf-32",
    codecs.BOM_UTF32_BE: "utf-32",
    codecs.BOM_UTF16_LE: "utf-16",
    codecs.BOM_UTF16_BE: "utf-16",
}
"""Byte-order mark -> encoding."""


@dataclass(frozen=True)
class TextFile:
    """The text of a table, UTF-8 without a byte-order mark, and the byte that separates its cells.

    `written`: the separator in the file, which may be longer.
    """

    text: bytes
    sep: bytes
    written: bytes

    def restored(self, column: "pyarrow.ChunkedArray") -> "pyarrow.ChunkedArray":
        """Return a column of binary cells with the separators, which enclosed cells may hold, as they were written."""
        import pyarrow.compute as pc

        if self.sep == self.written:
            return column
        return pc.replace_substring(column, pattern=self.sep, replacement=self.written)


def read_text_file(path: Path, dialect: Dialect, limit: int | None = None) -> TextFile:
    """Read the file at `path`, or its first `limit` bytes. `dialect`: with a `sep`.

    Bytes that are no UTF-8 stay if that is the encoding: they may be in a column that nobody needs. Raises DataError
    for a file that cannot be read, is damaged, is no text, is of another encoding, or has an ambiguous separator.
    """
    content = _decompressed(path, limit)
    for first, kind in BINARY.items():
        if content.startswith(first):
            raise DataError(f"{path}: is {kind}" if "expected" in kind else f"{path}: is {kind}, expected a text table")
    encoding = dialect.encoding or next((found for mark, found in MARKS.items() if content.startswith(mark)), "utf-8")
    text = _as_utf8(path, content, encoding, limit is None).removeprefix(codecs.BOM_UTF8)
    if b"\0" in text:
        expected = f"expected {encoding} text" + (" (`encoding` utf-16?)" if encoding == "utf-8" else "")
        raise DataError(f"{path}:{line_of(text, text.index(0))}: found a NUL byte, {expected}")
    if joined := re.search(rb"[\r\n]" + codecs.BOM_UTF8, text):
        line = line_of(text, joined.end())
        raise DataError(f"{path}:{line}: begins with a byte-order mark, expected one file and not several in a row")
    file = _with_one_byte(path, text, (dialect.sep or "").encode())
    return _without_nulls(file) if dialect.quote == "backslash" else file


def line_of(text: bytes, offset: int) -> int:
    """Return the number of the line, from 1, that holds the offset."""
    return 1 + text.count(b"\n", 0, offset) + text.count(b"\r", 0, offset) - text.count(b"\r\n", 0, offset)


def _decompressed(path: Path, limit: int | None) -> bytes:
    try:
        with reading(path), gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as file:
            return file.read(-1 if limit is None else limit)
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path}: the compressed file is cut off or damaged ({error})") from None


def _as_utf8(path: Path, content: bytes, encoding: str, whole: bool) -> bytes:
    name = codecs.lookup(encoding).name
    if name in ("utf-8", "utf-8-sig", "ascii"):  # ASCII is a part of it
        return content
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(content, final=whole)
        return text.encode()
    except UnicodeError as error:  # one of decoding says where
        at = f"byte {error.start}: {error.reason}" if isinstance(error, UnicodeDecodeError) else str(error)
        raise DataError(f"{path}: not {encoding} text ({at}), expected another `encoding`") from None


def _with_one_byte(path: Path, text: bytes, sep: bytes) -> TextFile:
    """Return the text with a separator of one byte that is nowhere else in it. Raises DataError if it is ambiguous."""
    if len(sep) == 1:
        return TextFile(text, sep, sep)
    overlaps = [sep + sep[size:] for size in range(1, len(sep)) if sep.endswith(sep[:size])]
    if any(overlap in text for overlap in overlaps):  # of :::, either the first or the last colon belongs to a cell
        for line, row in enumerate(text.splitlines(), start=1):
            if row.split(sep) != row.rsplit(sep):
                raise DataError(f"{path}:{line}: {sep.decode()!r} separates its cells in more than one way")
    for code in (31, 30, 29, 28, *range(1, 9), *range(14, 28)):
        if code not in text:
            return TextFile(text.replace(sep, bytes([code])), bytes([code]), sep)
    raise DataError(f"{path}: holds every control character, expected text")


def _without_nulls(file: TextFile) -> TextFile:
    r"""Return the text with empty cells for \N, which databases write for a missing one."""
    edge = rb"\r\n" + re.escape(file.sep)
    return replace(file, text=re.sub(rb"(^|(?<=[" + edge + rb"]))\\N(?=[" + edge + rb"]|$)", b"", file.text))
