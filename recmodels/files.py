"""Files that are written whole or not at all, and append-only files of JSON lines."""

import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from recmodels.errors import DataError


@contextmanager
def replacing(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Yield a temporary path, which replaces `path` when the block ends; an exception leaves `path` as it was.

    `sync`: the content is on disk when this returns. The folder is made. Raises OSError if it cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")  # no longer for a long name: names have a limit
    try:
        yield temporary
        if sync:
            with temporary.open("rb") as file:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


@contextmanager
def reading(path: Path) -> Iterator[None]:
    """Raise an OSError of the block as a DataError that says that `path` cannot be read."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error).partition("\n")[0]
        raise DataError(f"{path}: cannot be read ({reason})") from None


def read_text(path: Path) -> str:
    """Read a UTF-8 file, with or without a byte-order mark. Raises DataError for an unreadable file and other text."""
    try:
        with reading(path):
            return path.read_bytes().decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise DataError(f"{path}: not UTF-8 text ({error.reason} at byte {error.start})") from None


def write_whole(path: Path, text: str) -> None:
    """Replace the content of `path` by `text`, on disk when this returns."""
    with replacing(path, sync=True) as temporary:
        temporary.write_text(text, encoding="utf-8")


def append_line(path: Path, row: Mapping[str, Any], *, sync: bool = False) -> None:
    """Append one JSON line in a single write; if a crash tore the last line, a line end is written first.

    Raises ValueError for NaN and infinity.
    """
    line = json.dumps(row, allow_nan=False).encode() + b"\n"
    with path.open("ab") as file:
        file.write(line if _ends_a_line(path) else b"\n" + line)
        file.flush()
        if sync:
            os.fsync(file.fileno())


def read_lines(path: Path) -> list[dict[str, Any]]:
    """Return the JSON lines of a file, [] without a file; lines torn by a crash are left out."""
    if not path.exists():
        return []
    rows = []
    for line in path.read_text(encoding="utf-8").splitlines():
        with suppress(json.JSONDecodeError):
            rows.append(json.loads(line))
    return rows


def _ends_a_line(path: Path) -> bool:
    with path.open("rb") as file:
        if not file.seek(0, os.SEEK_END):
            return True
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
