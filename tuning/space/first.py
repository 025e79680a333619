"""The points that a search begins with, as a space file lists them under `first`."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tuning.space.distributions import Fixed, Scalar
from tuning.space.parameter import SpaceError
from tuning.yaml_document import Document

KEY = "first"


@dataclass(frozen=True)
class FirstPoint:
    """Values of parameters by name; others are at their defaults. `source`: file and line, for messages."""

    values: Mapping[str, Scalar]
    source: str = field(default="space", compare=False)


class StartPoint(NamedTuple):
    """A point of a space, dimension -> value, with which a search begins. `source`: where it comes from."""

    point: dict[str, Scalar]
    source: str


def split_first(document: Document) -> tuple[Document, tuple[FirstPoint, ...] | None]:
    """Return the document without its key `first`, and the points that are listed there, None without the key.

    SpaceError unless it is a list of mappings of names to values.
    """
    if not isinstance(document.data, dict) or KEY not in document.data:
        return document, None
    where, listed = document.where(KEY), document.data[KEY]
    if not isinstance(listed, list):
        raise SpaceError(f"{where}: {KEY}: expected a list of points such as {{alpha: 1.0}}, but got {listed!r}")
    rest = {key: value for key, value in document.data.items() if key != KEY}
    return Document(document.name, rest, document.lines), tuple(_point(each, where) for each in listed)


def _point(raw: object, where: str) -> FirstPoint:
    if not isinstance(raw, dict) or not raw:
        raise SpaceError(f"{where}: {KEY}: expected a point such as {{alpha: 1.0}}, but got {raw!r}")
    for name, value in raw.items():
        try:
            Fixed(value)
        except ValueError as error:
            raise SpaceError(f"{where}: {KEY}: {name}: {error}") from None
    return FirstPoint(raw, where)
