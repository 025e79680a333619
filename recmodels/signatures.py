"""Hyper-parameters as a class's keyword-only arguments: the signature is the schema."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Literal, get_args, get_origin


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


def check_choices(made_by: Callable[..., Any], values: Mapping[str, Any]) -> None:
    """ValueError unless each of the `values` that `made_by` restricts to a Literal is one of its choices."""
    for name, hint in keywords(made_by).items():
        if name in values and choices(hint):
            check_choice(name, values[name], choices(hint))
