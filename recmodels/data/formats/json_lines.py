"""Read tables of JSON lines: an object a line, its keys the columns. An absent key is a missing cell."""

import gzip
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from recmodels.errors import DataError
from recmodels.files import reading

if TYPE_CHECKING:
    import pyarrow

KINDS = {str: "text", bool: "true or false", int: "a number", float: "a number", list: "a list", dict: "an object"}


def keys(path: Path) -> list[str]:
    """Read the keys of all objects, in the order of their appearance. Raises DataError for what is no JSON lines."""
    found = list(dict.fromkeys(key for _, each in _objects(path) for key in each))
    for key in filter(_is_broken, found):
        raise DataError(f"{path}: the key {key!r} holds half a character, expected whole text")
    return found


def read_values(path: Path, names: Sequence[str]) -> dict[str, "pyarrow.ChunkedArray"]:
    """Read the values of these keys, null for an absent one. Raises DataError.

    A column holds texts, numbers, lists, ... alone: values of several kinds are an error.
    """
    values: dict[str, list[Any]] = {name: [] for name in names}
    kinds: dict[str, str] = {}
    for row, found in _objects(path):
        for name, column in values.items():
            value = found.get(name)
            column.append(value)
            if value is None:
                continue
            kind = KINDS[type(value)]
            if kinds.setdefault(name, kind) != kind:
                shown = json.dumps(value)[:60]
                raise DataError(f"{path}: row {row}: {name} is {shown}, expected {kinds[name]} as in the rows before")
    return {name: _as_column(path, name, column) for name, column in values.items()}


def _objects(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield each object with the number of its row. Empty lines are skipped."""
    row = 0
    try:
        with reading(path), _opened(path) as file:
            for line_number, line in enumerate(file, start=1):
                text = line.decode("utf-8-sig" if line_number == 1 else "utf-8").strip("\r\n\t ")
                if not text:
                    continue
                row += 1
                found = json.loads(text, object_pairs_hook=_once)
                if not isinstance(found, dict):
                    raise ValueError("no object")
                yield row, found
    except (EOFError, zlib.error) as error:
        raise DataError(f"{path}: the compressed file is cut off or damaged ({error})") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path}:{line_number}: not UTF-8 text (byte {error.start} of the line)") from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, DataError):
            raise
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        expected = f"expected a JSON object on each line, found {text[:60]!r}"
        raise DataError(f"{path}:{line_number}: not JSON lines ({reason}), {expected}") from None


def _opened(path: Path) -> IO[bytes]:
    return gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb")  # type: ignore[return-value]


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"the key {twice!r} is there twice")
    return found


def _as_column(path: Path, name: str, values: list[Any]) -> "pyarrow.ChunkedArray":
    import pyarrow as pa

    try:
        return pa.chunked_array([pa.array(values)])
    except OverflowError:  # whole numbers beyond 64 bits are ids or nothing
        return pa.chunked_array([pa.array([None if value is None else str(value) for value in values])])
    except UnicodeError:  # half of a pair of escapes such as \\ud83d
        row = next(row for row, value in enumerate(values, start=1) if _is_broken(value))
        raise DataError(f"{path}: row {row}: {name} holds half a character, expected whole text") from None
    except (pa.ArrowException, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path}: {name} holds values of several kinds ({reason}), expected one") from None


def _is_broken(value: Any) -> bool:
    try:
        json.dumps(value, ensure_ascii=False).encode()
    except UnicodeError:
        return True
    return False
