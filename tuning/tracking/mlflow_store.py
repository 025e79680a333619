"""MLflow as a tracking store; the only file that imports mlflow, when a store is made."""

import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from tuning.tracking.points import LAST_POINT_OF_EPOCH, Point, cut, milliseconds
from tuning.tracking.store import SEARCH, RunState, Store, StoredRun

if TYPE_CHECKING:
    from mlflow.entities import Run

NOTE_LIMIT = 8000  # characters of a tag, MLflow 3.17
SETTINGS = {
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "10",
    # A request that MLflow repeats by itself can create a run twice; a delivery looks before it repeats one.
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "0",
    "MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true",
    "MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR": "false",
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_LOGGING_LEVEL": "CRITICAL",
}
"""Environment variables of MLflow that are set where the user has not."""


class MlflowStore(Store):
    """One experiment of an MLflow store. Raises what MLflow raises."""

    title = "MLflow"

    @staticmethod
    def resolve(uri: str) -> str:
        """A relative SQLite file belongs to the directory in which the search was started."""
        database = _sqlite_file(uri)
        return f"sqlite:///{database.resolve()}" if database else uri

    def __init__(self, uri: str, experiment: str) -> None:
        for name, value in SETTINGS.items():
            os.environ.setdefault(name, value)
        from mlflow import MlflowClient  # 1.4 s, and it reads the settings

        logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])
        database = _sqlite_file(uri)
        with _held(database):
            if database and not database.exists():
                _create_tables(database)
            self._client = MlflowClient(uri)
            self.experiment = self._experiment_id(experiment, database)

    def _experiment_id(self, name: str, database: Path | None) -> str:
        if found := self._client.get_experiment_by_name(name):
            return found.experiment_id
        # MLflow would put the artifacts into the current directory; a server knows where it wants them.
        return self._client.create_experiment(name, _artifacts(database) if database else None)

    def find(self, search_id: str, known: Mapping[str, str]) -> dict[str, StoredRun]:
        """A search's runs by trial. Where a lost reply led to two, the known or else the older one stays."""
        runs = self._all_runs(f"tags.`mirrortune.search_id` = '{search_id}'")
        found: dict[str, StoredRun] = {}
        for run in runs:
            name = run.tags.get("mirrortune.trial", SEARCH)
            if name not in found or run.id == known.get(name):
                found[name] = run
        for run in runs:
            if run not in found.values():
                self._client.delete_run(run.id)
        return found

    def _all_runs(self, condition: str) -> list[StoredRun]:
        runs: list[StoredRun] = []
        token = None
        while True:
            page = self._client.search_runs(
                [self.experiment], condition, order_by=["attributes.start_time ASC"], page_token=token
            )
            runs += map(_stored, page)
            token = page.token
            if not token:
                return runs

    def create(self, title: str, start: float, tags: Mapping[str, str], parent: str | None) -> StoredRun:
        own = _own_tags(tags) | ({"mlflow.parentRunId": parent} if parent else {})
        return _stored(
            self._client.create_run(self.experiment, start_time=milliseconds(start), tags=own, run_name=title)
        )

    def reopen(self, run_id: str) -> None:
        self._client.update_run(run_id, status="RUNNING")

    def epochs(self, run_id: str) -> set[int]:
        """The epochs that have arrived whole."""
        return {metric.step for metric in self._client.get_metric_history(run_id, LAST_POINT_OF_EPOCH)}

    def log(self, run_id: str, points: list[Point], tags: Mapping[str, str], params: Mapping[str, str]) -> None:
        """Any number of them: MLflow's client cuts what exceeds 1000 metrics, 100 parameters or 100 tags a request."""
        from mlflow.entities import Metric, Param, RunTag

        self._client.log_batch(
            run_id,
            metrics=[Metric(*point) for point in points],
            params=[Param(name, value) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in _own_tags(tags).items()],
        )

    def describe(self, run_id: str, markdown: str) -> None:
        self._client.set_tag(run_id, "mlflow.note.content", cut(markdown, NOTE_LIMIT))

    def end(self, run_id: str, state: RunState, seconds: float) -> None:
        self._client.set_terminated(run_id, state, milliseconds(seconds))

    def upload(self, run_id: str, path: Path) -> None:
        self._client.log_artifact(run_id, str(path))

    def refused(self, error: Exception) -> bool:
        """MLflow answered and does not take it, or the fault is on our side; False: it gave no proper answer."""
        from mlflow.exceptions import MlflowException

        if isinstance(error, MlflowException):
            return 400 <= error.get_http_status_code() < 500
        return not isinstance(error, OSError)


def _stored(run: "Run") -> StoredRun:
    return StoredRun(run.info.run_id, run.info.status, run.data.tags, run.data.params)


@contextmanager
def _held(database: Path | None) -> Iterator[None]:
    """Two processes that create a database or an experiment at the same time would both fail."""
    if database is None:
        yield
        return
    database.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{database}.lock", timeout=30):
        yield


def _create_tables(database: Path) -> None:
    """Under another name at first: a database that MLflow was killed over (0.5 s) can never be opened again."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    draft = Path(f"{database}.new")
    for leftover in draft, Path(f"{draft}-journal"):
        leftover.unlink(missing_ok=True)
    SqlAlchemyStore(f"sqlite:///{draft}", _artifacts(database)).engine.dispose()
    draft.replace(database)


def _artifacts(database: Path) -> str:
    return (database.parent / "mlartifacts").as_uri()


def _sqlite_file(uri: str) -> Path | None:
    return Path(uri.removeprefix("sqlite:///")) if uri.startswith("sqlite:///") else None


def _own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """MLflow shows the commit in its pages if the tag has MLflow's name."""
    return {"mlflow.source.git.commit" if name == "git_commit" else name: value for name, value in tags.items()}
