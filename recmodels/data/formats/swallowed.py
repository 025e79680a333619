"""Find quotations that may have swallowed rows: two torn marks look like the two ends of a cell of several lines."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from recmodels.data.formats.dialect import are_numbers
from recmodels.data.formats.quotation import Quotation

LEAST = 0.02  # chance of an unheard-of value in any column: rows of one user may stand together, and be the only ones
RARE = 0.01  # chance from which down cells are taken for none of the table's


@dataclass(frozen=True)
class Suspect:
    """A quotation over lines that are full rows too, if marks mean nothing.

    `offset`: of the mark that opens it; `inside`: column -> the cells of those rows that lie in it; `last`: the column
    in which it closes and the text before the mark; `has_marks`: whether two marks stand for one in some of its cells.
    """

    offset: int
    inside: dict[int, list[str]]
    last: tuple[int, str]
    has_marks: bool


class Known:
    """The cells of a column, by which others are judged."""

    def __init__(self, cells: Sequence[str]):
        self.values = Counter(cells)
        self.looks: Counter[tuple[bool, ...]] = Counter()
        for cell, n in self.values.items():
            self.looks[_look(cell)] += n

    def chance(self, cells: Sequence[str]) -> float:
        """Return about how probable it is that rows of the table have these cells, of which no value is known.

        That is the chance of an unheard-of value: the share of cells whose value is there once (Good, Biometrika 1953,
        eq. 9). It is small for ids and ratings, which repeat. If most of the cells look like none, it is that of an
        unheard-of look.
        """
        return min(max(LEAST, _unheard_of(self.values)), self.chance_of_looks(cells))

    def chance_of_looks(self, cells: Sequence[str]) -> float:
        """Return the same for how they look; 1 if half of them look like known ones."""
        strange = sum(_look(cell) not in self.looks for cell in cells)
        return _unheard_of(self.looks) if 2 * strange > len(cells) else 1.0


def suspects(text: bytes, sep: bytes, n_columns: int, found: Quotation) -> Iterator[Suspect]:
    """Yield each quotation over lines that are full rows of `n_columns` too."""
    first, behind = (np.searchsorted(found.line_ends, marks) for marks in (found.opens, found.closes))
    bounds = np.concatenate([[-1], found.line_ends, [len(text)]])
    for index in np.flatnonzero(behind > first).tolist():
        start, stop = int(bounds[first[index]]) + 1, int(bounds[behind[index] + 1])
        suspect = _suspect(text[start:stop], start, sep, n_columns, int(found.opens[index]), int(found.closes[index]))
        if suspect:
            yield suspect


def are_rows(suspect: Suspect, known: Callable[[int], Known]) -> bool:
    """Return whether a quotation may have swallowed rows of the table, whose cells in a column are `known`.

    It has not if it has marks in its text, as a torn one would close there, or if its cells are none of the table's:
    of no known value, and improbable.
    """
    if suspect.has_marks:
        return False
    chance = 1.0
    for column, cells in suspect.inside.items():
        if not known(column).values.keys().isdisjoint(cells):
            return True
        chance *= known(column).chance(cells)
    column, cell = suspect.last
    return chance * known(column).chance_of_looks([cell] if cell else []) > RARE


def _suspect(lines: bytes, start: int, sep: bytes, n_columns: int, opens: int, closes: int) -> Suspect | None:
    """Return the quotation between two marks if the lines it is in, which begin at the offset `start`, are rows."""
    inside: dict[int, list[str]] = {}
    last, has_marks = (0, ""), False
    for line in lines.splitlines(keepends=True):
        cells = line.rstrip(b"\r\n").split(sep)
        if len(cells) != n_columns and cells != [b""]:
            return None
        at = start
        for column, cell in enumerate(cells):
            end = at + len(cell)
            within = cell[max(0, opens + 1 - at) : max(0, closes - at)]
            has_marks |= b'"' in within and bool(within.strip(b'"'))
            if opens < at and end < closes and len(cells) == n_columns:
                inside.setdefault(column, []).append(cell.decode(errors="replace"))
            elif at <= closes < end:
                last = column, within.decode(errors="replace")
            at = end + 1
        start += len(line)
    return Suspect(opens, inside, last, has_marks)


def _unheard_of(found: Counter[str] | Counter[tuple[bool, ...]]) -> float:
    n = found.total()
    return (sum(each == 1 for each in found.values()) + 1) / (n + 1)


def _look(cell: str) -> tuple[bool, ...]:
    """Return of what a cell consists: a number, digits, letters, blanks inside, blanks at its ends, nothing."""
    kinds = [any(test(each) for each in cell) for test in (str.isdigit, str.isalpha)]
    return (are_numbers([cell]), *kinds, " " in cell.strip(), cell != cell.strip(), not cell.strip())
