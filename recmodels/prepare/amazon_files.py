"""Read Amazon's raw text files as streams: reviews, ratings, metadata. A fault names the file and the line."""

import ast
import gzip
import json
import math
import re
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple, TypeVar, cast

from recmodels.errors import DataError
from recmodels.prepare.progress import bytes_bar

LONGEST = 1 << 20  # bytes of a line; real ones have some 10 kB
GZIP = b"\x1f\x8b"
OWN_ASIN = re.compile(rb"'asin': '([^'\\]*)'")

Value = TypeVar("Value", int, float)


class Row(NamedTuple):
    """Interaction as a file has it: None for a missing user, item or time (s since 1970), NaN for a missing rating."""

    user: str | None
    item: str | None
    time: int | None
    rating: float


def read_reviews(path: Path) -> Iterator[Row]:
    """Read a JSON object a line, with reviewerID, asin, unixReviewTime (s) and overall. Raises DataError."""
    for number, line in _lines(path):
        review = _parsed(path, number, line, json.loads, "a JSON object")
        yield _row(path, number, *(review.get(key) for key in ("reviewerID", "asin", "unixReviewTime", "overall")))


def read_ratings(path: Path) -> Iterator[Row]:
    """Read `user,item,rating,timestamp` a line, without a header. Raises DataError."""
    for number, line in _lines(path):
        fields = line.decode(errors="replace").strip().split(",")
        if len(fields) != 4:
            raise DataError(f"{path}:{number}: expected user,item,rating,timestamp, found {_shown(line)}")
        user, item, rating, time = fields
        yield _row(path, number, user, item, time, rating)


def _row(path: Path, number: int, user: object, item: object, time: object, rating: object) -> Row:
    for column, name in (("user", user), ("item", item)):
        if name is not None and not (isinstance(name, str) and name.isprintable()):
            raise DataError(f"{path}:{number}: {column} is {name!r:.60}, expected printable text")
    seconds = _number(path, number, "time", time, int)
    if seconds is not None and abs(seconds) >= 1 << 62:
        raise DataError(f"{path}:{number}: time is {seconds}, expected seconds since 1970")
    stars = _number(path, number, "rating", rating, float)
    return Row(_id(user), _id(item), seconds, math.nan if stars is None else stars)


def _id(value: object) -> str | None:
    return str(value or "").strip() or None


def _number(path: Path, line_number: int, column: str, value: Any, kind: type[Value]) -> Value | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        return kind(value)
    except (ValueError, TypeError, OverflowError):
        raise DataError(f"{path}:{line_number}: {column} is {value!r:.60}, expected a number") from None


def read_texts(path: Path, rows: Mapping[str, int]) -> tuple[list[str], int]:
    """Read a text for each item of `rows` (asin -> row), in the order of the rows; count the items without metadata.

    The file has a Python literal a line: a dictionary with asin, title, brand, categories, description; all but asin
    may be missing. Raises DataError.
    """
    texts = [""] * len(rows)
    wanted = {asin.encode(): row for asin, row in rows.items()}
    for number, line in _lines(path):
        found = OWN_ASIN.search(line)
        if found and found[1] not in wanted:  # most lines are of other items: not worth parsing
            continue
        entry = _parsed(path, number, line, _literal, "a Python dictionary")
        row = rows.get(entry["asin"]) if isinstance(entry.get("asin"), str) else None
        if row is not None and not texts[row]:
            texts[row] = item_text(entry)
    missing = sum(not text for text in texts)
    return [text or item_text({}) for text in texts], missing


def item_text(entry: Mapping[str, Any]) -> str:
    """Join title, brand, the words of the first category path and the description, with blanks in between.

    A missing part is a blank.
    """
    categories = entry.get("categories")
    first = categories[0] if isinstance(categories, list) and categories else []
    path = " ".join(word for word in first if isinstance(word, str)) if isinstance(first, list) else ""
    parts = entry.get("title"), entry.get("brand"), path, entry.get("description")
    text = " ".join(part if isinstance(part, str) and part else " " for part in parts).replace("\n", " ")
    return text.encode(errors="replace").decode()  # half a character, as '\\ud800' in the file is, goes to no encoder


def _literal(line: bytes) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # unknown escapes such as '\d' in a description
        return ast.literal_eval(line.decode())


def _parsed(path: Path, number: int, line: bytes, parse: Callable[[bytes], Any], kind: str) -> dict[Any, Any]:
    """Return the dictionary that `parse` makes of a line. Raises DataError; `kind` says what is expected."""
    try:
        entry = parse(line)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError) as error:
        reason = getattr(error, "msg", None) or type(error).__name__
        raise DataError(f"{path}:{number}: not {kind} ({reason}): {_shown(line)}") from None
    if not isinstance(entry, dict):
        raise DataError(f"{path}:{number}: expected {kind}, found {_shown(line)}")
    return entry


def _lines(path: Path) -> Iterator[tuple[int, bytes]]:
    """Yield number (from 1) and text of each line that is not blank, of a plain or a gzip file."""
    number = 0
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
                if not line.isspace():
                    yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        damage, reason = ("cut off", "") if isinstance(error, EOFError) else ("damaged", f" ({error})")
        fault = f"{damage} after line {number}{reason}"
        raise DataError(f"{path}: the gzip file is {fault}; delete it and get it again") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error})") from None
    if not number:
        raise DataError(f"{path}: the file is empty, expected an entry a line")


def _shown(line: bytes) -> str:
    """Return the beginning of a line, quoted."""
    return repr(line.decode(errors="replace").strip()[:60])
