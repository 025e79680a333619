"""Read the interactions in Amazon's raw files as streams: reviews and ratings. A fault names the file and the line."""

import csv
import logging
import math
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

from recmodels.errors import DataError
from recmodels.prepare.amazon_generations import EITHER, PLAIN, ReviewKeys, review_keys, unknown_keys
from recmodels.prepare.amazon_lines import Entry, entries_of, lines_of, shown

N_GUESSED = 1000  # lines of ratings that tell whether the user or the item comes first
ASIN = re.compile(r"B[0-9A-Z]{9}|[0-9]{9}[0-9X]")
NUMBER = re.compile(r"[+-]?\d+\.?\d*(e[+-]?\d+)?", re.IGNORECASE)
LATEST = 10**11  # s after 1970: a later time is in milliseconds

Value = TypeVar("Value", int, float)

log = logging.getLogger("mirrortune.prepare")


class Row(NamedTuple):
    """Interaction as a file has it: None for a missing user, item or time (s since 1970), NaN for a missing rating."""

    user: str | None
    item: str | None
    time: int | None
    rating: float


@dataclass(frozen=True)
class RawRows:
    """The interactions of a file, read as they are asked for, once. `years`: its generation, such as "2018"."""

    years: str
    rows: Iterator[Row]

    def __iter__(self) -> Iterator[Row]:
        return self.rows


def read_reviews(path: Path) -> RawRows:
    """Read an interaction a line, a JSON object or a Python dictionary with the keys of a generation.

    Raises DataError, for keys of no generation with those that were found and those that are known.
    """
    entries = entries_of(path)
    number, first = next(entries)
    keys = review_keys(first)
    if keys is None:
        raise DataError(f"{path}:{number}: {unknown_keys(first, 'reviews')}")
    return RawRows(keys.years, _reviews(path, chain([(number, first)], entries), keys))


def _reviews(path: Path, entries: Iterable[tuple[int, Entry]], keys: ReviewKeys) -> Iterator[Row]:
    latest = 0
    for number, review in entries:
        if keys.user not in review and keys.item not in review:
            found = f"neither {keys.user} nor {keys.item} among {', '.join(map(str, review))}"
            raise DataError(f"{path}:{number}: {found}, expected the keys of the lines above")
        user, item, rating, time = (review.get(key) for key in keys.names)
        row = _row(path, number, user, item, rating, time, keys.per_second)
        latest = max(latest, row.time or 0)
        yield row
    _check_unit(path, latest, keys)


def read_ratings(path: Path) -> RawRows:
    """Read an interaction a line, between commas: user, item, rating and time, or as a header says.

    Files of 2018 have the item first and no header; so what looks like Amazon's item ids decides, and a line of the log
    says so. Raises DataError.
    """
    lines = lines_of(path)
    head = list(islice(lines, N_GUESSED))
    layout, n_header = _layout(path, head)
    return RawRows(layout.keys.years, _ratings(path, chain(head[n_header:], lines), layout))


class Layout(NamedTuple):
    """Where the values of ReviewKeys.names stand in a line of ratings, which has the `columns`."""

    keys: ReviewKeys
    columns: list[str]
    places: tuple[int, ...]


def _layout(path: Path, head: list[tuple[int, bytes]]) -> tuple[Layout, int]:
    """Return the layout of ratings that begin with the lines `head`, and how many lines the header has, 0 or 1."""
    number, first = head[0]
    names = [name.strip() for name in _fields(path, number, first)]
    if all(names) and not any(map(NUMBER.fullmatch, names)):
        keys = review_keys(names) or (replace(PLAIN, years=EITHER) if set(PLAIN.names) <= set(names) else None)
        if keys is None:
            raise DataError(f"{path}:{number}: {unknown_keys(names, 'reviews')}")
        return Layout(keys, names, tuple(map(names.index, keys.names))), 1
    rows = [fields for row, line in head if len(fields := _fields(path, row, line)) == len(PLAIN.names)]
    in_first, in_second = (sum(ASIN.fullmatch(row[place].strip()) is not None for row in rows) for place in (0, 1))
    if in_first > in_second:
        text = "%s: the first column has Amazon's item ids, read as item,user,rating,timestamp, the order of 2018"
        log.info(text, path)
        columns = [PLAIN.item, PLAIN.user, PLAIN.rating, PLAIN.time]
        return Layout(replace(PLAIN, years="2018"), columns, tuple(map(columns.index, PLAIN.names))), 0
    if in_first == in_second:
        text = "%s: neither column of ids looks like Amazon's item ids alone, read as user,item,rating,timestamp"
        log.warning(text, path)
    years = "2014" if in_second > in_first else EITHER
    return Layout(replace(PLAIN, years=years), list(PLAIN.names), (0, 1, 2, 3)), 0


def _ratings(path: Path, lines: Iterable[tuple[int, bytes]], layout: Layout) -> Iterator[Row]:
    latest = 0
    for number, line in lines:
        fields = _fields(path, number, line)
        if len(fields) != len(layout.columns):
            raise DataError(f"{path}:{number}: expected {','.join(layout.columns)}, found {shown(line)}")
        user, item, rating, time = (fields[place] for place in layout.places)
        row = _row(path, number, user, item, rating, time, layout.keys.per_second)
        latest = max(latest, row.time or 0)
        yield row
    _check_unit(path, latest, layout.keys)


def _fields(path: Path, number: int, line: bytes) -> list[str]:
    text = line.decode(errors="replace").strip()
    if '"' not in text:
        return text.split(",")
    try:
        return next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise DataError(f"{path}:{number}: not a line between commas ({error}): {shown(line)}") from None


def _row(path: Path, number: int, user: object, item: object, rating: object, time: object, per_second: int) -> Row:
    for column, name in (("user", user), ("item", item)):
        if name is not None and not (isinstance(name, str) and name.isprintable()):
            raise DataError(f"{path}:{number}: {column} is {name!r:.60}, expected printable text")
    moment = _number(path, number, "time", time, int)
    if moment is not None and abs(moment) >= LATEST * per_second:
        unit = "seconds" if per_second == 1 else "milliseconds"
        raise DataError(f"{path}:{number}: time is {moment}, expected {unit} since 1970")
    stars = _number(path, number, "rating", rating, float)
    seconds = None if moment is None else moment // per_second
    return Row(_id(user), _id(item), seconds, math.nan if stars is None else stars)


def _check_unit(path: Path, latest: int, keys: ReviewKeys) -> None:
    """Warn if times that should be milliseconds can only be seconds. `latest`: in what was taken as seconds."""
    if keys.per_second > 1 and 0 < latest < LATEST // keys.per_second:
        text = "%s: the latest %s is %d s after 1970: are these seconds, not milliseconds, as those of %s are?"
        log.warning(text, path, keys.time, latest, keys.years)


def _id(value: object) -> str | None:
    return str(value or "").strip() or None


def _number(path: Path, line_number: int, column: str, value: Any, kind: type[Value]) -> Value | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        return kind(float(value) if isinstance(value, str) and "." in value else value)  # 1400000000.0 is a time
    except (ValueError, TypeError, OverflowError):
        raise DataError(f"{path}:{line_number}: {column} is {value!r:.60}, expected a number") from None
