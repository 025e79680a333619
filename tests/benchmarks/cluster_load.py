"""What searches cost beside their training: the driver's and Ray's time for a trial and for a report, the driver's
memory, MLflow's records, and how large a search that allows, as Markdown tables.

    python -m tests.benchmarks.cluster_load --workers 16 --pairs 2 --trials 32 --epochs 20

Trials are made: they train nothing, but write and report epochs with the metrics of real ones, at once or --pause
seconds apart. All else is what runs a search: Ray's workers, the queue, the study, the ledger. Three searches on FEW
workers tell the costs of a report, a trial and a search apart, and a fourth those of the Gaussian process. Then --pairs
searches run one after the other on all --workers, as an overview's do. Records of further made trials go to MLflow in
SQLite. Costs are CPU seconds: these do not depend on the number of cores, nor on who shares them. From them follows the
load of an overview of 40 pairs and of 10,000 trials a day. A worker needs some 0.4 GiB, and 3 CPU seconds to start.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from sqlite3 import connect

import psutil

from recmodels.data import load_dataset
from recmodels.errors import UserError
from tests.benchmarks.cluster_costs import (
    EPOCHS,
    Records,
    Use,
    costs_table,
    loads_table,
    most_a_day,
    searches_table,
    told_apart,
)
from tests.benchmarks.table import number
from tests.tuning.factories import end_trial, made_folder, made_spec, made_trial
from tuning.execution.observer import Observer
from tuning.execution.ray_tune.placement import TrialResources
from tuning.execution.ray_tune.settings import prepare
from tuning.proposals.study import Study
from tuning.records import SearchFolder
from tuning.tracking.tracker import Tracker

FEW = 4
"""Workers of the searches from which costs are told apart."""


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 2 bad input."""
    try:
        given = _arguments(argv)
    except UserError as error:
        print(f"cluster_load: {error}", file=sys.stderr)
        return 2
    few, more = min(FEW, given.workers), given.more_trials
    with tempfile.TemporaryDirectory(prefix="cluster-load-") as place, ray_with(given.workers * given.threads):
        root = Path(place)

        def search(
            name: str, workers: int, trials: int, epochs: int, pause: float = 0.0, sampler: str = "random"
        ) -> Use:
            print(f"{name}: {trials} trials of {epochs} epochs on {workers} workers", file=sys.stderr, flush=True)
            resources = TrialResources(given.threads, 0.0, workers)
            return measured(root / name, resources, trials, epochs, pause, sampler)

        search("warm", 1, 1, 1)
        once = search("once", few, few, 1)
        reports = search("reports", few, few, 1 + given.more_reports)
        trials = search("trials", few, few + more, 1)
        process = search("gp", few, few + more, 1, sampler="gp")
        pairs = [
            search(f"pair-{place}", given.workers, given.trials, given.epochs, given.pause)
            for place in range(1, given.pairs + 1)
        ]
    with tempfile.TemporaryDirectory(prefix="cluster-load-") as place:
        records = recorded(Path(place), given.recorded, EPOCHS)
    sizes = {"workers": few, "more_reports": given.more_reports, "more_trials": more}
    driver = told_apart(once.driver, reports.driver, trials.driver, **sizes)
    servers = told_apart(once.servers, reports.servers, trials.servers, **sizes)
    print(costs_table(driver, servers))
    added = (process.driver - trials.driver) / (few + more)
    print(f"\nThe Gaussian process adds {number(1e3 * added)} ms a trial, in a search of {few + more}.")
    kept = (trials.memory - once.memory) / more / 2**10
    print(f"The driver held {once.memory / 2**20:.0f} MiB after {few} trials, {kept:.0f} KiB more for each more.\n")
    print(f"{given.trials} trials of {given.epochs} epochs on {given.workers} workers:\n")
    print(searches_table(pairs, driver, given.trials, given.epochs))
    print(f"\nWorked out from these costs, and from the records of {given.recorded} trials of {EPOCHS} epochs:\n")
    print(loads_table(driver, servers, records))
    print(
        f"\nOne driver would compute all day with {most_a_day(driver):,.0f} trials of {EPOCHS} epochs a day, "
        f"and with {most_a_day(driver, records):,.0f} if MLflow keeps them."
    )
    return 0


@contextmanager
def ray_with(cores: int) -> Iterator[None]:
    """Run Ray on this machine, which is told of so many cores, and have it run made trials."""
    prepare("local")
    import ray  # reads what `prepare` sets, as do the modules that load it

    from tests.benchmarks.made_trials import made_ray_trial
    from tuning.execution.ray_tune import tuner
    from tuning.execution.ray_tune.extras import no_servers
    from tuning.execution.ray_tune.folder import ray_folder

    real, place = tuner._ray_trial, {"address": "local", "_temp_dir": str(ray_folder())}
    with no_servers():
        ray.init(num_cpus=cores, include_dashboard=False, log_to_driver=False, logging_level="ERROR", **place)
    tuner._ray_trial = made_ray_trial
    try:
        yield
    finally:
        tuner._ray_trial = real
        ray.shutdown()


def measured(path: Path, resources: TrialResources, trials: int, epochs: int, pause: float, sampler: str) -> Use:
    """Run a search of made trials in a new folder, and return what it took."""
    from tests.benchmarks.made_trials import PAUSE
    from tuning.execution.ray_tune.tuner import run_trials

    drawn = {name: {"type": "uniform", "low": 0.5, "high": 1.0} for name in ("alpha", "beta", "interval")}
    spec = made_spec(
        name=path.name,
        output_dir=str(path.parent),
        space={"strategy": drawn, "model": {PAUSE: pause}},
        sampler=sampler,
        scheduler={"name": "none"},
        budget={"trials": trials},
        training={"max_epochs": epochs},
        tracking={"stores": ()},
    )
    folder, data = SearchFolder.of(spec), load_dataset("demo")
    start, before = time.monotonic(), _computed()
    folder.write_spec(spec)
    run_trials(spec, folder, Study(folder, spec.space, sampler, seed=1), data, resources, Observer())
    driver, servers = (now - then for now, then in zip(_computed(), before, strict=True))
    done = sum(record.epochs for record in folder.ledger().values())
    assert done == trials * epochs, f"{done} epochs are recorded, expected {trials * epochs}"
    return Use(time.monotonic() - start, driver, servers, psutil.Process().memory_info().rss)


def _computed() -> tuple[float, float]:
    """The CPU seconds of this process so far, and of the servers of the Ray that it runs."""
    below = psutil.Process().children(recursive=True)
    servers = [each.cpu_times() for each in below if each.name() in ("raylet", "gcs_server")]
    return time.process_time(), sum(each.user + each.system for each in servers)


def recorded(path: Path, trials: int, epochs: int) -> Records:
    """Deliver made trials to a new MLflow store in SQLite, and return what that took."""
    database = path / "mlflow.db"
    uri = f"sqlite:///{database}"
    deliver(made_folder(path / "first", trials=1, epochs=1, uri=uri))  # makes the tables
    folder = made_folder(path / "rest", trials=0, name="rest", uri=uri)
    for name in map("{:04}".format, range(trials)):
        made_trial(folder, name, epochs)
        end_trial(folder, name)
    values, size, start = _values(database), database.stat().st_size, time.process_time()
    deliver(folder)
    took = time.process_time() - start
    return Records(trials * epochs, took, _values(database) - values, database.stat().st_size - size)


def deliver(folder: SearchFolder) -> None:
    """Bring the store of a search's records up to its folder."""
    tracker = Tracker(folder, folder.spec(), print, lambda *_: "made")
    tracker.start()
    assert not tracker.close(interrupted=False, timeout=threading.TIMEOUT_MAX), "records still wait"


def _values(database: Path) -> int:
    with closing(connect(database)) as store:
        return int(store.execute("select count(*) from metrics").fetchone()[0])


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        "python -m tests.benchmarks.cluster_load", description=(__doc__ or "").split("\n\n")[0]
    )
    sizes = {
        "workers": (16, "that run trials at a time in the searches of --pairs"),
        "threads": (1, "cores that Ray counts for a trial"),
        "pairs": (2, "searches, one after the other"),
        "trials": (32, "of each of them"),
        "epochs": (20, "of each of their trials"),
        "more-reports": (200, "of each trial, from which the cost of a report is told"),
        "more-trials": (60, "from which the cost of a trial is told"),
        "recorded": (20, f"trials of {EPOCHS} epochs that MLflow gets"),
    }
    for name, (default, text) in sizes.items():
        parser.add_argument(f"--{name}", type=int, default=default, help=f"{text} (default: {default})")
    parser.add_argument("--pause", type=float, default=0.0, help="seconds of an epoch (default: none)")
    given = parser.parse_args(argv)
    for name in sizes:
        if (number := getattr(given, name.replace("-", "_"))) < 1:
            raise UserError(f"--{name}: expected at least 1, but got {number}")
    if not given.pause >= 0:
        raise UserError(f"--pause: expected at least 0, but got {given.pause}")
    return given


if __name__ == "__main__":
    sys.exit(main())
