"""Which column of a table is meant. RecBole's `item_id:token` may be called item_id."""

from collections.abc import Sequence
from pathlib import Path

from recmodels.errors import UserError

USER_COLUMNS = ("user_id", "userID", "userId", "user", "reviewerID", "customer_id", "u")
ITEM_COLUMNS = ("item_id", "itemID", "itemId", "item", "asin", "parent_asin", "movieId", "product_id", "i")
TIME_COLUMNS = ("timestamp", "time", "unixReviewTime", "date", "datetime")
RATING_COLUMNS = ("rating", "overall", "score", "stars")


def resolve(path: Path, found: Sequence[str], name: str) -> str:
    """The column of that name, or of that name before a colon. UserError, which lists the columns."""
    for column in found:
        if _is_called(column, name):
            return column
    raise UserError(f"{path}: no column {name!r}, found {_listed(found)}")


def choose(path: Path, found: Sequence[str], names: Sequence[str], what: str, option: str | None) -> str:
    """The only column with one of `names`. UserError, which says `option`, if there is none or more than one.

    Without `option` the first of `names` that is there.
    """
    known = [name for name in names if any(_is_called(column, name) for column in found)]
    if len(known) == 1 or (known and option is None):
        return resolve(path, found, known[0])
    which = f"{' and '.join(map(repr, known))} may be" if known else "no known name of"
    expected = f"{option} NAME" if option else f"one called {names[0]!r}"
    raise UserError(f"{path}: {which} the {what} column, expected {expected} (found {_listed(found)})")


def _is_called(column: str, name: str) -> bool:
    return name in (column, column.partition(":")[0])


def _listed(names: Sequence[str]) -> str:
    shown = ", ".join(map(repr, names[:20]))
    return f"{shown}, ... ({len(names)})" if len(names) > 20 else shown
