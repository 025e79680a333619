"""Records of a search for a tracking store, delivered by a thread of the driver; the search never waits for them."""

from collections.abc import Callable
from threading import Event, Thread

from tuning.commandlines import public
from tuning.records import SearchFolder
from tuning.records.run_ids import RunIds
from tuning.spec import SearchSpec
from tuning.tracking.delivery import Delivery, Ending, Summary
from tuning.tracking.points import cut
from tuning.tracking.store import SEARCH
from tuning.tracking.stores import store_for
from tuning.tracking.uris import with_password

PERIOD, LONGEST_PAUSE = 2.0, 15.0  # seconds
FAILURES_BEFORE_NOTICE = 2
"""Failures in a row before the user is told; a lock that another search holds for a moment is not worth a line."""


def run_ids(folder: SearchFolder, uri: str) -> RunIds:
    """Return the ids of a search's runs in the store of a URI. UserError if it is no store's."""
    return RunIds(folder, public(store_for(uri).resolve(with_password(uri))))


class Tracker:
    """Keeps a tracking store up to date with a search's folder.

    `say` and `summary` are called from its thread. `uri`: of the store, MLflow's by default. spec.yaml and
    environment.json must exist before `start`.
    """

    def __init__(
        self,
        folder: SearchFolder,
        spec: SearchSpec,
        say: Callable[[str], None],
        summary: Summary,
        uri: str | None = None,
    ) -> None:
        uri = uri or spec.tracking.mlflow
        assert uri is not None  # without one there is no tracker
        self._folder, self._spec, self._say_line, self._summary = folder, spec, say, summary
        self._store = store_for(uri)
        self._uri = self._store.resolve(with_password(uri))
        self.run_ids = run_ids(folder, uri)
        self._settled: set[str] = set()
        self._upload_error_told = False
        self._error: Exception | None = None
        """Why the last delivery failed; None after one that did not."""
        self._ending: Ending | None = None
        self._closing, self._stop = Event(), Event()
        self._thread = Thread(target=self._loop, name="tracker", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self, interrupted: bool, timeout: float = 20) -> int:
        """Deliver the rest within `timeout` seconds and end every run; return the number of runs that still wait."""
        self._ending = "interrupted" if interrupted else "finished"
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout)
        self._stop.set()
        runs = {trial.name for trial in self._folder.trials()} | {SEARCH}
        waiting = len(runs - self._settled)
        if waiting:
            cause = self._line(self._error) if self._error else f"no answer yet from {public(self._uri)}"
            self._say(f"{waiting} of {len(runs)} runs still wait ({cause}); --resume {self._spec.name} delivers them")
        return waiting

    def _loop(self) -> None:
        failures, delivery = 0, None
        while not self._stop.is_set():
            ending = self._ending  # read before the folder is, so that the last round sees all of it
            try:
                delivery = delivery or self._deliver()
                delivery.sync(ending)
            except Exception as error:  # whatever it is, it must not reach the search
                failures, delivery, self._error = failures + 1, None, error
                if failures == FAILURES_BEFORE_NOTICE:
                    self._say(f"{self._line(error)}; the search goes on, its records are delivered later")
                self._pause(failures)
                continue
            if failures >= FAILURES_BEFORE_NOTICE:
                self._say("works again, the records are up to date")
            failures, self._error = 0, None
            self._tell_upload_error(delivery)
            if ending:
                return
            self._closing.wait(PERIOD)

    def _deliver(self) -> Delivery:
        place = self._spec.tracking
        store = self._store(self._uri, place.experiment, *([place.experiment_id] if place.experiment_id else []))
        delivery = Delivery(self._folder, self._spec, store, self.run_ids, self._summary, self._stop)
        self._settled = delivery.settled
        return delivery

    def _say(self, text: str) -> None:
        self._say_line(f"{self._store.title}: {text}")

    def _pause(self, failures: int) -> None:
        if self._closing.is_set():
            self._stop.wait(0.5)
        else:
            self._closing.wait(min(2.0 ** min(failures - 1, 4), LONGEST_PAUSE))

    def _tell_upload_error(self, delivery: Delivery) -> None:
        if delivery.upload_error and not self._upload_error_told:
            self._upload_error_told = True
            self._say(f"the search's files were not stored there: {self._line(delivery.upload_error)}")

    def _line(self, error: Exception) -> str:
        """One line without the password that the URI may carry."""
        text = " ".join(str(error).split()).replace(self._uri, public(self._uri))
        return cut(text or type(error).__name__, 300)
