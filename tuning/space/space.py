"""A search space as a value: the dimensions that a sampler sees, and a trial's parameters at a point of it."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import prod
from typing import Any

from recmodels.errors import did_you_mean
from tuning.space.distributions import Choice, Fixed, Range, Scalar, bounds, corners, meant
from tuning.space.first import KEY, FirstPoint, StartPoint, split_first
from tuning.space.parameter import SECTIONS, Parameter, SpaceError, read_parameters
from tuning.yaml_document import Document

Params = dict[str, dict[str, Any]]
"""A trial's parameters by section: {"strategy": {"alpha": 1.0, ...}, "train": {...}, "model": {...}}."""


@dataclass(frozen=True)
class Space:
    """All parameters of a trial, ordered by section and within a section as they were given.

    `first`: points that a search begins with. `points`: the only points of the space, each a value for every dimension;
    without any, every combination of the dimensions' values is one. SpaceError for a duplicate name, for a share of a
    parameter that is missing, not a number, or itself a share, and for a point that is not one of the dimensions'
    values.
    """

    parameters: tuple[Parameter, ...]
    first: tuple[FirstPoint, ...] = ()
    points: tuple[Mapping[str, Scalar], ...] = ()

    def __post_init__(self) -> None:
        by_section = sorted(self.parameters, key=lambda parameter: SECTIONS.index(parameter.section))
        object.__setattr__(self, "parameters", tuple(by_section))
        by_name: dict[str, Parameter] = {}
        for parameter in self.parameters:
            if parameter.name in by_name:
                raise SpaceError(f"{parameter.source}: {parameter.name}: given in two sections")
            by_name[parameter.name] = parameter
        for parameter in self.parameters:
            _check_share(parameter, by_name)
        for number, point in enumerate(self.points, start=1):
            _check_point(point, self.dimensions, f"point {number}")

    @cached_property
    def dimensions(self) -> dict[str, Choice | Range]:
        """The values that a sampler draws from, by name, or by `beta/alpha` for a share of another parameter."""
        return {p.coordinate: p.distribution for p in self.parameters if not isinstance(p.distribution, Fixed)}

    @cached_property
    def fixed(self) -> dict[str, Scalar]:
        """The values that a sampler does not see, by the same names."""
        return {p.coordinate: p.distribution.value for p in self.parameters if isinstance(p.distribution, Fixed)}

    def resolve(self, point: Mapping[str, Any]) -> Params:
        """Return a trial's parameters at a point, dimension -> value. ValueError if it lacks a dimension."""
        if point.keys() != self.dimensions.keys():
            raise ValueError(f"expected a value for each of {sorted(self.dimensions)}, but got {sorted(point)}")
        at = {**self.fixed, **point}
        return {s: {p.name: p.value(at) for p in self.parameters if p.section == s} for s in SECTIONS}

    def point_of(self, values: Mapping[str, Any]) -> dict[str, Scalar]:
        """Return the point at which parameters have these values, by name; the others have their defaults.

        ValueError, which names the parameter, for a value that it does not have here, an unknown name, or a parameter
        that has neither a value nor a default.
        """
        if unknown := values.keys() - {p.name for p in self.parameters}:
            raise ValueError(f"{min(unknown)}: no parameter of this space")
        all_values, at = {p.name: values.get(p.name, p.distribution.default) for p in self.parameters}, {}
        for p in self.parameters:
            if (value := all_values[p.name]) is None:
                raise ValueError(f"{p.name}: neither a value nor a default")
            try:
                share = _share(value, all_values[p.of]) if p.of and p.name in values else value
                at[p.coordinate] = meant(p.distribution, share)
            except ValueError as error:
                raise ValueError(f"{p.coordinate}: {error}") from None
        return {name: at[name] for name in self.dimensions}

    def starts(self) -> tuple[list[StartPoint], list[str]]:
        """Return the points that a search begins with, and why others of `first` are not among them, a line each.

        The default point, if every dimension has a default, then those of `first`, each once.
        """
        default, left_out = self.default_point(), []
        points = [StartPoint(default, "default")] if default else []
        for each in self.first:
            try:
                point = self.point_of(each.values)
            except ValueError as error:
                left_out.append(f"{each.source}: {error}")
                continue
            if point not in [start.point for start in points]:
                points.append(StartPoint(point, each.source))
        return points, left_out

    def default_point(self) -> dict[str, Scalar] | None:
        """Return the recommended values as a point; None if a dimension has no default."""
        defaults = {name: each.default for name, each in self.dimensions.items()}
        point = {name: value for name, value in defaults.items() if value is not None}
        return point if len(point) == len(defaults) else None

    def base_defaults(self) -> Params | None:
        """Return the train and model parameters at their defaults, by section; None if one has no default."""
        at: dict[str, Any] = {**self.fixed, **{name: each.default for name, each in self.dimensions.items()}}
        base = [p for p in self.parameters if p.section != "strategy"]
        if any(at[coordinate] is None for p in base for coordinate in p.coordinates):
            return None
        return {s: {p.name: p.value(at) for p in base if p.section == s} for s in ("train", "model")}

    def fixed_at(self, values: Params, source: str) -> Space:
        """Return the space with the parameters of `values` fixed at them. `source`: where they are from."""
        return Space(
            tuple(
                Parameter(p.section, p.name, Fixed(values[p.section][p.name]), source=source)
                if p.name in values.get(p.section, {})
                else p
                for p in self.parameters
            )
        )

    def corners(self, section: str, names: Collection[str]) -> Iterator[dict[str, Any]]:
        """Yield the values of the named parameters of a section at every corner of the space.

        A corner has an end of each range and one value of each choice. A share is of its parameter at the same corner.
        The corners of a space of `points` are these.
        """
        parameters = [p for p in self.parameters if p.section == section and p.name in names]
        if self.points:
            yield from ({p.name: p.value({**self.fixed, **point}) for p in parameters} for point in self.points)
            return
        needed = {coordinate for p in parameters for coordinate in p.coordinates}
        ends = {p.coordinate: corners(p.distribution) for p in self.parameters if p.coordinate in needed}
        for values in product(*ends.values()):
            at = dict(zip(ends, values, strict=True))
            yield {p.name: p.value(at) for p in parameters}

    def grid_size(self) -> int | None:
        """Return the number of different points; None if a dimension is continuous."""
        if self.points:
            return len(self.points)
        sizes = [each.size for each in self.dimensions.values()]
        return None if None in sizes else prod(filter(None, sizes))

    def grid(self) -> Iterator[dict[str, Scalar]] | None:
        """Return all points, made one by one, the last dimension fastest, or `points` in their order; None if a
        dimension is continuous."""
        if self.points:
            return iter(map(dict, self.points))
        return None if (size := self.grid_size()) is None else map(self._grid_point, range(size))

    def _grid_point(self, index: int) -> dict[str, Scalar]:
        point = {}
        for name, distribution in reversed(self.dimensions.items()):
            index, position = divmod(index, distribution.size or 1)
            point[name] = distribution.at(position)
        return dict(reversed(point.items()))

    def describe(self) -> list[tuple[str, str, str, str]]:
        """Return the section, the name, the possible values as text, and the source of each parameter."""
        values = {p.name: f"{p.distribution}{f' (times {p.of})' if p.of else ''}" for p in self.parameters}
        return [(p.section, p.name, values[p.name], p.source) for p in self.parameters]

    def to_data(self) -> dict[str, Any]:
        """Return plain data in the form of a --space file, and under `points` the points if there are any."""
        data: dict[str, Any] = {s: {p.name: p.to_data() for p in self.parameters if p.section == s} for s in SECTIONS}
        data |= {KEY: [dict(each.values) for each in self.first]} if self.first else {}
        return data | ({"points": [dict(point) for point in self.points]} if self.points else {})

    @classmethod
    def from_data(cls, data: Any) -> Space:
        """Return the space that `to_data` described. SpaceError for anything else."""
        points = []
        if isinstance(data, dict) and "points" in data:
            data = {**data}
            if not isinstance(points := data.pop("points"), list):
                raise SpaceError(f"space: points: expected a list of points, but got {points!r}")
        document, first = split_first(Document("space", data, {}))
        return cls(tuple(read_parameters(document)), first or (), tuple(points))


def _share(value: Any, whole: Any) -> Any:
    """Return the share of `whole` that `value` is: of the nearest numbers the one that gives it back exactly."""
    if not all(isinstance(each, int | float) and not isinstance(each, bool) for each in (value, whole)) or not whole:
        raise ValueError(f"expected a number, and another but 0 that it is a share of, but got {value!r} of {whole!r}")
    share = value / whole
    near = (share, math.nextafter(share, -math.inf), math.nextafter(share, math.inf))
    return min(near, key=lambda each: abs(each * whole - value))


def _check_point(point: Any, dimensions: Mapping[str, Choice | Range], where: str) -> None:
    """Raise SpaceError unless a point has one of its values for each dimension, all of which must be choices."""
    if not isinstance(point, Mapping) or point.keys() != dimensions.keys():
        raise SpaceError(f"space: {where}: expected a value for each of {sorted(dimensions)}, but got {point!r}")
    for name, value in point.items():
        distribution = dimensions[name]
        if not isinstance(distribution, Choice) or value not in distribution.values:
            raise SpaceError(f"space: {where}: {name}: expected {distribution}, but got {value!r}")


def _check_share(parameter: Parameter, by_name: Mapping[str, Parameter]) -> None:
    """Raise SpaceError if a share is one of a parameter that is missing, not a number, or itself a share."""
    if parameter.of is None:
        return
    where = f"{parameter.source}: {parameter.name}: is a fraction of"
    if parameter.of == parameter.name:
        raise SpaceError(f"{where} itself")
    if parameter.of not in by_name:
        hint = did_you_mean(parameter.of, by_name)
        raise SpaceError(f"{where} {parameter.of!r}, but the space has no such parameter{hint}")
    if further := by_name[parameter.of].of:
        raise SpaceError(f"{where} {parameter.of}, which must not be a fraction itself, but is one of {further}")
    try:
        bounds(by_name[parameter.of].distribution)
    except ValueError as error:
        raise SpaceError(f"{parameter.source}: {parameter.coordinate}: {error}") from None
