"""Cache arrays in files. A file that is missing, damaged or cannot be written is no error."""

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import platformdirs
from numpy.typing import NDArray

from recmodels.files import replacing

log = logging.getLogger("mirrortune.data")


def default_cache_dir() -> Path:
    """Return the user's cache folder: on Linux `$XDG_CACHE_HOME/mirrortune`, else `~/.cache/mirrortune`."""
    return platformdirs.user_cache_path("mirrortune")


Table = TypeVar("Table", bound=NDArray[np.integer])


def cached(path: Path, make: Callable[[], Table]) -> Table:
    """Return the array in the .npz at `path`; if it cannot be read, call `make` and store its result there.

    The name of `path` must follow from all that `make` depends on. A folder that cannot be written costs a log line.
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
        with replacing(path) as temporary, temporary.open("wb") as target:
            np.savez(target, table=table)
    except OSError as error:
        log.warning("%s: not cached (%s)", path, error)
    return table
