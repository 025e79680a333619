"""Cache arrays in files. A file that is missing, damaged or cannot be written is no error."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import platformdirs
from filelock import FileLock
from numpy.typing import NDArray

from recmodels.files import replacing

log = logging.getLogger("mirrortune.data")


def default_cache_dir() -> Path:
    """Return the user's cache folder: on Linux `$XDG_CACHE_HOME/mirrortune`, else `~/.cache/mirrortune`."""
    return platformdirs.user_cache_path("mirrortune")


Table = TypeVar("Table", bound=NDArray[np.integer])


def cached(path: Path, make: Callable[[], Table]) -> Table:
    """Return the array in the .npz at `path`; if it cannot be read, call `make` and store its result there.

    The name of `path` must follow from all that `make` depends on. Of several processes that want it at once one calls
    `make`, and the others wait for it. A folder that cannot be written costs a log line.
    """
    if (table := read_table(path)) is not None:
        return table
    with _alone(path):
        if (table := read_table(path, built_again=True)) is not None:  # by another process meanwhile
            return table
        table = make()
        try:
            with replacing(path) as temporary, temporary.open("wb") as target:
                np.savez(target, table=table)
        except OSError as error:
            log.warning("%s: not cached (%s)", path, error)
        return table


def read_table(path: Path, built_again: bool = False) -> Table | None:
    """Return the array in a file of `cached`; None if it cannot be read. `built_again`: say so of a damaged one."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
            table: Table = stored["table"]
            return table
    except FileNotFoundError:
        return None
    except Exception as error:  # damaged bytes make zipfile and numpy raise half a dozen kinds
        if built_again:
            log.warning("%s: unreadable cache file, built again (%s)", path, error)
        return None


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep other processes out of the block; without a lock where the folder or its file system allows none."""
    lock = FileLock(path.with_name(f".{path.name}.lock"))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except (OSError, NotImplementedError):
        yield
        return
    try:
        yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)  # who comes now finds the array and asks for no lock
        lock.release()
