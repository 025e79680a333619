"""Measured points of a robustness analysis, each in a file of its own: what is there is not measured again."""

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np

from recmodels.analysis.robustness import Edited, Group, Point
from recmodels.files import replacing

VERSION = 1
"""Of the files and of the numbers in them; another one is measured again."""


@dataclass(frozen=True)
class PointStore:
    """Files of points in a folder, named by the digest of everything that a point follows from."""

    folder: Path

    def point(self, key: Mapping[str, Any], make: Callable[[], Point]) -> Point:
        """Return the point of a key, which names everything that it follows from; measured, and kept, if it is new.

        A point that was just measured is read from its file too, so that a resumed analysis has the same digits.
        """
        path = self.folder / f"{_digest(key)}.npz"
        if (found := _read(path)) is not None:
            return found
        _write(path, make())
        made = _read(path)
        assert made is not None  # just written
        return made


def _digest(key: Mapping[str, Any]) -> str:
    text = json.dumps({"version": VERSION, **key}, sort_keys=True, allow_nan=False)
    return hashlib.sha256(text.encode()).hexdigest()[:20]


def _write(path: Path, point: Point) -> None:
    record = asdict(point)
    users = record.pop("users")
    path.parent.mkdir(parents=True, exist_ok=True)
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, users=users, record=np.array(json.dumps(record)))


def _read(path: Path) -> Point | None:
    """Return the point in a file; None if there is none, or what is there was damaged: it is only kept to save time."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            record, users = json.loads(str(arrays["record"])), arrays["users"]
        edited = record["edited"]
        if edited is not None:
            groups = {name: Group(**edited[name]) for name in ("touched", "others")}
            record["edited"] = Edited(**{**edited, **groups})
        record |= {name: tuple(record[name]) for name in ("metrics", "altered")}
        return Point(**record, users=users)
    except (OSError, EOFError, KeyError, TypeError, ValueError, BadZipFile):
        return None
