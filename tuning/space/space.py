"""A search space as a value: what the sampler sees, and what a trial gets at a point of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from recmodels.errors import did_you_mean
from tuning.space.distributions import Choice, Fixed, Range, Scalar, bounds
from tuning.space.parameter import SECTIONS, Parameter, SpaceError, read_parameters
from tuning.space.yaml_document import Document

if TYPE_CHECKING:  # optuna is loaded only where its distributions are made
    from optuna.distributions import BaseDistribution


class Dimension(NamedTuple):
    """What the sampler sees: `alpha`, or `beta/alpha` for a share of another parameter."""

    name: str
    distribution: Choice | Range


@dataclass(frozen=True)
class Space:
    """All parameters of a trial. SpaceError if some point would break 0 <= beta < alpha or interval >= 1.

    Also for a name that stands twice, and for a share of a parameter that is missing, no number or itself a share.
    """

    parameters: tuple[Parameter, ...]

    def __post_init__(self) -> None:
        by_name: dict[str, Parameter] = {}
        for parameter in self.parameters:
            if parameter.name in by_name:
                raise SpaceError(f"{parameter.source}: {parameter.name}: stands in two sections")
            by_name[parameter.name] = parameter
        for parameter in self.parameters:
            _check_share(parameter, by_name)
        _check_mirror({p.name: p for p in self.parameters if p.section == "strategy"}, by_name)

    @property
    def dimensions(self) -> list[Dimension]:
        pairs = ((p.coordinate, p.distribution) for p in self.parameters)
        return [Dimension(name, each) for name, each in pairs if not isinstance(each, Fixed)]

    @property
    def fixed(self) -> dict[str, Scalar]:
        """What the sampler does not see: name, or `beta/alpha` for a share, -> value."""
        return {p.coordinate: p.distribution.value for p in self.parameters if isinstance(p.distribution, Fixed)}

    def resolve(self, point: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
        """The trial's parameters by section at a point, dimension -> value. ValueError if a dimension is not named."""
        if point.keys() != (names := {dimension.name for dimension in self.dimensions}):
            raise ValueError(f"expected a value for each of {sorted(names)}, but got {sorted(point)}")
        at: dict[str, Any] = {**self.fixed, **point}
        params: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
        for p in self.parameters:
            params[p.section][p.name] = at[p.coordinate] * at[p.of] if p.of else at[p.coordinate]
        return params

    def default_point(self) -> dict[str, Scalar] | None:
        """The recommended values as a point; None if a dimension has no default."""
        defaults = {name: distribution.default for name, distribution in self.dimensions}
        point = {name: value for name, value in defaults.items() if value is not None}
        return point if len(point) == len(defaults) else None

    def base_defaults(self) -> dict[str, dict[str, Any]] | None:
        """The train and model parameters at their defaults, by section; None if one has none."""
        at: dict[str, Any] = {**self.fixed, **{name: distribution.default for name, distribution in self.dimensions}}
        params: dict[str, dict[str, Any]] = {"train": {}, "model": {}}
        for p in self.parameters:
            if p.section in params:
                if at[p.coordinate] is None or (p.of and at[p.of] is None):
                    return None
                params[p.section][p.name] = at[p.coordinate] * at[p.of] if p.of else at[p.coordinate]
        return params

    def grid_size(self) -> int | None:
        """Number of different points; None if a dimension is continuous."""
        total = 1
        for _, distribution in self.dimensions:
            if distribution.size is None:
                return None
            total *= distribution.size
        return total

    def grid(self) -> Iterator[dict[str, Scalar]] | None:
        """All points, made one by one, the last dimension fastest; None if a dimension is continuous."""
        return None if (size := self.grid_size()) is None else self._points(size)

    def _points(self, count: int) -> Iterator[dict[str, Scalar]]:
        dimensions = self.dimensions
        for index in range(count):
            values = []
            for _, distribution in reversed(dimensions):
                index, here = divmod(index, distribution.size or 1)
                values.append(distribution.at(here))
            yield {name: value for (name, _), value in zip(dimensions, reversed(values), strict=True)}

    def describe(self) -> list[tuple[str, str, str]]:
        """(section, name, what it may be) of each parameter."""
        texts = (f"{p.distribution}{f' (times {p.of})' if p.of else ''}" for p in self.parameters)
        return [(p.section, p.name, text) for p, text in zip(self.parameters, texts, strict=True)]

    def to_data(self) -> dict[str, dict[str, Any]]:
        """Plain data in the form of a --space file."""
        return {s: {p.name: p.to_data() for p in self.parameters if p.section == s} for s in SECTIONS}

    @classmethod
    def from_data(cls, data: Any) -> Space:
        """The space that `to_data` described. SpaceError."""
        return cls(in_order(read_parameters(Document("space", data, {}))))


def in_order(parameters: list[Parameter]) -> tuple[Parameter, ...]:
    """By section; within one as they came."""
    return tuple(sorted(parameters, key=lambda parameter: SECTIONS.index(parameter.section)))


def optuna_distributions(space: Space) -> dict[str, BaseDistribution]:
    """Dimension -> Optuna's distribution of the same values."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    def convert(distribution: Choice | Range) -> BaseDistribution:
        if isinstance(distribution, Choice):
            return CategoricalDistribution(distribution.values)
        low, high, step, log = distribution.low, distribution.high, distribution.step, distribution.log
        if distribution.whole:
            return IntDistribution(int(low), int(high), log=log, step=int(step or 1))
        return FloatDistribution(low, high, log=log, step=step)

    return {name: convert(distribution) for name, distribution in space.dimensions}


def _check_share(parameter: Parameter, by_name: Mapping[str, Parameter]) -> None:
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
    _value_bounds(parameter, by_name)


def _value_bounds(parameter: Parameter, by_name: Mapping[str, Parameter]) -> tuple[float, float]:
    try:
        own = bounds(parameter.distribution)
        base = bounds(by_name[parameter.of].distribution) if parameter.of else (1.0, 1.0)
    except ValueError as error:
        raise SpaceError(f"{parameter.source}: {parameter.coordinate}: {error}") from None
    corners = [share * whole for share in own for whole in base]
    return min(corners), max(corners)


def _check_mirror(strategy: Mapping[str, Parameter], by_name: Mapping[str, Parameter]) -> None:
    """Strategies that take alpha, beta and interval mean the same by them, so the names alone decide."""
    alpha, beta, interval = (strategy.get(name) for name in ("alpha", "beta", "interval"))
    alpha_low = _value_bounds(alpha, by_name)[0] if alpha else 0.0
    if alpha:
        _require(alpha_low > 0, alpha, "alpha > 0", f"alpha can be {alpha_low}")
    if beta:
        low, high = _value_bounds(beta, by_name)
        found = f"alpha can be {alpha_low} ({alpha.source})" if alpha else "there is no alpha"
        _require(low >= 0, beta, "beta >= 0", f"beta can be {low}")
        _require(beta.of == "alpha" or high < alpha_low, beta, "beta < alpha", f"beta can be {high} and {found}")
    if interval:
        _require(_counts(interval), interval, "a whole number >= 1", f"interval is {interval.distribution}")


def _require(holds: bool, parameter: Parameter, rule: str, found: str) -> None:
    if not holds:
        raise SpaceError(f"{parameter.source}: {parameter.name}: {rule} must hold at every point, but {found}")


def _counts(parameter: Parameter) -> bool:
    """Whether every value is a whole number from 1."""
    distribution = parameter.distribution
    if parameter.of:
        return False
    if isinstance(distribution, Range):
        return distribution.whole and distribution.low >= 1
    values = distribution.values if isinstance(distribution, Choice) else (distribution.value,)
    return all(type(value) is int and value >= 1 for value in values)
