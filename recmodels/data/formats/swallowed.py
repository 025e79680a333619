"""Find quotations that may have swallowed rows: two torn marks look like the two ends of a cell of several lines."""

from collections import Counter
from collections.abc import Callable, Collection, Iterator

import numpy as np

from recmodels.data.formats.dialect import are_numbers
from recmodels.data.formats.quotation import Quotation

ENOUGH = 30  # rows that show how the cells of a table look
LEAST = 0.02  # share of rows with an unheard-of value that a column always may have
Cells = dict[int, list[str]]
"""Column -> cells."""


def suspects(text: bytes, sep: bytes, n_columns: int, found: Quotation) -> Iterator[tuple[int, Cells]]:
    """Yield the offset of each quotation over lines that are full rows of `n_columns` too, and the cells inside of it.

    They are whole cells in the reading in which quotation marks mean nothing.
    """
    first, behind = (np.searchsorted(found.line_ends, marks) for marks in (found.opens, found.closes))
    bounds = np.concatenate([[-1], found.line_ends, [len(text)]])
    for index in np.flatnonzero(behind > first).tolist():
        opens, closes = int(found.opens[index]), int(found.closes[index])
        start, stop = int(bounds[first[index]]) + 1, int(bounds[behind[index] + 1])
        inside: Cells = {}
        for line in text[start:stop].splitlines(keepends=True):
            cells = line.rstrip(b"\r\n").split(sep)
            if len(cells) != n_columns and cells != [b""]:
                break
            at = start
            for column, cell in enumerate(cells):
                if opens < at and at + len(cell) < closes and len(cells) == n_columns:
                    inside.setdefault(column, []).append(cell.decode(errors="replace"))
                at += len(cell) + 1
            start += len(line)
        else:
            yield opens, inside


def are_rows(inside: Cells, values: Callable[[int], Counter[str]]) -> bool:
    """Return whether the cells inside of a quotation may be rows of the table, whose `values` in a column are counted.

    In a table of ENOUGH rows they are text for sure if none of them is known in its column and they do not look like
    the others (words among numbers, blanks at the ends), or if the columns are such as ids and ratings, in which nearly
    every value is there twice.
    """
    alike, chance = True, 1.0  # that rows have nothing in common with the others; all rows of one user are one case
    for column, cells in inside.items():
        known = values(column)
        if known.total() < ENOUGH or not known.keys().isdisjoint(cells):
            return True
        alike &= _alike(cells, known)
        chance *= max(LEAST, sum(n == 1 for n in known.values()) / known.total())
    return alike and chance > LEAST**1.5


def _alike(cells: list[str], known: Collection[str]) -> bool:
    """Return whether the cells are numbers if the `known` are, with blanks at their ends only if some of those have."""
    if are_numbers(known) and not are_numbers(cells):
        return False
    return all(cell == cell.strip() for cell in cells) or any(cell != cell.strip() for cell in known)
