"""Find a column of a table by its name. The part before a colon is enough: item_id for RecBole's `item_id:token`."""

from collections.abc import Collection, Sequence
from pathlib import Path

from recmodels.errors import UserError

USUAL = {  # kind of column -> its usual names
    "user": ("user_id", "userID", "userId", "user", "reviewerID", "customer_id", "User-ID", "u"),
    "item": ("item_id", "itemID", "itemId", "item", "asin", "parent_asin", "movieId", "product_id", "ISBN", "i"),
    "time": ("timestamp", "time", "unixReviewTime", "date", "datetime"),
    "rating": ("rating", "overall", "score", "stars", "Book-Rating"),
}


def resolve(path: Path, found: Sequence[str], name: str) -> str:
    """Return the column of this name, or of this name before a colon. Raises UserError, which lists the columns."""
    for column in found:
        if _is_called(column, name):
            return column
    raise UserError(f"{path}: no column {name!r}, found {_listed(found)}")


def choose(path: Path, found: Sequence[str], names: Sequence[str], kind: str, parameter: str | None) -> str:
    """Return the only column with one of `names`. Raises UserError if there is none or more than one.

    The message says that a column of this `kind`, such as "user", is missing, and that `parameter` can name it. Without
    a `parameter` the first of several `names` is taken.
    """
    known = [name for name in names if any(_is_called(column, name) for column in found)]
    if len(known) == 1 or (known and parameter is None):
        return resolve(path, found, known[0])
    which = f"{' and '.join(map(repr, known))} may be" if known else "no known name of"
    expected = f"`{parameter}` NAME" if parameter else f"one called {names[0]!r}"
    if not any(is_usual(column) for column in found) and any(any(map(str.isdigit, column)) for column in found):
        expected += ", or `header=False` if these are no names"
    raise UserError(f"{path}: {which} the {kind} column, expected {expected} (found {_listed(found)})")


def spare(found: Sequence[str], kind: str, used: Collection[str]) -> str | None:
    """Return the first column with a usual name of this kind that is not among the `used` ones, None without one."""
    free = [column for name in USUAL[kind] for column in found if _is_called(column, name) and column not in used]
    return free[0] if free else None


def is_usual(column: str) -> bool:
    """Return whether a column has a usual name of any kind."""
    return any(_is_called(column, name) for names in USUAL.values() for name in names)


def _is_called(column: str, name: str) -> bool:
    return name in (column, column.partition(":")[0])


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return f"{shown}, ... ({len(names)})" if len(names) > 20 else shown
