"""Tables on a terminal and in Markdown, and the format of their values."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from operator import itemgetter
from typing import Any, Generic, Literal, TypeVar

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

Row = TypeVar("Row")


def shown(value: Any) -> str:
    """Return a value as text: a float with four significant digits, None as `-`."""
    if value is None:
        return "-"
    return f"{value:.4g}" if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Column(Generic[Row]):
    """A column of a table.

    `of`: returns the value that a row has here, or None. `format`: writes a value that is not None.
    `live`: the column is also in the table of a search that runs.
    """

    heading: str
    of: Callable[[Row], Any]
    format: Callable[[Any], str] = shown
    justify: Literal["left", "right"] = "right"
    live: bool = True

    def cell(self, row: Row) -> str:
        value = self.of(row)
        return shown(None) if value is None else self.format(value)


def plain_columns(*headings: str, left: int = 1, format: Callable[[Any], str] = shown) -> list[Column[Sequence[Any]]]:
    """Return columns for rows that are sequences: the first `left` hold text, the others numbers for `format`."""
    return [
        Column(heading, itemgetter(place), str if place < left else format, "left" if place < left else "right")
        for place, heading in enumerate(headings)
    ]


def table(
    columns: Sequence[Column[Row]],
    *groups: Iterable[Row],
    title: str | None = None,
    style: Callable[[Row], str | None] = lambda row: None,
    redrawn: bool = False,
) -> Table:
    """Return the rows as a table for the terminal, with a blank line between two groups.

    `style`: the colour of a row. `redrawn`: the widths change as little as possible, and no cell takes a second line.
    """
    made = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
    widths: dict[str, Any] = {"min_width": 8, "no_wrap": True} if redrawn else {"overflow": "fold"}
    for column in columns:
        made.add_column(escape(column.heading), justify=column.justify, **widths)
    for rows in groups:
        made.add_section()
        for row in rows:
            made.add_row(*(escape(column.cell(row)) for column in columns), style=style(row))
    return made


def markdown_table(columns: Sequence[Column[Row]], *groups: Iterable[Row]) -> str:
    """Return the rows as a table in Markdown."""
    cells = ([column.cell(row).replace("|", "\\|") for column in columns] for row in chain(*groups))
    lines = [[column.heading.replace("|", "\\|") for column in columns], ["---"] * len(columns), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def say(console: Console, text: str) -> None:
    """Print text unchanged: without markup, colours or line breaks by rich."""
    console.print(text, markup=False, highlight=False, soft_wrap=True)
