"""The contract of a tracking store, such as MLflow."""

from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Literal, NamedTuple, Protocol

from tuning.records.environment import DataFacts
from tuning.tracking.points import Point

SEARCH = "search"
"""The name of the search's own run; the others have their trial's name."""

RunState = Literal["RUNNING", "FINISHED", "FAILED", "KILLED"]


class StoredRun(NamedTuple):
    """A run as the store has it. `state`: a RunState."""

    id: str
    state: str
    tags: Mapping[str, str]
    params: Mapping[str, str]


class Store(Protocol):
    """One experiment of a tracking store; connects when made.

    Every method may raise anything: the delivery is then tried again later. All but `create` may be repeated.
    """

    title: ClassVar[str]
    """Name of the store in messages."""
    experiment: str
    """The store's id of the experiment."""

    keeps_models: ClassVar[bool] = False
    """Whether `register` does something."""

    def __init__(self, uri: str, experiment: str, experiment_id: str | None = None) -> None:
        """Connect. `experiment`: its name. `experiment_id`: the store's id of it, if that was given instead."""

    @staticmethod
    def resolve(uri: str) -> str:
        """Return the URI in a form that means the same in every working directory. UserError if it is no store's."""

    def find(self, search_id: str, known: Mapping[str, str]) -> dict[str, StoredRun]:
        """Return the runs of a search by trial. `known`: trial -> run id, of the trials whose run is known."""

    def create(self, title: str, start: float, tags: Mapping[str, str], parent: str | None) -> StoredRun:
        """Make a run below `parent` that started at `start` (unix s)."""

    def uses(self, run_id: str, data: DataFacts, place: str) -> None:
        """Say which data a run uses, found at `place`. Does nothing in a store that keeps no such record."""
        return None

    def reopen(self, run_id: str) -> None:
        """Let an ended run go on."""

    def epochs(self, run_id: str) -> set[int]:
        """Return the epochs that have arrived whole, counted from 1."""

    def log(self, run_id: str, points: list[Point], tags: Mapping[str, str], params: Mapping[str, str]) -> None:
        """Add any number of points, tags and parameters to a run, which may have ended."""

    def describe(self, run_id: str, markdown: str) -> None:
        """Set the page that people see of a run."""

    def end(self, run_id: str, state: RunState, seconds: float) -> None:
        """End a run at `seconds` (unix s)."""

    def upload(self, run_id: str, path: Path) -> None:
        """Keep a file with a run."""

    def register(self, run_id: str, name: str, files: Path, digest: str) -> str:
        """Keep the winner of a search as a model called `name`, with the search's run; return how it is called there.

        `files`: the folder that `write_winner` wrote. `digest`: of what makes the winner; a model of this name that
        has it is kept as it is. Only called if the store `keeps_models`.
        """
        raise TypeError(f"{self.title} keeps no models")

    def refused(self, error: Exception) -> bool:
        """Return True if the store answered with `error` and will again, False if it could not be reached."""
