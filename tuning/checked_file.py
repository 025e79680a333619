"""Checked values, also those that are kept in a YAML file; their faults in one line."""

import re
from pathlib import Path
from typing import Any, ClassVar, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic_core import ErrorDetails

from recmodels.errors import UserError, nearest
from tuning.yaml_document import Document, read_yaml, to_yaml

FORMAT: Final = 1
"""Version of a search's files, their key `format`. It rises when an older program would misread a file."""


class Part(BaseModel):
    """A frozen value that refuses unknown keys, NaN and infinity. Docstrings of its fields are their descriptions."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False, use_attribute_docstrings=True)


class File(Part):
    """A value that is kept in a YAML file."""

    what: ClassVar[str]
    """The file's content, for messages: `the spec of a search`."""
    unversioned: ClassVar[int] = 0
    """Version of a file that names none, as it is older than versions."""
    format: Literal[1] = FORMAT
    """Version of the file's form."""

    def to_yaml(self) -> str:
        """Return the file's text, from which `read` makes an equal value."""
        return to_yaml(self.model_dump(mode="json"))

    @classmethod
    def read(cls, path: Path) -> Self:
        """Return the value in a file. UserError, one line, if it is missing, damaged, or of another version."""
        return cls.of(read_yaml(path, expected=cls.what))

    @classmethod
    def of(cls, document: Document) -> Self:
        """Return the value in a document. UserError, one line with file and line, if it is not one."""
        if isinstance(document.data, dict):
            check_format(document.data.get("format", cls.unversioned), document.name)
        try:
            return cls.model_validate(document.data)
        except ValidationError as error:
            place = document.where(*map(str, _worst(error)["loc"]))
            raise UserError(f"{place}: {first_fault(error)}") from None


def check_format(found: Any, source: object) -> None:
    """Raise UserError unless the version of a file is FORMAT. `source`: its name, for the message."""
    if type(found) is not int or found != FORMAT:
        fault = f"written by another version of MirrorTune (format {found!r}, this one reads {FORMAT})"
        raise UserError(f"{source}: {fault}: use that version, or start a new search")


def first_fault(error: ValidationError) -> str:
    """Return the first fault of a validation as one line: `budget.trials: Input should be ..., but got 0`."""
    fault = _worst(error)
    cause = fault.get("ctx", {}).get("error")
    if isinstance(cause, UserError):  # a space's fault says itself where it is
        return str(cause)
    where = ".".join(str(part) for part in fault["loc"]) or "spec"
    got = "" if fault["type"] == "missing" or "but got" in fault["msg"] else f", but got {fault['input']!r}"
    message = fault["msg"].removeprefix("Value error, ")  # pydantic's own words
    return f"{where}: {message}{got}{_hint(fault)}"


def _hint(fault: ErrorDetails) -> str:
    """Return the nearest right value as the end of a message, for a field that takes one of some texts."""
    if fault["type"] != "literal_error" or not isinstance(fault["input"], str):
        return ""
    near = nearest(fault["input"], re.findall("'([^']*)'", fault["ctx"]["expected"]))
    return f"; did you mean {near!r}?" if near else ""


def _worst(error: ValidationError) -> ErrorDetails:
    """Return the fault to show. A misspelt key causes two, an unknown and a missing key: the unknown one says more."""
    return min(error.errors(), key=lambda fault: fault["type"] != "extra_forbidden")
