"""What workers make reaches the search's folder through one actor on the driver's machine: no other writes there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import ray
from filelock import FileLock, Timeout
from numpy.typing import NDArray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from recmodels.data.cache import cached, read_table
from recmodels.errors import UserError
from recmodels.files import append_line, replacing

Content = NDArray[np.uint8]
"""The bytes of a file, as an array: Ray hands arrays on without a copy."""
LOCAL = {"trial.json", ".lock"}
"""Files of a trial that its worker does not need."""


class Superseded(RuntimeError):
    """Tells a worker that its trial goes on elsewhere, as its node was taken for dead."""


class Keeper:
    """Reads and writes the files of trials for their workers, and keeps tables that are slow to derive from data.

    A trial goes by the path of its folder. Of several workers that held it the last one does: `holder` names it. A call
    returns when the files are on disk.
    """

    def __init__(self) -> None:
        self._locks: dict[str, FileLock] = {}
        self._holders: dict[str, str] = {}
        self._tables: dict[str, ray.ObjectRef] = {}

    def exists(self, path: str) -> bool:
        """Return whether the path exists where this actor runs."""
        return Path(path).exists()

    def hold(self, trial: str, holder: str) -> bool:
        """Give the trial to `holder`; False while a worker of a killed driver still has it."""
        if trial not in self._locks:
            lock = FileLock(Path(trial, ".lock"))
            try:
                lock.acquire(timeout=0)
            except Timeout:
                return False
            self._locks[trial] = lock
        self._holders[trial] = holder
        return True

    def release(self, trial: str, holder: str) -> None:
        """Give the trial back, if `holder` has it."""
        if self._holders.get(trial) == holder and trial in self._locks:
            self._locks.pop(trial).release()

    def files(self, trial: str, holder: str) -> dict[str, Content]:
        """Return file name -> content of what the trial has left so far. Raises Superseded."""
        self._check(trial, holder)
        files = (each for each in Path(trial).iterdir() if each.is_file() and each.name not in LOCAL)
        return {each.name: content_of(each) for each in files if not each.name.endswith(".tmp")}

    def write(self, trial: str, holder: str, files: Mapping[str, Content | None]) -> None:
        """Write files whole, in their order; None: remove it. Raises Superseded."""
        self._check(trial, holder)
        for name, content in files.items():
            path = Path(trial, name)
            if content is None:
                path.unlink(missing_ok=True)
                continue
            with replacing(path, sync=True) as temporary:
                content.tofile(temporary)

    def append(self, trial: str, holder: str, row: Mapping[str, Any]) -> None:
        """Append a row to the trial's epochs. Raises Superseded."""
        self._check(trial, holder)
        append_line(Path(trial, "epochs.jsonl"), row)

    def table(self, folder: str | None, name: str) -> list[ray.ObjectRef]:
        """Return a reference to a table of this or an earlier search in the driver's cache `folder`; [] for none."""
        if name not in self._tables and folder is not None:
            table = read_table(_table_file(folder, name))
            if table is not None:
                self._tables[name] = ray.put(table)
        return [self._tables[name]] if name in self._tables else []

    def keep_table(self, folder: str | None, name: str, table: NDArray[np.integer]) -> None:
        """Keep a table that a worker has made, also in the driver's cache `folder` if there is one."""
        if name not in self._tables:
            self._tables[name] = ray.put(table)
            if folder is not None:
                cached(_table_file(folder, name), lambda: table)

    def _check(self, trial: str, holder: str) -> None:
        """Raise Superseded unless the holder has the trial; after a restart of this actor the first one has it."""
        if trial not in self._holders:
            self.hold(trial, holder)
        if self._holders.get(trial) != holder:
            raise Superseded(f"{trial}: another worker goes on with it")


def content_of(path: Path) -> Content:
    """Return the content of a file."""
    return np.fromfile(path, dtype=np.uint8)


def _table_file(folder: str, name: str) -> Path:
    return Path(folder, f"{name}.npz")


_started: list[Any] = []


def keeper(folder: Path) -> Any:
    """Return the handle of the driver's Keeper, which starts with the first search that wants it.

    UserError if the node that the driver is attached to does not see the search's folder.
    """
    if not _started:
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        actor = ray.remote(Keeper).options(num_cpus=0, scheduling_strategy=here, max_restarts=-1, max_task_retries=-1)
        _started.append(actor.remote())
    if not ray.get(_started[0].exists.remote(str(folder))):
        raise UserError(f"{folder}: the Ray node of this machine does not see it, expected a folder that it can write")
    return _started[0]


def forget_keeper() -> None:
    """Forget the Keeper, as its Ray ends."""
    _started.clear()
