"""Ray itself: its start, and trials in its workers that end while they save. One Ray is started for all tests."""

import os
import signal
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import ray
import torch
from ray._private import services
from ray.tune.execution.tune_controller import TuneController
from ray.tune.schedulers import FIFOScheduler, TrialScheduler

from recmodels.errors import UserError
from tests.recmodels.factories import checkerboard
from tests.tuning.factories import made_spec
from tuning.execution import trial as trial_module
from tuning.execution.observer import Observer
from tuning.execution.ray_tune import cluster as cluster_module
from tuning.execution.ray_tune import folder, pruning, tuner
from tuning.execution.ray_tune.address import Address
from tuning.execution.ray_tune.cluster import cluster, trial_resources
from tuning.execution.ray_tune.placement import Node, TrialResources
from tuning.execution.ray_tune.settings import LOCAL, SETTINGS, prepare
from tuning.records import SearchFolder, TrialRecord
from tuning.search import Outcome, Search

HERE = Address(None, "--ray-address")
SAVING = 2.5
"""Seconds that a trial takes to save itself; Ray waits 2 s by default."""
BUSY = "The current node timed out during startup."


def servers() -> list[str]:
    """The servers of Ray that this process runs."""
    running = psutil.Process().children()
    return sorted(
        each.name() for each in running if each.status() != psutil.STATUS_ZOMBIE and "python" not in each.name()
    )


@pytest.fixture(scope="module")
def said() -> Iterator[list[str]]:
    """What is said while Ray starts here, with a long TMPDIR, and not at the first try. It runs in these tests."""
    heard: list[str] = []
    handler, failures, get_node = signal.getsignal(signal.SIGTERM), [BUSY], services.get_node

    def busy(*arguments: Any) -> Any:
        if failures:
            raise Exception(failures.pop())
        return get_node(*arguments)

    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(dir="/tmp", prefix="t") as short:
        for name in ("RAY_TMPDIR", "RAY_ADDRESS", *SETTINGS, *LOCAL):
            patch.setenv(name, "")  # so that it is as it was, afterwards
            patch.delenv(name)
        patch.setenv("TMPDIR", f"{short}/{'x' * 90}")
        patch.setattr(folder, "SHORT_PLACES", (short,))
        patch.setattr(services, "get_node", busy)
        with cluster(prepare(None), made_spec(), heard.append):
            assert signal.getsignal(signal.SIGTERM) == handler
            yield heard
    assert servers() == []


def test_a_start_that_times_out_is_tried_once_more_and_leaves_no_server(said: list[str]) -> None:
    assert said == [f"Ray has not started ({BUSY}), trying again"]
    assert servers() == ["gcs_server", "raylet"]


def test_no_server_runs_that_trials_do_not_need(said: list[str]) -> None:
    programs = {Path(word).name for each in psutil.Process().children(recursive=True) for word in each.cmdline()[:4]}
    assert "raylet" in programs
    assert not programs & {"dashboard.py", "monitor.py", "log_monitor.py"}


def test_a_second_start_in_this_process_says_nothing(said: list[str]) -> None:
    with cluster(HERE, made_spec(resources={"max_concurrent": 10_000}), pytest.fail) as resources:
        assert resources == trial_resources(HERE, made_spec(resources={"max_concurrent": 10_000}), said.append)
    assert ray.is_initialized()
    assert said.pop().startswith(f"--max-concurrent 10000: only {resources.concurrent} at a time, each needs 1 CPU")


class Stop(FIFOScheduler):
    """Stops every trial at its second epoch."""

    def on_trial_result(self, tune_controller: Any, trial: Any, result: dict[str, Any]) -> str:
        return TrialScheduler.STOP if result["epoch"] == 2 else TrialScheduler.CONTINUE


def slow_to_save(run: Callable[..., None]) -> Callable[..., None]:
    """The trial of Ray's workers, where it takes a while to save."""
    seconds = SAVING

    def slow(config: dict[str, Any], **parts: Any) -> None:
        if not hasattr(trial_module, "slowed"):  # a worker runs several trials
            save = trial_module._Run._save

            def save_slowly(self: Any, **how: Any) -> None:
                time.sleep(seconds)
                save(self, **how)

            trial_module._Run._save, trial_module.slowed = save_slowly, True  # type: ignore[attr-defined, method-assign]
        run(config, **parts)

    return slow


def hanging(*_: Any) -> None:
    raise AssertionError("the search hangs")


@pytest.fixture
def slow_search(said: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Outcome]]:
    """Runs a search of trials, one at a time, that are all stopped and then take a while to save."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(pruning.SCHEDULERS, "asha", lambda *_: Stop())
    monkeypatch.setattr(tuner, "_ray_trial", slow_to_save(tuner._ray_trial))

    def run(trials: int, observer: Observer) -> Outcome:
        train = {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 64, "weight_decay": 0.0}
        return Search(
            made_spec(
                strategy="plain",
                role="confirmation",  # one point on several seeds
                space={"train": train, "model": {"embedding_size": 4, "reg_weight": 0.0}},
                budget={"trials": trials},
                training={"max_epochs": 4},
                resources={"max_concurrent": 1},
                tracking={"uri": None},
            ),
            checkerboard(),
            observer,
        ).run()

    signal.signal(signal.SIGALRM, hanging)
    signal.alarm(900)
    yield run
    signal.alarm(0)


def saved(name: str) -> bool:
    return (SearchFolder(Path("searches/made")).trial(name).path / "last.pt").exists()


def test_trials_that_are_stopped_save_themselves_however_long_it_takes(
    slow_search: Callable[..., Outcome], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[int] = []
    set_attribute = TuneController.__setattr__

    def heard(controller: TuneController, name: str, value: Any) -> None:
        if name == "_actor_force_cleanup_timeout":
            given.append(value)
        set_attribute(controller, name, value)

    monkeypatch.setattr(TuneController, "__setattr__", heard)
    outcome = slow_search(4, Observer())
    # Ray's own value comes first; it has no setting for workers that save when nothing is left to do.
    assert given == [pruning.TRAINING] + [pruning.TRAINING, pruning.SAVING] * 4
    assert not outcome.interrupted
    assert [record.status for record in outcome.records] == ["pruned"] * 4
    assert all(saved(record.trial) for record in outcome.records)
    assert outcome.winner is not None
    assert outcome.tests[outcome.winner.trial]


class Interrupting(Observer):
    """Presses Ctrl-C when the first trial has been stopped."""

    def ended(self, record: TrialRecord) -> None:
        if record.trial == "0000":
            os.kill(os.getpid(), signal.SIGINT)


def test_ctrl_c_is_heard_while_a_trial_saves_itself(slow_search: Callable[..., Outcome]) -> None:
    outcome = slow_search(50, Interrupting())
    assert outcome.interrupted
    assert len(outcome.records) < 50
    assert saved("0000")


@pytest.fixture
def two_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine whose driver lists two cards."""
    monkeypatch.setattr(cluster_module, "alive_nodes", lambda: [Node(16, 2)])


def no_device() -> bool:
    warnings.warn("The NVIDIA driver on your system is too old", stacklevel=1)
    return False


@pytest.mark.usefixtures("two_gpus")
def test_cards_that_torch_cannot_use_leave_trials_on_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.version, "cuda", None)
    heard: list[str] = []
    assert trial_resources(HERE, made_spec(), heard.append) == TrialResources(2, 0.0, 8)
    why = f"torch {torch.__version__} is built for the CPU alone"
    assert heard == [f"trials run on the CPU: this machine has a GPU, but {why}"]
    assert trial_resources(HERE, made_spec(resources={"gpus_per_trial": 0}), pytest.fail).device == "cpu"
    assert trial_resources(HERE, made_spec(resources={"gpus_per_trial": "auto"}), heard.append).device == "cpu"
    assert heard.pop() == heard[0]
    with pytest.raises(UserError) as error:
        trial_resources(HERE, made_spec(resources={"gpus_per_trial": 0.5}), pytest.fail)
    assert str(error.value) == f"--gpus-per-trial 0.5: {why}"

    monkeypatch.setattr(torch.cuda, "is_available", no_device)
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    trial_resources(HERE, made_spec(), heard.append)
    assert heard[1].endswith("finds no device it can use (The NVIDIA driver on your system is too old)")


@pytest.mark.usefixtures("two_gpus")
def test_cards_that_torch_can_use_are_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert trial_resources(HERE, made_spec(), pytest.fail) == TrialResources(8, 1.0, 2)


@pytest.mark.usefixtures("two_gpus")
def test_the_torch_of_this_machine_says_nothing_of_a_clusters_cards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    resources = trial_resources(Address("auto", "--ray-address"), made_spec(), pytest.fail)
    assert resources == TrialResources(8, 1.0, 2, grows=True)


def test_a_ray_that_does_not_start_twice_is_one_line_and_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(**_: Any) -> None:
        raise RuntimeError("Failed to start GCS.\n  Last 10 lines of error files:\n")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "shutdown", lambda: None)
    monkeypatch.setattr(ray, "init", fails)
    for name in (*SETTINGS, *LOCAL):
        monkeypatch.setenv(name, "")
    train = {"optimizer": "adam", "learning_rate": 0.01, "batch_size": 64, "weight_decay": 0.0}
    search = Search(made_spec(strategy="plain", space={"train": train}), checkerboard())
    with pytest.raises(UserError) as error:
        search.run()
    line = "Ray does not start on this machine: Failed to start GCS. Last 10 lines of error files:; its logs are in "
    assert str(error.value).startswith(line)
    assert list(tmp_path.iterdir()) == []


def test_a_storage_that_cannot_be_written_is_one_line_before_ray_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", pytest.fail)
    (tmp_path / "file").write_text("")
    spec = made_spec(resources={"storage": str(tmp_path / "file" / "below")})
    refused = pytest.raises(UserError, match=r"^--storage .*/file/below: .*Not a directory$")
    with refused, cluster(HERE, spec, pytest.fail):
        pass
