"""What an analysis has computed so far, so that an interrupted one goes on, and the files of a whole one."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from recmodels.files import append_line, read_lines, replacing, write_whole
from tuning.records.environment import versions


@dataclass
class Results:
    """The parts that are done, as JSON lines in a file that is only appended to.

    A part is found again under its key, plain values that say all that it follows from.
    """

    path: Path
    _parts: dict[str, Any] = field(init=False)

    def __post_init__(self) -> None:
        self._parts = {_text(row["key"]): row["content"] for row in read_lines(self.path)}

    def find(self, key: Mapping[str, Any]) -> Any | None:
        """Return the content of a part; None if it is still to be computed."""
        return self._parts.get(_text(key))

    def keep(self, key: Mapping[str, Any], content: Any) -> Any:
        """Keep a part, on disk when this returns, and return its content."""
        append_line(self.path, {"key": key, "content": content}, sync=True)
        self._parts[_text(key)] = content
        return content


def _text(key: Mapping[str, Any]) -> str:
    return json.dumps(key, sort_keys=True)


def finite(value: float) -> float | None:
    """Return a number as JSON has it: None for what is not finite."""
    return value if math.isfinite(value) else None


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Write a whole analysis, with the versions of what computed it."""
    write_whole(path, json.dumps(content | {"versions": versions()}, indent=1, allow_nan=False))


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with the same columns, at least one; a missing value is an empty cell."""
    with replacing(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
