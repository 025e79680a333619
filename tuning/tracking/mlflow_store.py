"""MLflow as a tracking store; the only file that imports mlflow, when a store is made."""

import json
import logging
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

from filelock import FileLock

from recmodels.errors import UserError
from tuning.commandlines import public
from tuning.records.environment import DataFacts
from tuning.spec import Tracking
from tuning.tracking.moved import follow_move
from tuning.tracking.points import LAST_POINT_OF_EPOCH, Point, cut, milliseconds
from tuning.tracking.store import SEARCH, RunState, Store, StoredRun
from tuning.tracking.uris import DATABASES, options, resolved, scheme, sqlite_file, sqlite_url

if TYPE_CHECKING:
    from mlflow import MlflowClient
    from mlflow.entities import Run

log = logging.getLogger("mirrortune")

KIND, MODEL_TRAINING = "mlflow.experimentKind", "custom_model_development"
"""The tag of an experiment by which MLflow's pages choose their view, and its value; without it they guess."""
OURS = str(Tracking.model_fields["experiment"].default)
"""The name of an experiment that can be nobody else's."""
DIGEST_LIMIT = 36  # characters of a data set's digest, MLflow 3.17
OWN_TAGS = {"git_commit": "mlflow.source.git.commit", "source": "mlflow.source.name", "user": "mlflow.user"}
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
    keeps_models = True

    resolve = staticmethod(resolved)

    def __init__(self, uri: str, experiment: str, experiment_id: str | None = None) -> None:
        """Connect to the experiment with this id, else to the one of this name, which is made if it is not there."""
        _import_mlflow()
        database = sqlite_file(uri)
        with _held(database):
            if database:
                _prepare(database)
            self._client = _connect(uri, database)
            self.experiment = experiment_id or self._experiment_id(experiment, uri, database)

    def _experiment_id(self, name: str, uri: str, database: Path | None) -> str:
        if found := self._client.get_experiment_by_name(name):
            if name == OURS and KIND not in found.tags:
                self._client.set_experiment_tag(found.experiment_id, KIND, MODEL_TRAINING)
            return found.experiment_id
        # MLflow would put the artifacts into the current directory, and its path into a URL as it is; a server knows
        # where it wants them.
        folder = database.parent if database else Path.cwd()
        location = _artifacts(folder).as_uri() if scheme(uri) in DATABASES else None
        return self._client.create_experiment(name, location, tags={KIND: MODEL_TRAINING})

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

    def uses(self, run_id: str, data: DataFacts, place: str) -> None:
        """Say it in the column Dataset, with the sizes as the profile. Repeated, MLflow keeps it once."""
        from mlflow.entities import Dataset, DatasetInput, InputTag

        sizes = {name: value for name, value in asdict(data).items() if isinstance(value, int)}
        source, digest = json.dumps({"uri": place}), data.fingerprint[:DIGEST_LIMIT]
        entity = Dataset(data.name, digest, "local", source, profile=json.dumps(sizes))
        tags = [InputTag("mlflow.data.context", "train, valid, test")]
        self._client.log_inputs(run_id, [DatasetInput(entity, tags)])

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
            synchronous=True,  # whatever MLFLOW_ENABLE_ASYNC_LOGGING says: what is delivered is there
        )

    def describe(self, run_id: str, markdown: str) -> None:
        self._client.set_tag(run_id, "mlflow.note.content", cut(markdown, NOTE_LIMIT), synchronous=True)

    def end(self, run_id: str, state: RunState, seconds: float) -> None:
        self._client.set_terminated(run_id, state, milliseconds(seconds))

    def upload(self, run_id: str, path: Path) -> None:
        self._client.log_artifact(run_id, str(path))

    def register(self, run_id: str, name: str, files: Path, digest: str) -> str:
        from tuning.tracking.mlflow_registry import register

        return register(self._client, self.experiment, run_id, name, files, digest)

    def refused(self, error: Exception) -> bool:
        """MLflow answered and does not take it, or the fault is on our side; False: it gave no proper answer."""
        from mlflow.exceptions import MlflowException

        if isinstance(error, MlflowException):
            return 400 <= error.get_http_status_code() < 500
        return not isinstance(error, OSError)


def check_experiment_id(uri: str, experiment_id: str, name: str | None) -> None:
    """Raise UserError if a store has no such experiment, or as MLflow does if the one of this name has another id.

    A store that gives no answer raises nothing: it may be back when there is something to deliver.
    """
    _import_mlflow()
    from mlflow.exceptions import MlflowException

    database = sqlite_file(uri)
    fault = None
    try:
        client = None if database and not database.exists() else _connect(uri, database)
        if name is not None:
            found = client and client.get_experiment_by_name(name)
            if found and found.experiment_id != experiment_id:
                fault = f"expected {found.experiment_id}, the id of the experiment {name}"
        elif client is None or client.get_experiment(experiment_id).lifecycle_stage != "active":
            fault = "there is no such experiment"
    except MlflowException as error:
        fault = " ".join(str(error).rstrip(".").split()) if 400 <= error.get_http_status_code() < 500 else None
    except Exception:  # whatever the driver of a database raises; the tracker will tell it
        pass
    if fault:
        where = f"in {public(uri)}; --experiment NAME takes another"
        raise UserError(f"MLFLOW_EXPERIMENT_ID {experiment_id}: {fault} {where}")


def _import_mlflow() -> None:
    """Import MLflow (1.4 s), which reads its settings then, and keep it quiet."""
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    import mlflow  # noqa: F401

    logging.getLogger("mlflow").setLevel(os.environ["MLFLOW_LOGGING_LEVEL"])


def _connect(uri: str, database: Path | None) -> "MlflowClient":
    from mlflow import MlflowClient

    # For sqlite:///a%20b/mlflow.db MLflow would also make a folder that is really called a%20b.
    return MlflowClient(sqlite_url(database, "sqlite+pysqlite") + options(uri) if database else uri)


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


def _prepare(database: Path) -> None:
    """Make a database that is not there yet, and tell one that was moved where it is."""
    home = _artifacts(database.parent)
    if not database.exists():
        _create_tables(database)
    for old in follow_move(database, home):
        log.warning("MLflow: %s was moved from %s; its runs' files belong in %s now", database, old.parent, home)


def _create_tables(database: Path) -> None:
    """Under another name at first: a database that MLflow was killed over (0.5 s) can never be opened again."""
    from mlflow.store.tracking.sqlalchemy_store import SqlAlchemyStore

    draft = Path(f"{database}.new")
    for leftover in draft, Path(f"{draft}-journal"):
        leftover.unlink(missing_ok=True)
    SqlAlchemyStore(sqlite_url(draft, "sqlite+pysqlite"), _artifacts(database.parent).as_uri()).engine.dispose()
    draft.replace(database)


def _artifacts(folder: Path) -> Path:
    """Return the folder of the runs' files, beside the database."""
    return folder / "mlartifacts"


def _own_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """MLflow shows some tags in columns of their own if they have MLflow's names."""
    own = {OWN_TAGS.get(name, name): value for name, value in tags.items()}
    return own | ({"mlflow.source.type": "LOCAL"} if "source" in tags else {})
