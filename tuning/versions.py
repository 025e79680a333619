"""The format version of the files of a search. A file of another version is refused with one line."""

from collections.abc import Mapping
from typing import Any, Final

from recmodels.errors import UserError

FORMAT: Final = 1
"""The version that is written, as the key `format`, and read. Files without the key are older and of the same form."""


def check_format(content: Mapping[str, Any], source: object) -> None:
    """Raise UserError if a file was written in another version than FORMAT. `source`: its name, for the message."""
    found = content.get("format", FORMAT)
    if type(found) is not int or found != FORMAT:
        raise UserError(
            f"{source}: written by another version of MirrorTune (format {found!r}, this one reads {FORMAT}): "
            "use that version, or start a new search"
        )
