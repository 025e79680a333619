"""Hyper-parameters as a class's keyword-only arguments: the signature is the schema."""

import inspect
import math
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args, get_origin

KINDS: dict[type, tuple[Any, str]] = {
    float: ((int, float), "a finite number"),
    int: ((int,), "a whole number"),
    bool: ((bool,), "true or false"),
    str: ((str,), "a text"),
}
"""Type hint -> the types that its values may have, and how a message calls them."""


def keywords(made_by: Callable[..., Any]) -> dict[str, Any]:
    """Keyword-only argument of a class or function -> its type hint, in the order of the signature."""
    parameters = inspect.signature(made_by, eval_str=True).parameters.values()
    return {each.name: each.annotation for each in parameters if each.kind is each.KEYWORD_ONLY}


def choices(hint: Any) -> tuple[Any, ...]:
    """The values that a Literal type hint allows; () for any other hint."""
    return get_args(hint) if get_origin(hint) is Literal else ()


def check_choice(name: str, value: Any, allowed: Iterable[Any]) -> None:
    """ValueError unless `value` is one of the `allowed` ones."""
    allowed = tuple(allowed)
    if value not in allowed:
        raise ValueError(f"{name} must be one of {', '.join(map(str, allowed))}, but got {value!r}")


def check_values(made_by: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """ValueError unless each of the `values` fits the type hint of its keyword: a choice of its Literal, or a finite
    number, a whole number, true or false, a text. Other hints allow everything."""
    for name, hint in keywords(made_by).items():
        if name not in values:
            continue
        value = values[name]
        if choices(hint):
            check_choice(name, value, choices(hint))
        elif hint in KINDS:
            types, kind = KINDS[hint]
            is_other_kind = isinstance(value, bool) and bool not in types  # Python counts True as an int
            if is_other_kind or not isinstance(value, types) or (hint is float and not math.isfinite(value)):
                raise ValueError(f"{name} must be {kind}, but got {value!r}")


def require(holds: bool, rule: str, **values: Any) -> None:
    """ValueError unless the `rule`, a text such as "0 <= c <= 1", `holds` for the named values."""
    if not holds:
        found = ", ".join(f"{name}={value}" for name, value in values.items())
        raise ValueError(f"{rule} must hold, but got {found}")
