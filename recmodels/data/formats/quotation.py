"""Check the quotation marks of a text table, as parsers take what a torn one has swallowed for the text of one cell.

The rules are those of RFC 4180: a mark that opens is the first character of a cell, one that closes the last, and
between them two marks stand for one. A table in which no cell begins with a mark has none that encloses.
"""

import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from recmodels.data.dataset import Ints

MARK, BACKSLASH, LINE_ENDS = ord('"'), ord("\\"), (10, 13)


@dataclass(frozen=True)
class Quotation:
    """Where cells of a table are enclosed by marks: `opens` and `closes`, (n,) offsets of bytes; `line_ends`, (m,).

    `torn`: None, or the offset of a mark that does not follow the rules and the reason; the other fields then hold what
    is before it.
    """

    opens: Ints
    closes: Ints
    line_ends: Ints
    torn: tuple[int, str] | None = None

    def row(self, text: bytes, offset: int) -> int:
        """Return how many rows with something in them end before the offset, the header among them."""
        ends = self.line_ends[self.line_ends < offset]
        nested = np.searchsorted(self.opens, ends) > np.searchsorted(self.closes, ends)
        ends = ends[~nested]
        codes = np.frombuffer(text, dtype=np.uint8)
        return int((~np.isin(codes[np.maximum(ends - 1, 0)], LINE_ENDS) & (ends > 0)).sum())


def quotation(text: bytes, sep: bytes, escapes: bool) -> Quotation:
    """Return where cells of a table are enclosed. `sep`: one byte; `escapes`: a backslash makes the next mark text."""
    nowhere = np.zeros(0, dtype=np.int64)
    if b'"' not in text:
        return Quotation(nowhere, nowhere, nowhere)
    codes = np.frombuffer(text, dtype=np.uint8)
    line_ends = np.flatnonzero((codes == LINE_ENDS[0]) | (codes == LINE_ENDS[1]))
    marks = np.flatnonzero(codes == MARK)
    if escapes:
        marks = marks[~_escaped(codes, marks)]
    edges = np.array([*LINE_ENDS, sep[0]], dtype=np.uint8)
    begins = (marks == 0) | np.isin(codes[np.maximum(marks - 1, 0)], edges)
    ends = (marks == len(codes) - 1) | np.isin(codes[np.minimum(marks + 1, len(codes) - 1)], edges)
    if not begins.any():
        blank = re.search(b"(?:^|[\r\n" + re.escape(sep) + b']) +"', text)
        torn = (blank.end() - 1, "a blank before the mark that opens a cell") if blank else None
        return Quotation(nowhere, nowhere, line_ends, torn)
    joined = np.diff(marks) == 1  # two that stand for one close a part of the cell and open the next
    follows, precedes = np.append(False, joined), np.append(joined, False)
    opening = np.arange(len(marks)) % 2 == 0
    sound = np.where(opening, begins | follows, ends | precedes)
    n_sound = len(marks) if sound.all() else int(sound.argmin())
    # A mark opens or closes a cell unless it is one of two, which stand for one.
    outer = np.where(opening, ~follows, ~precedes)[:n_sound]
    opens, closes = marks[:n_sound][outer & opening[:n_sound]], marks[:n_sound][outer & ~opening[:n_sound]]
    torn = None
    if n_sound < len(marks) and opening[n_sound]:
        torn = int(marks[n_sound]), "a mark inside of a cell that does not begin with one"
    elif n_sound < len(marks):
        torn = int(opens[-1]), "text after the mark that closes it"
    elif len(opens) > len(closes):
        torn = int(opens[-1]), "no mark closes it"
    return Quotation(opens, closes, line_ends, torn)


def _escaped(codes: NDArray[np.uint8], marks: Ints) -> NDArray[np.bool_]:
    """Return which of the marks have an odd number of backslashes before them."""
    odd = np.zeros(len(marks), dtype=bool)
    at, which = marks - 1, np.arange(len(marks))
    while True:
        more = (at >= 0) & (codes[at] == BACKSLASH)
        at, which = at[more] - 1, which[more]
        if not len(which):
            return odd
        odd[which] ^= True
