"""One parameter of a search space, and how to read it from the plain data of a space file."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from recmodels.errors import UserError, did_you_mean
from tuning.space.distributions import Choice, Distribution, Fixed, Range, bounds
from tuning.yaml_document import Document

SECTIONS = ("strategy", "train", "model")


class SpaceError(UserError):
    """A search space is wrong; the message names file and line, or option, and the parameter."""


@dataclass(frozen=True)
class Parameter:
    """One parameter of a trial.

    `distribution`: of its value, or, with `of`, of the share of the value of the parameter called `of`.
    `source`: file and line, or option, for messages.
    """

    section: str
    name: str
    distribution: Distribution
    of: str | None = None
    source: str = field(default="space", compare=False)

    @property
    def coordinate(self) -> str:
        """The name under which a sampler draws it: `alpha`, or `beta/alpha` for a share."""
        return f"{self.name}/{self.of}" if self.of else self.name

    @property
    def coordinates(self) -> tuple[str, ...]:
        """The names of all coordinates that determine the value."""
        return (self.coordinate, self.of) if self.of else (self.name,)

    def value(self, at: Mapping[str, Any]) -> Any:
        """Return the value of the parameter at the given values of the coordinates."""
        return at[self.coordinate] * at[self.of] if self.of else at[self.name]

    def to_data(self) -> Any:
        """Return the parameter's value in the form of a space file."""
        if isinstance(self.distribution, Fixed):
            value = self.distribution.value
            return {"type": "fixed", "value": value, "of": self.of} if self.of else value
        return self.distribution.to_data() | ({"type": "fraction", "of": self.of} if self.of else {})


TYPES: dict[str, tuple[Callable[..., Distribution], str, str]] = {
    "uniform": (Range, "low high", "step default"),
    "loguniform": (partial(Range, log=True), "low high", "default"),
    "int": (partial(Range, whole=True), "low high", "step log default"),
    "categorical": (Choice, "values", "default"),
    "fixed": (Fixed, "value", "of"),
    "fraction": (Range, "of low high", "step default"),
}
"""Type in a space file -> its distribution, its required keys and its optional keys."""


def parse_distribution(raw: Any) -> tuple[Distribution, str | None]:
    """Return the distribution that a value of a space file describes, and the name in its `of`, if any.

    A scalar is a fixed value; a mapping has a `type` and that type's keys. `fraction`, or `fixed` with an `of`, is a
    share, within [0, 1), of the parameter with that name; a fixed one may be 1, which ties the two. ValueError for
    anything else.
    """
    if not isinstance(raw, dict):
        return Fixed(raw), None
    keys = dict(raw)
    kind, of = keys.pop("type", None), raw.get("of")
    _check_keys(kind, keys)
    if not isinstance(of, str | None):
        raise ValueError(f"of must be the name of a parameter, but got {of!r}")
    keys.pop("of", None)
    distribution = TYPES[kind][0](**keys)
    if of is not None:
        least, most = bounds(distribution)
        if not 0 <= least <= most < 1 and distribution != Fixed(1):
            raise ValueError(f"a fraction must stay in 0 <= fraction < 1, but got {distribution}")
    return distribution, of


def _check_keys(kind: Any, keys: Mapping[str, Any]) -> None:
    """Raise ValueError unless `kind` is a type and `keys` has all required and no unknown keys of it."""
    if not isinstance(kind, str):
        raise ValueError(f"a mapping needs a type, one of {', '.join(TYPES)}")
    if kind not in TYPES:
        raise ValueError(f"unknown type {kind!r}{did_you_mean(kind, TYPES)}")
    required, optional = (text.split() for text in TYPES[kind][1:])
    for key, value in keys.items():
        if key not in required + optional:
            raise ValueError(f"{kind} has no key {key!r}{did_you_mean(key, required + optional)}")
        if value is None:
            raise ValueError(f"{key} has no value")
    if missing := set(required) - keys.keys():
        raise ValueError(f"{kind} needs {', '.join(sorted(missing))}")


def read_parameters(
    document: Document, sections: tuple[str, ...] = SECTIONS, *, others: tuple[str, ...] = ()
) -> list[Parameter]:
    """Return the parameters of a document, a mapping of some of these sections to mappings of name to value.

    `others`: keys of the document that hold no parameters and are passed over. SpaceError for anything else.
    """
    parameters = []
    for section, values in _mapping(document.data, document.name).items():
        if section in others:
            continue
        if section not in sections:
            hint = did_you_mean(str(section), (*sections, *others))
            raise SpaceError(f"{document.where(section)}: unknown section {section!r}{hint}")
        for name, raw in _mapping(values, f"{document.where(section)}: {section}").items():
            parameters.append(read_parameter(section, name, raw, document.where(section, name)))
    return parameters


def read_parameter(section: str, name: str, raw: Any, source: str) -> Parameter:
    """Return the parameter that a value of a space file describes. SpaceError that begins with `source` for a fault."""
    try:
        return Parameter(section, name, *parse_distribution(raw), source=source)
    except ValueError as error:
        raise SpaceError(f"{source}: {name}: {error}") from None


def _mapping(data: Any, where: str) -> dict[Any, Any]:
    if data is not None and not isinstance(data, dict):
        raise SpaceError(f"{where}: expected a mapping of names to values, but got {data!r}")
    return data or {}
