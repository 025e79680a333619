"""A list of points, from a CSV or YAML file, as a space whose only points these are."""

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from recmodels.errors import did_you_mean
from recmodels.files import read_text
from tuning.space.distributions import Choice, Fixed, Scalar
from tuning.space.layers import SEARCH_SPACES, named_parameter
from tuning.space.parameter import Parameter, SpaceError, read_parameter
from tuning.space.space import Space
from tuning.yaml_document import Document, parse_yaml, read_yaml

FORMS = (".csv", ".yaml", ".yml")


@dataclass(frozen=True)
class Point:
    """The parameters that a point names, by name, each fixed. `source`: file and line."""

    parameters: Mapping[str, Parameter]
    source: str


@dataclass(frozen=True)
class PointList:
    """The points of a file, at least one. `source`: the file's name in messages."""

    points: tuple[Point, ...]
    source: str

    @cached_property
    def named(self) -> dict[str, Parameter]:
        """The parameters that some point names, each as the first of these points has it."""
        found: dict[str, Parameter] = {}
        for point in self.points:
            found = {**point.parameters, **found}
        return {name: found[name] for point in self.points for name in point.parameters}

    def common(self, name: str) -> list[Parameter]:
        """Return the parameter of that name if all points give it one value, else nothing."""
        first, *others = (point.parameters.get(name) for point in self.points)
        return [first] if first and all(other == first for other in others) else []


def read_points(named: str, section_of: Mapping[str, str], root: Path = SEARCH_SPACES) -> PointList:
    """Return the points of a file, or of a built-in list: a name in search_spaces/points.

    CSV: a header of names, then a point a line; an empty cell names nothing. YAML: a list of mappings of names to
    values. A name is one of `section_of`, name -> section, or SECTION.NAME. UserError with file and line for anything
    else, and for a file without points.
    """
    built_in = {path.stem: path for path in (root / "points").glob("*.yaml")}
    path = built_in.get(named, Path(named))
    if named not in built_in and not path.is_file():
        raise SpaceError(
            f"--points {named}: neither a built-in list of points nor a file{did_you_mean(named, built_in)}"
        )
    if path.suffix.lower() not in FORMS:
        raise SpaceError(f"--points {named}: expected a file that ends in {', '.join(FORMS)}")
    name = f"points/{path.name}" if named in built_in else str(path)
    rows = _of_csv(path, name, section_of) if path.suffix.lower() == ".csv" else _of_yaml(read_yaml(path, name))
    points = tuple(Point(_named(cells, section_of, source), source) for source, cells in rows)
    if not points:
        raise SpaceError(f"{name}: holds no points, expected at least one")
    return PointList(points, name)


def space_of_points(base: Space, listed: PointList, check: Callable[[Space], None]) -> Space:
    """Return the space of the points in their order; what a point does not name is at its default in `base`.

    `check` is called with the space of each point alone. UserError with file and line for what it refuses, for a
    parameter without a default that a point does not name, and for two points that are the same.
    """
    rows: dict[tuple[Any, ...], str] = {}
    for point in listed.points:
        alone = _alone(base, point, listed)
        check(alone)
        values = {name: value for section in alone.resolve({}).values() for name, value in section.items()}
        row = tuple(values[name] for name in listed.named)
        if row in rows:
            raise SpaceError(f"{point.source}: the same point as {rows[row]}")
        rows[row] = point.source
    found = {each.name: each if each.name in listed.named else _fixed(each) for each in base.parameters}
    for (name, named), column in zip(listed.named.items(), zip(*rows, strict=True), strict=True):
        distribution = _column(column, found.get(name))
        found[name] = Parameter(named.section, name, distribution, source=listed.source)
    made = Space(tuple(found.values()))
    places = {name: place for place, name in enumerate(listed.named)}
    return replace(made, points=tuple({name: row[places[name]] for name in made.dimensions} for row in rows))


def _alone(base: Space, point: Point, listed: PointList) -> Space:
    """Return the space of one point."""
    found = {**{each.name: each for each in base.parameters}, **point.parameters}
    for name, named in listed.named.items():
        if name not in found:
            raise SpaceError(f"{point.source}: {name} is missing and has no default, but {named.source} names it")
    for name, each in found.items():
        if each.distribution.default is None:
            raise SpaceError(f"{point.source}: {name} is missing and has no default in {each.source}")
    try:
        return Space(tuple(_fixed(each) for each in found.values()))
    except SpaceError as error:
        raise SpaceError(f"{point.source}: {error}") from None


def _fixed(parameter: Parameter) -> Parameter:
    """Return the parameter fixed at its default, which it has."""
    default = parameter.distribution.default
    assert default is not None
    return replace(parameter, distribution=Fixed(default))


def _column(values: Sequence[Scalar], parameter: Parameter | None) -> Fixed | Choice:
    """Return what one parameter may be in a list of points. `parameter`: as it is without them, if it is there."""
    different = list(dict.fromkeys(values))
    if len(different) == 1:
        return Fixed(different[0])
    default = None if parameter is None or parameter.of else parameter.distribution.default
    if default is not None and default not in different:
        if parameter and parameter.section != "strategy":
            different.append(default)  # the base that the points are compared with has it
        else:
            default = None
    return Choice(tuple(different), default)


def _named(cells: Mapping[str, Any], section_of: Mapping[str, str], source: str) -> dict[str, Parameter]:
    """Return the parameters of a point by name from the values of its keys."""
    found: dict[str, Parameter] = {}
    for key, raw in cells.items():
        section, name = named_parameter(key, section_of, source)
        parameter = read_parameter(section, name, raw, source)
        if not isinstance(parameter.distribution, Fixed) or parameter.of:
            raise SpaceError(f"{source}: {name}: expected one value, but got {raw!r}")
        if name in found:
            raise SpaceError(f"{source}: {name}: given twice")
        found[name] = parameter
    return found


def _of_yaml(document: Document) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the source and the values of each point of a YAML document."""
    if document.data is None:
        return
    if not isinstance(document.data, list):
        raise SpaceError(f"{document.name}: expected a list of points (- alpha: 1.0), but got {_kind(document.data)}")
    for place, point in enumerate(document.data):
        source = document.where(str(place))
        if not isinstance(point, dict):
            raise SpaceError(f"{source}: expected a mapping of names to values, but got {point!r}")
        yield source, point


def _of_csv(path: Path, name: str, section_of: Mapping[str, str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the source and the values of each point of a CSV file."""
    lines = csv.reader(read_text(path).splitlines(keepends=True), strict=True)
    header: list[str] | None = None
    try:
        for cells in lines:
            source = f"{name}:{lines.line_num}"
            cells = [cell.strip() for cell in cells]
            if not any(cells):
                continue
            if header is None:
                header = _header(cells, section_of, source)
            elif len(cells) != len(header):
                raise SpaceError(f"{source}: expected {len(header)} cells as in the header, but got {len(cells)}")
            else:
                given = {key: cell for key, cell in zip(header, cells, strict=True) if cell}
                yield source, {key: parse_yaml(cell, source, one_line=True).data for key, cell in given.items()}
    except csv.Error as error:
        raise SpaceError(f"{name}:{lines.line_num}: not valid CSV: {error}") from None


def _header(cells: list[str], section_of: Mapping[str, str], source: str) -> list[str]:
    """Return the names of a CSV file's columns."""
    for place, cell in enumerate(cells, start=1):
        if not cell:
            raise SpaceError(f"{source}: column {place} has no name, expected a parameter's")
        if cell in cells[: place - 1]:
            raise SpaceError(f"{source}: {cell}: given twice")
        named_parameter(cell, section_of, source)
    return cells


def _kind(data: Any) -> str:
    return f"a mapping with {', '.join(map(repr, data))}" if isinstance(data, dict) else repr(data)
