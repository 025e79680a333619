"""A trial's files on a worker of a cluster: they are made in a folder of its node, and kept on the driver's machine."""

import json
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import ray
from numpy.typing import NDArray
from ray.exceptions import RayTaskError

from tuning.execution.place_fault import PlaceFault
from tuning.execution.ray_tune.keeper import Superseded, content_of
from tuning.execution.ray_tune.nodes import Versions
from tuning.execution.storage import STORED, Storage, fetch, remove
from tuning.records import EpochRow, SearchFolder, TrialFolder

LAST = "last.pt"


@dataclass(frozen=True)
class Home:
    """How a worker reaches the driver's machine. `keeper`: the actor there. `storage`: of checkpoints; None: there.
    `versions`: those that the worker's must be."""

    keeper: Any
    storage: Storage | None
    versions: Versions


@dataclass(frozen=True)
class KeptTrial(TrialFolder):
    """The folder of a trial that is kept elsewhere: what is told to be whole is there when the call returns.

    `kept`: its folder on the driver's machine. `holder`: this worker's name for the Keeper. `places`: the checkpoint's
    files that are kept by now, name -> where the storage has it, or "" for the driver's machine.
    """

    kept: str
    home: Home
    holder: str
    places: dict[str, str] = field(default_factory=dict)

    @contextmanager
    def held(self) -> Iterator[None]:
        """Fetch what the trial has left so far, and keep other workers from it."""
        while not self._ask("hold"):
            time.sleep(0.5)
        try:
            for name, content in self._ask("files").items():
                content.tofile(self.path / name)
            self.places.update(stored_places(self))
            for name, place in self.places.items():
                fetch(place, self.path / name)
            yield
        finally:
            self._ask("release")

    def append_epoch(self, row: EpochRow) -> None:
        super().append_epoch(row)
        self._ask("append", row.to_json())

    def written(self, *names: str) -> None:
        for name in names:
            if not (self.path / name).exists() and (place := self.places.pop(name, "")):
                remove(place)
        if names:
            self._send(*names)

    def checkpointed(self, weights: Path | None, *, ends: bool) -> None:
        """Keep the checkpoint; weights once per improvement. With a storage the driver's machine gets the last ones."""
        best = [weights.name] if weights else []
        new = [*(name for name in best if name not in self.places), LAST]
        storage = self.home.storage
        if storage is None:
            self._send(*new)
            self.places.update(dict.fromkeys(best, ""))
            return
        old = dict(self.places)
        self.places.clear()
        self.places.update({name: old[name] for name in best if name not in new})
        below = f"{Path(self.kept).parents[1].name}/{self.name}"  # the search's name, the trial's
        self.places.update({name: storage.put(self.path / name, below) for name in new})
        (self.path / STORED).write_text(json.dumps(self.places))
        self._send(*(best if ends else ()), STORED)
        for place in set(old.values()) - set(self.places.values()):
            remove(place)

    def _send(self, *names: str) -> None:
        paths = {name: self.path / name for name in names}
        self._ask("write", {name: content_of(path) if path.exists() else None for name, path in paths.items()})

    def _ask(self, method: str, *arguments: Any) -> Any:
        try:
            return ray.get(getattr(self.home.keeper, method).remote(self.kept, self.holder, *arguments))
        except RayTaskError as error:
            if isinstance(error.cause, Superseded):
                raise
            reason = str(error).strip().splitlines()[-1]
            raise PlaceFault(f"{self.kept}: cannot be kept on the driver's machine ({reason})") from None


@contextmanager
def trial_folder(folder: SearchFolder, name: str, home: Home | None, holder: str) -> Iterator[TrialFolder]:
    """Yield the trial's folder; with a `home`, one of this machine that is removed afterwards."""
    if home is None:
        yield folder.trial(name)
        return
    with tempfile.TemporaryDirectory(prefix="trial-") as scratch:
        path = Path(scratch, name)
        path.mkdir()
        yield KeptTrial(path, str(folder.trial(name).path), home, holder)


def bring_home(trial: TrialFolder) -> None:
    """Move the trial's checkpoint from the storage of an earlier start, if there was one, into its folder.

    PlaceFault if the storage cannot be reached.
    """
    places = stored_places(trial)
    for name, place in places.items():
        fetch(place, trial.path / name)
    (trial.path / STORED).unlink(missing_ok=True)
    for place in places.values():
        remove(place)


def bring_weights_home(folder: SearchFolder, say: Callable[[str], None]) -> None:
    """Copy the weights of trials that did not come to their end from the storage, if they are there alone: the best of
    them may be the best of all. A storage that cannot be reached is said."""
    try:
        for trial in (folder.trial(plan.trial) for plan in folder.unfinished()):
            for name, place in stored_places(trial).items():
                if name != LAST and not (trial.path / name).exists():
                    fetch(place, trial.path / name)
    except PlaceFault as fault:
        say(f"weights of trials that have not ended stay where they are: {fault}")


def stored_places(trial: TrialFolder) -> dict[str, str]:
    """Return file name -> where a storage has it, of the trial's checkpoint; {} if it is in the folder."""
    path = trial.path / STORED
    return json.loads(path.read_text()) if path.exists() else {}


@dataclass(frozen=True)
class KeptTables:
    """The shelf of a data set in workers: tables come from the driver's machine, once to a node, or go there.

    `folder`: the data set's cache folder on the driver's machine.
    """

    keeper: Any
    folder: str | None

    def __call__(self, name: str, make: Callable[[], NDArray[np.integer]]) -> NDArray[np.integer]:
        found = ray.get(self.keeper.table.remote(self.folder, name))
        if found:
            kept: NDArray[np.integer] = ray.get(found[0])
            return kept
        table = make()
        ray.get(self.keeper.keep_table.remote(self.folder, name, table))
        return table
