"""The parts of a page as values: sections of texts, figures, tables and listings. `tuning.pages.html` writes them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, ClassVar, Self, TypeVar

import plotly.graph_objects as go

from tuning.reports.tables import Column

Row = TypeVar("Row")


@dataclass(frozen=True)
class View:
    """Another horizontal axis for the same traces: its label on the switch, its title, and each trace's values."""

    label: str
    title: str
    x: Sequence[Sequence[Any]]


@dataclass(frozen=True)
class Figure:
    """A figure. `name`: unique on the page. `title`: what it shows. `caption`: how to read it, in a sentence or two.

    `plot`: a colour in it may be one of the page, such as `var(--ink)`.
    `views`: the axes between which the reader switches, the first of which is drawn; none or at least two.
    """

    kind: ClassVar = "figure"
    name: str
    title: str
    caption: str
    plot: go.Figure
    views: tuple[View, ...] = ()


@dataclass(frozen=True)
class Heading:
    """The heading of a column. `number`: whether its cells are numbers, which stand at the right."""

    text: str
    number: bool


@dataclass(frozen=True)
class Table:
    """A table of text cells. `sortable`: by a click on a heading."""

    kind: ClassVar = "table"
    caption: str
    headings: tuple[Heading, ...]
    rows: tuple[tuple[str, ...], ...]
    sortable: bool = False

    @classmethod
    def of(cls, caption: str, columns: Sequence[Column[Row]], *groups: Iterable[Row], sortable: bool = False) -> Self:
        """Return the table of some rows, one group of them below the other."""
        cells = tuple(tuple(column.cell(row) for column in columns) for row in chain(*groups))
        headings = tuple(Heading(column.heading, column.justify == "right") for column in columns)
        return cls(caption, headings, cells, sortable)


@dataclass(frozen=True)
class Text:
    """A paragraph."""

    kind: ClassVar = "text"
    text: str


@dataclass(frozen=True)
class Notes:
    """Remarks, a line each."""

    kind: ClassVar = "notes"
    lines: tuple[str, ...]


@dataclass(frozen=True)
class Listing:
    """Preformatted lines, such as commands. `folded`: shown when the reader opens it."""

    kind: ClassVar = "listing"
    title: str
    text: str
    folded: bool = False


@dataclass(frozen=True)
class Links:
    """Links to pages beside this one: text and relative address."""

    kind: ClassVar = "links"
    title: str
    links: tuple[tuple[str, str], ...]


Content = Figure | Table | Text | Notes | Listing | Links


@dataclass(frozen=True)
class Section:
    """A section of a page. `name`: its anchor. A section without anything to show says so in a Text."""

    name: str
    title: str
    parts: tuple[Content, ...]


@dataclass(frozen=True)
class Tile:
    """A number that everybody looks for first. `note`: what it is of, in a few words."""

    title: str
    value: str
    note: str = ""


@dataclass(frozen=True)
class Page:
    """A whole page. `verdict`: its first words. `renewed`: seconds after which it loads itself again; None: never."""

    title: str
    subtitle: str
    verdict: str
    evidence: tuple[str, ...]
    tiles: tuple[Tile, ...]
    sections: tuple[Section, ...]
    made: str
    renewed: float | None = None

    @property
    def figures(self) -> list[Figure]:
        """All figures, in their order on the page."""
        return [part for section in self.sections for part in section.parts if isinstance(part, Figure)]
