"""Read the lines of Amazon's raw text files as streams. A fault names the file and the line."""

import ast
import gzip
import json
import warnings
import zlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, cast

from recmodels.errors import DataError
from recmodels.prepare.progress import bytes_bar

LONGEST = 1 << 20  # bytes of a line; real ones have some 10 kB
GZIP, BYTE_ORDER_MARK = b"\x1f\x8b", b"\xef\xbb\xbf"

Entry = dict[Any, Any]
"""Content of a line of reviews or metadata."""


def lines_of(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number (from 1) and text of each line that is not blank, at least one, of a plain or a gzip file.

    Raises DataError for a file that is damaged, cannot be read, or has no such line.
    """
    number, found = 0, False
    try:
        with path.open("rb") as raw, bytes_bar(path.name, path.stat().st_size) as show:
            zipped = raw.read(2) == GZIP
            raw.seek(0)
            file = cast(BinaryIO, gzip.GzipFile(fileobj=raw) if zipped else raw)
            for number, line in enumerate(iter(partial(file.readline, LONGEST + 1), b""), start=1):
                if len(line) > LONGEST:
                    raise DataError(f"{path}:{number}: longer than {LONGEST} bytes, expected a line for each entry")
                if number % 10_000 == 0:
                    show(raw.tell())
                if number == 1:
                    line = line.removeprefix(BYTE_ORDER_MARK)
                if line.strip():
                    found = True
                    yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        damage, reason = ("cut off", "") if isinstance(error, EOFError) else ("damaged", f" ({error})")
        fault = f"{damage} after line {number}{reason}"
        raise DataError(f"{path}: the gzip file is {fault}; delete it and get it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not found:
        raise DataError(f"{path}: the file is empty, expected an entry a line")


def entries_of(path: Path) -> Iterator[tuple[int, Entry]]:
    """Yield number and content of each line that is not blank, a JSON object or a Python dictionary."""
    python = False
    for number, line in lines_of(path):
        python = is_python(line, python)
        yield number, parsed(path, number, line, python)


def is_python(line: bytes, before: bool) -> bool:
    """Return whether a line is written in Python; what cannot be told is as the line `before` was."""
    start = line.lstrip()[:2]
    return before if start not in (b"{'", b'{"') else start == b"{'"


def _literal(line: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unknown escapes such as '\d' in a description
        return ast.literal_eval(line.decode())


def parsed(path: Path, number: int, line: bytes, python: bool) -> Entry:
    """Return the dictionary in a line. Raises DataError."""
    parse, kind = (_literal, "a Python dictionary") if python else (json.loads, "a JSON object")
    try:
        entry = parse(line)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        reason = getattr(error, "msg", None) or type(error).__name__
        raise DataError(f"{path}:{number}: not {kind} ({reason}): {shown(line)}") from None
    if not isinstance(entry, dict):
        raise DataError(f"{path}:{number}: expected {kind}, found {shown(line)}")
    return entry


def shown(line: bytes) -> str:
    """Return the beginning of a line, quoted."""
    return repr(line.decode(errors="replace").strip()[:60])
