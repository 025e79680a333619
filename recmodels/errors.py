"""Errors that a user can cause; each message is one line that says where, what was found, what was expected."""

import difflib
from collections.abc import Iterable, Mapping

LONGEST = 1_000


class UserError(ValueError):
    """Bad input: the command line prints it as one line and exits with code 2.

    The message may quote anything that was found: unprintable characters are escaped, and if it is longer than LONGEST
    its middle is left out. A parameter is named in backquotes, `data_dir`: a command line may show the option that sets
    it instead.
    """

    def __init__(self, message: object):
        text = "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in str(message))
        super().__init__(text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 3 :]}")


class DataError(UserError):
    """Tells that a data set cannot be read; the message names the file and the first faulty row."""


class TrainingDiverged(RuntimeError):
    """Tells that the loss became NaN or infinite; the message names the epoch, the batch and the value."""


def nearest(name: str, names: Iterable[str]) -> str | None:
    """Return the one of `names` that is most like `name`, whatever the case; None if none of them is like it."""
    known = {each.lower(): each for each in sorted(names)}
    near = difflib.get_close_matches(name.lower(), known, n=1)
    return known[near[0]] if near else None


def did_you_mean(name: str, names: Iterable[str], instead: Mapping[str, str] | None = None) -> str:
    """Return the end of a message about an unknown name: the nearest of the known `names`, else all of them.

    `instead`: what to write for those of the names that are known but do not work as they are.
    """
    write = {each: each for each in names} | dict(instead or {})
    if near := nearest(name, write):
        return f"; did you mean {write[near]!r}?"
    return f"; known: {', '.join(sorted(set(write.values())))}" if write else "; it has none"
