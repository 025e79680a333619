"""Hyper-parameters as a class's keyword-only arguments: the signature is the schema."""

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from types import UnionType
from typing import Annotated, Any, Literal, NamedTuple, Union, get_args, get_origin


class Range(NamedTuple):
    """Allowed numbers: a rule such as "{} >= 0", and the same as a function."""

    rule: str
    holds: Callable[[Any], bool]


Positive = Annotated[float, Range("{} > 0", lambda value: value > 0)]
NotNegative = Annotated[float, Range("{} >= 0", lambda value: value >= 0)]
Share = Annotated[float, Range("0 <= {} <= 1", lambda value: 0 <= value <= 1)]
PositiveShare = Annotated[float, Range("0 < {} <= 1", lambda value: 0 < value <= 1)]
ShareBelowOne = Annotated[float, Range("0 <= {} < 1", lambda value: 0 <= value < 1)]
Count = Annotated[int, Range("{} >= 0", lambda value: value >= 0)]
CountFromOne = Annotated[int, Range("{} >= 1", lambda value: value >= 1)]

KINDS: dict[Any, tuple[Any, str]] = {
    float: ((int, float), "a finite number"),
    int: (int, "a whole number"),
    bool: (bool, "true or false"),
    str: (str, "a text"),
}
"""Type hint -> the types that its values may have, and how a message calls them."""


def keywords(made_by: Callable[..., Any]) -> dict[str, Any]:
    """Return the keyword-only arguments of a class or function in order: name -> type hint without its range."""
    return {name: _hint_and_ranges(annotation)[0] for name, annotation in _annotations(made_by).items()}


def choices(hint: Any) -> tuple[Any, ...]:
    """Return the values that a Literal type hint allows; () for any other hint."""
    return get_args(hint) if get_origin(hint) is Literal else ()


def check_choice(name: str, value: Any, allowed: Iterable[Any]) -> None:
    """Raise ValueError unless `value` is one of the `allowed` ones."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, but got {value!r}")


def check_value(name: str, value: Any, annotation: Any) -> None:
    """Raise ValueError unless the value fits the annotation: one of a Literal's choices; or a finite number, a whole
    number, true or false, a text, each in its Range if there is one; or the first or the second of a number and a
    Literal, as in `Count | Literal["never"]`. Any other annotation allows everything."""
    if get_origin(annotation) in (Union, UnionType):
        _check_number_or_word(name, value, *get_args(annotation))
        return
    hint, *ranges = _hint_and_ranges(annotation)
    if choices(hint):
        check_choice(name, value, choices(hint))
    if hint in KINDS:
        types, kind = KINDS[hint]
        is_bool = isinstance(value, bool)  # Python counts True as an int
        wrong = not isinstance(value, types) or is_bool != (hint is bool)
        # Not math.isfinite: it raises OverflowError for an int beyond every float; NaN fails the comparison too.
        if wrong or (hint is float and not abs(value) <= sys.float_info.max):
            raise ValueError(f"{name} must be {kind}, but got {value!r}")
    for each in ranges:
        if not each.holds(value):
            raise ValueError(f"{each.rule.format(name)} must hold, but got {name}={value}")


def check_values(made_by: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """Raise ValueError unless each of the `values` fits the annotation of its keyword, see `check_value`."""
    for name, annotation in _annotations(made_by).items():
        if name in values:
            check_value(name, values[name], annotation)


def _check_number_or_word(name: str, value: Any, number: Any, words: Any) -> None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        check_value(name, value, number)
    elif value not in choices(words):
        kind = KINDS[_hint_and_ranges(number)[0]][1]
        raise ValueError(f"{name} must be {kind} or {' or '.join(choices(words))}, but got {value!r}")


def _annotations(made_by: Callable[..., Any]) -> dict[str, Any]:
    parameters = inspect.signature(made_by, eval_str=True).parameters.values()
    return {each.name: each.annotation for each in parameters if each.kind is each.KEYWORD_ONLY}


def _hint_and_ranges(annotation: Any) -> tuple[Any, ...]:
    return get_args(annotation) if get_origin(annotation) is Annotated else (annotation,)
