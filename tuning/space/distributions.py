"""The values that one parameter of a search space may have: a fixed one, one of several, or a range of numbers.

Optuna has such classes too, but to import it costs every --help 0.4 s, and its grids of floats drift; here fractions
are exact. `tuning.proposals.study` turns these classes into Optuna's.
"""

import math
import sys
from dataclasses import dataclass, replace
from fractions import Fraction
from typing import Any

Scalar = bool | int | float | str


@dataclass(frozen=True)
class Fixed:
    """One value. ValueError if it is not text, true, false or a finite number."""

    value: Scalar

    def __post_init__(self) -> None:
        _check_scalar("value", self.value)

    def __str__(self) -> str:
        return str(self.value)

    @property
    def default(self) -> Scalar:
        return self.value


@dataclass(frozen=True)
class Choice:
    """One of `values`. ValueError for an empty list, equal values (1, 1.0 and true are), or a default not in it."""

    values: tuple[Scalar, ...]
    default: Scalar | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.values, list | tuple) or not self.values:
            raise ValueError(f"values must be a list with at least one value, but got {self.values!r}")
        for value in self.values:
            _check_scalar("each of values", value)
        if len(set(self.values)) < len(self.values):
            raise ValueError(f"values must differ from each other, but got {list(self.values)}")
        if self.default is not None and self.default not in self.values:
            raise ValueError(f"default must be one of {list(self.values)}, but got {self.default!r}")
        object.__setattr__(self, "values", tuple(self.values))

    def __str__(self) -> str:
        return f"one of {', '.join(map(str, self.values))}{_default(self.default)}"

    @property
    def size(self) -> int:
        return len(self.values)

    def at(self, index: int) -> Scalar:
        return self.values[index]

    def to_data(self) -> dict[str, Any]:
        return _without_none({"type": "categorical", "values": list(self.values), "default": self.default})


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    `step`: distance between two values; None: continuous, or 1 if `whole`. If it does not divide the range, `high`
    becomes the last value that it reaches, as in Optuna. `log`: a log scale, which has no step. `whole`: integers only.
    ValueError unless all are finite, low < high, low > 0 if `log`, 0 < step <= high - low, and the range has `default`.
    """

    low: float
    high: float
    step: float | None = None
    log: bool = False
    whole: bool = False
    default: float | None = None

    def __post_init__(self) -> None:
        for key in ("low", "high", "step", "default"):
            if (value := getattr(self, key)) is not None:
                object.__setattr__(self, key, _number(key, value, self.whole))
        if not isinstance(self.log, bool):
            raise ValueError(f"log must be true or false, but got {self.log!r}")
        if self.low >= self.high:
            raise ValueError(f"low < high must hold, but got low={self.low}, high={self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"low > 0 must hold on a log scale, but got low={self.low}")
        if self.log and self.step is not None:
            raise ValueError(f"a log scale takes no step, but got step={self.step}")
        if self.step is not None:
            if self.step <= 0 or (size := self.size) is None or size < 2:
                raise ValueError(f"0 < step <= high - low must hold, but got {self._numbers()}")
            object.__setattr__(self, "high", self.at(size - 1))
        elif self.whole:
            object.__setattr__(self, "step", 1)
        if self.default is not None and not self._contains(self.default):
            raise ValueError(f"default must lie in {self._numbers()}, but got {self.default}")

    def __str__(self) -> str:
        kind = f"{'log ' if self.log else ''}{'integer' if self.whole else 'uniform'}"
        return f"{kind}, {self._numbers()}{_default(self.default)}"

    @property
    def size(self) -> int | None:
        """The number of values; None if they are continuous."""
        if self.step is None:
            return None
        return int((_exact(self.high) - _exact(self.low)) // _exact(self.step)) + 1

    def at(self, index: int) -> float:
        """Return the value `index` steps above low, without rounding errors that add up."""
        value = _exact(self.low) + index * _exact(self.step or 0)
        return int(value) if self.whole else float(value)

    def to_data(self) -> dict[str, Any]:
        kind = "int" if self.whole else "loguniform" if self.log else "uniform"
        step, log = (None, self.whole or None) if self.log else (self.step, None)
        data = {"low": self.low, "high": self.high, "step": step, "default": self.default, "log": log}
        return _without_none({"type": kind, **data})

    def position(self, value: float) -> float:
        """Return where a value lies between low, 0, and high, 1, on a log scale if the range is on one."""
        low, high, at = map(math.log if self.log else float, (self.low, self.high, value))
        return (at - low) / (high - low)

    def _contains(self, value: float) -> bool:
        on_step = self.step is None or (_exact(value) - _exact(self.low)) % _exact(self.step) == 0
        return self.low <= value <= self.high and on_step

    def _numbers(self) -> str:
        step = "" if self.step is None or (self.whole and self.step == 1) else f" in steps of {self.step}"
        return f"{self.low} to {self.high}{step}"


Distribution = Fixed | Choice | Range


def corners(distribution: Distribution) -> tuple[Scalar, ...]:
    """Return the two ends of a range, or all values of another distribution."""
    if isinstance(distribution, Range):
        return distribution.low, distribution.high
    return distribution.values if isinstance(distribution, Choice) else (distribution.value,)


def bounds(distribution: Distribution) -> tuple[float, float]:
    """Return the smallest and the largest value. ValueError if one is not a number."""
    numbers = [_number("a value", value) for value in corners(distribution)]
    return min(numbers), max(numbers)


def meant(distribution: Distribution, value: Any) -> Scalar:
    """Return the value of the distribution that is `value` but for a rounding error, as of a quotient.

    ValueError, `expected ..., but got ...`, if it has none.
    """
    if isinstance(distribution, Range):
        if not _is_finite(value):
            raise ValueError(f"expected a number, but got {value!r}")
        index = None if distribution.size is None else round((value - distribution.low) / (distribution.step or 1))
        inside = min(max(value, distribution.low), distribution.high)
        near = inside if index is None else distribution.at(min(max(index, 0), (distribution.size or 1) - 1))
        if _same(near, value):
            return int(near) if distribution.whole else float(near)
    else:
        for each in corners(distribution):
            if _same(each, value):
                return each
    allowed = distribution if isinstance(distribution, Fixed) else replace(distribution, default=None)
    raise ValueError(f"expected {allowed}, but got {value!r}")


def _same(one: Scalar, other: Any) -> bool:
    """Return whether two values are equal, numbers up to rounding; true is not 1 here."""
    if _is_finite(one) and _is_finite(other):
        return math.isclose(float(one), float(other), rel_tol=1e-9)
    return type(one) is type(other) and one == other


def _number(key: str, value: Any, whole: bool = False) -> float:
    if whole and (not isinstance(value, int) or isinstance(value, bool)):
        raise ValueError(f"{key} must be a whole number, but got {value!r}")
    if not _is_finite(value):
        raise ValueError(f"{key} must be a finite number, but got {value!r}")
    return int(value) if whole else float(value)


def _check_scalar(key: str, value: Any) -> None:
    if not isinstance(value, str | bool) and not _is_finite(value):
        raise ValueError(f"{key} must be text, true, false or a finite number, but got {value!r}")


def _is_finite(value: Any) -> bool:
    """Return whether the value is a number, not nan, and within the range of float."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= sys.float_info.max


def _exact(value: float) -> Fraction:
    """Return the decimal number as it was written: 0.3 - 0.1 is exactly two steps of 0.1."""
    return Fraction(str(value))


def _default(value: Scalar | None) -> str:
    return "" if value is None else f", default {value}"


def _without_none(data: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in data.items() if value is not None}
