"""The errors a user can cause; each message is one line that says where, what was found, what was expected."""

LONGEST = 1_000


class UserError(ValueError):
    """Bad input: a door prints it as one line and exits with code 2.

    The message may quote what was found, whatever that is: other than printable characters are escaped, and the middle
    of more than LONGEST characters is left out.
    """

    def __init__(self, message: object):
        text = "".join(each if each.isprintable() else _escaped(each) for each in str(message))
        super().__init__(text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} ... {text[-LONGEST // 3 :]}")


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode()


class DataError(UserError):
    """A data set is not in the benchmark's format; the message names the file and the first offending row."""


class TrainingDiverged(RuntimeError):
    """The loss became NaN or infinite; the message names the epoch, the batch and the value."""
