"""MLflow records of a search, delivered by a thread of the driver; the search itself never waits for them."""

import logging
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from filelock import FileLock

from tuning.records.folder import SearchFolder
from tuning.spec import SearchSpec
from tuning.tracking import points as tracked
from tuning.tracking.delivery import SEARCH, Delivery, Ending, RunBook, StoredRun

if TYPE_CHECKING:
    from mlflow.entities import Run

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
PERIOD, GATHER, LONGEST_PAUSE = 2.0, 0.5, 15.0  # seconds
NOTICED = 2
"""Failures in a row before the user is told; a lock that another search holds for a moment is not worth a line."""


class NullTracker:
    """No tracking."""

    def start(self) -> None: ...

    def poke(self) -> None: ...

    def close(self, interrupted: bool, timeout: float = 20) -> int:
        return 0

    def run_id(self, trial: str) -> str | None:
        return None


class Tracker:
    """Keeps MLflow up to date with a search's folder. `say` and `summary` (Markdown) are called from its thread.

    spec.yaml and environment.json must be there before `start`.
    """

    def __init__(
        self, folder: SearchFolder, spec: SearchSpec, say: Callable[[str], None], summary: Callable[[], str]
    ) -> None:
        if spec.tracking.uri is None:
            raise ValueError("a Tracker needs tracking.uri; make_tracker chooses a NullTracker without one")
        self._folder, self._spec, self._say, self._summary = folder, spec, say, summary
        self._uri = _absolute(spec.tracking.uri)
        self._book = RunBook(folder, _public(self._uri))
        self._settled: set[str] = set()
        self._upload_error_told = False
        self._ending: Ending | None = None
        self._wake, self._closing, self._stop = Event(), Event(), Event()
        self._thread = Thread(target=self._loop, name="mlflow-writer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def poke(self) -> None:
        """Look at the folder soon rather than within two seconds. Without effect while MLflow is down."""
        self._wake.set()

    def run_id(self, trial: str) -> str | None:
        """The trial's run id, None as long as it has none."""
        return self._book.ids.get(trial)

    def close(self, interrupted: bool, timeout: float = 20) -> int:
        """Deliver what is left within `timeout` seconds and end every run; the number of runs that still wait."""
        self._ending = "interrupted" if interrupted else "finished"
        self._closing.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._stop.set()
        runs = {trial.name for trial in self._folder.trials()} | {SEARCH}
        waiting = len(runs - self._settled)
        if waiting:
            self._say(f"MLflow: {waiting} of {len(runs)} runs still wait; --resume {self._spec.name} delivers them")
        return waiting

    def _loop(self) -> None:
        failures, delivery = 0, None
        while not self._stop.is_set():
            ending = self._ending  # read before the folder is, so that the last round sees all of it
            try:
                delivery = delivery or self._deliver()
                delivery.sync(ending)
            except Exception as error:  # whatever it is, it must not reach the search
                failures, delivery = failures + 1, None
                if failures == NOTICED:
                    self._say(f"MLflow: {self._line(error)}; the search goes on, its records are delivered later")
                self._pause(failures)
                continue
            if failures >= NOTICED:
                self._say("MLflow: works again, the records are up to date")
            failures = 0
            self._tell_upload_error(delivery)
            if ending:
                return
            self._wake.wait(PERIOD)
            self._closing.wait(GATHER)  # a request for each of many pokes would cost the driver more than one for all
            self._wake.clear()

    def _deliver(self) -> Delivery:
        store = MlflowStore(self._uri, self._spec.tracking.experiment)
        delivery = Delivery(self._folder, self._spec, store, self._book, self._summary, self._stop)
        self._settled = delivery.settled
        return delivery

    def _pause(self, failures: int) -> None:
        if self._closing.is_set():
            self._stop.wait(0.5)
        else:
            self._closing.wait(min(2.0 ** min(failures - 1, 4), LONGEST_PAUSE))

    def _tell_upload_error(self, delivery: Delivery) -> None:
        if delivery.upload_error and not self._upload_error_told:
            self._upload_error_told = True
            self._say(f"MLflow: the search's files were not stored there: {self._line(delivery.upload_error)}")

    def _line(self, error: Exception) -> str:
        """One line without the password that the URI may carry."""
        text = " ".join(str(error).split()).replace(self._uri, _public(self._uri))
        return tracked.cut(text or type(error).__name__, 300)


def make_tracker(
    spec: SearchSpec, folder: SearchFolder, say: Callable[[str], None], summary: Callable[[], str]
) -> Tracker | NullTracker:
    return NullTracker() if spec.tracking.uri is None else Tracker(folder, spec, say, summary)


class MlflowStore:
    """One experiment of an MLflow store; connects when made. Raises what MLflow raises."""

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

    def create(self, title: str, start: float, tags: Mapping[str, str]) -> StoredRun:
        time = tracked.milliseconds(start)
        return _stored(self._client.create_run(self.experiment, start_time=time, tags=dict(tags), run_name=title))

    def reopen(self, run_id: str) -> None:
        self._client.update_run(run_id, status="RUNNING")

    def epochs(self, run_id: str) -> set[int]:
        """The epochs that have arrived whole."""
        return {metric.step for metric in self._client.get_metric_history(run_id, tracked.WITNESS)}

    def log(self, run_id: str, points: list[tracked.Point], tags: Mapping[str, str], params: Mapping[str, str]) -> None:
        """Any number of them: MLflow's client cuts what exceeds 1000 metrics, 100 parameters or 100 tags a request."""
        from mlflow.entities import Metric, Param, RunTag

        self._client.log_batch(
            run_id,
            metrics=[Metric(*point) for point in points],
            params=[Param(name, value) for name, value in params.items()],
            tags=[RunTag(name, value) for name, value in tags.items()],
        )

    def end(self, run_id: str, state: str, seconds: float) -> None:
        self._client.set_terminated(run_id, state, tracked.milliseconds(seconds))

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


def _absolute(uri: str) -> str:
    """A relative SQLite file belongs to the directory in which the search was started."""
    database = _sqlite_file(uri)
    return f"sqlite:///{database.resolve()}" if database else uri


def _public(uri: str) -> str:
    """The URI without user and password."""
    netloc = urlsplit(uri).netloc
    return uri.replace(netloc, netloc.rpartition("@")[2]) if "@" in netloc else uri
