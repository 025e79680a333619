"""Find quotations that may have swallowed rows: two torn marks look like the two ends of a cell of several lines."""

from collections.abc import Callable, Iterator

import numpy as np

from recmodels.data.formats.dialect import are_numbers
from recmodels.data.formats.quotation import Quotation

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


def are_rows(inside: Cells, values: Callable[[int], list[str]]) -> bool:
    """Return whether the cells inside of a quotation look like those of its columns, whose `values` the table has.

    Where values repeat, as ids do, it is enough if half of the cells are known in one column; else all must look alike.
    """
    columns = {column: values(column) for column in inside}
    repeating = {column: known for column, found in columns.items() if 2 * len(known := set(found)) <= len(found)}
    if repeating:
        return any(
            2 * sum(cell in known for cell in inside[each]) >= len(inside[each]) for each, known in repeating.items()
        )
    return all(_alike(cells, columns[column]) for column, cells in inside.items())


def _alike(cells: list[str], known: list[str]) -> bool:
    """Return whether the cells are numbers, empty, or with blanks at an end only if some of the `known` are."""
    if are_numbers(known) and not are_numbers(cells):
        return False
    padded, empty = (
        any(test(each) for each in cells) and not any(test(each) for each in known) for test in (_padded, _empty)
    )
    return not padded and not empty


def _padded(cell: str) -> bool:
    return cell != cell.strip()


def _empty(cell: str) -> bool:
    return not cell
