"""A file is parsed once: a cache of arrays that may vanish, be damaged or be unwritable at any time."""

import logging
import os
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

log = logging.getLogger("mirrortune.data")


def default_cache_dir() -> Path:
    """`$XDG_CACHE_HOME/mirrortune`, else `~/.cache/mirrortune`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")) / "mirrortune"


Table = TypeVar("Table", bound=NDArray[np.integer])


def cached(path: Path, make: Callable[[], Table]) -> Table:
    """The array in the .npz at `path`; where there is none that can be read, `make()`, which is stored there.

    The name `path` must follow from all that `make` depends on. A folder that cannot be written costs a log line.
    """
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            table: Table = stored["table"]
            return table
    except FileNotFoundError:
        pass
    except Exception as error:  # damaged bytes make zipfile and numpy raise half a dozen kinds
        log.warning("%s: unreadable cache file, built again (%s)", path, error)
    table = make()
    try:
        _store(path, table)
    except OSError as error:
        log.warning("%s: not cached (%s)", path, error)
    return table


def _store(path: Path, table: NDArray[np.integer]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{uuid.uuid4().hex}.tmp")
    try:
        with temporary.open("wb") as file:
            np.savez(file, table=table)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
