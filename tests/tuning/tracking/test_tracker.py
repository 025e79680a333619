"""The tracker against MLflow itself: on SQLite, on a server that is killed, and on one that never answers."""

import getpass
import json
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from recmodels.errors import UserError
from recmodels.files import read_lines
from tests.tuning.factories import end_trial, made_confirmation, made_folder, made_row, made_spec, made_trial
from tests.tuning.tracking.mlflow_server import Server, free_port, until
from tests.tuning.tracking.test_delivery import FakeStore
from tuning.records.folder import SearchFolder
from tuning.tracking.mlflow_store import KIND, MlflowStore, check_experiment_id
from tuning.tracking.stores import STORES
from tuning.tracking.tracker import Tracker
from tuning.tracking.uris import sqlite_url

ROOT = Path(__file__).parents[3]
SUMMARY = "# made\n\nbest: 0002"


@pytest.fixture(scope="session")
def empty_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """MLflow needs two seconds to create its tables; the tests copy them. The name of the folder is no plain one."""
    folder = tmp_path_factory.mktemp("mlflow") / "a%20b?c#d"
    MlflowStore(sqlite_url(folder / "empty.db"), "other")
    assert [path.name for path in folder.parent.iterdir()] == [folder.name]
    return folder / "empty.db"


@pytest.fixture
def uri(tmp_path: Path, empty_database: Path) -> str:
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    return f"sqlite:///{tmp_path / 'mlflow.db'}"


def started(folder: SearchFolder, said: list[str] | None = None) -> Tracker:
    tracker = Tracker(folder, folder.spec(), (said if said is not None else []).append, lambda records, tests: SUMMARY)
    tracker.start()
    return tracker


def deliver(folder: SearchFolder, interrupted: bool = False) -> None:
    """One process' life."""
    assert started(folder).close(interrupted, timeout=900) == 0


def client(uri: str) -> Any:
    from mlflow import MlflowClient

    return MlflowClient(uri)


def runs(uri: str) -> dict[str, Any]:
    """The runs in MLflow by trial, and the search's by its name; fails if one is there twice."""
    store = client(uri)
    found = store.search_runs([store.get_experiment_by_name("mirrortune").experiment_id])
    named = {run.data.tags.get("mirrortune.trial", run.info.run_name): run for run in found}
    assert len(named) == len(found)
    return named


def steps(uri: str, name: str, metric: str) -> list[int]:
    return [point.step for point in client(uri).get_metric_history(runs(uri)[name].info.run_id, metric)]


def test_a_search_and_its_trials(tmp_path, uri):
    folder = made_folder(tmp_path, trials=2, epochs=4, baseline=True, uri=uri)
    made_trial(folder, "0002", epochs=2)
    end_trial(folder, "0002", "pruned", "asha at epoch 2")
    folder.best.write_text("trial: '0001'\n")
    deliver(folder)
    found = runs(uri)
    assert set(found) == {"made", "0000", "0001", "0002", "baseline"}
    search, trial = found["made"], found["0001"]

    assert search.data.tags["mlflow.note.content"] == SUMMARY
    assert search.data.tags["winner"] == "0001"
    assert search.data.tags["mirrortune.role"] == "search"
    assert search.data.params["metric"] == "recall@20"
    assert search.data.params["sampler"] == "auto"
    assert search.data.metrics["best/valid/recall_at_20"] == pytest.approx(0.02402)
    assert search.data.metrics["best/test/recall_at_20"] == pytest.approx(-0.07598)
    files = client(uri).list_artifacts(search.info.run_id)
    assert {file.path for file in files} == {"spec.yaml", "environment.json", "best.yaml"}
    assert search.info.artifact_uri.startswith((tmp_path / "mlartifacts").as_uri())

    assert trial.data.tags["mlflow.parentRunId"] == search.info.run_id
    assert trial.data.params == {
        "alpha": "1.0", "beta": "0.25", "interval": "3", "learning_rate": "0.001", "n_layers": "2",
        "strategy": "mg", "seed": "7", "threads": "1", "device": "cpu",
    }  # fmt: skip
    curve = client(uri).get_metric_history(trial.info.run_id, "valid/recall_at_20")
    assert [(point.step, round(point.value, 5), point.timestamp) for point in curve] == [
        (1, 0.02102, 1_700_000_101_000),
        (2, 0.02202, 1_700_000_102_000),
        (3, 0.02302, 1_700_000_103_000),
        (4, 0.02402, 1_700_000_104_000),
    ]
    assert {"loss", "epoch_seconds", "total_passes", "various/valid_seconds", "various/valid/ndcg_at_50"} <= set(
        trial.data.metrics
    )
    assert trial.data.metrics["various/best/epoch"] == 4
    assert trial.data.metrics["test/recall_at_20"] == pytest.approx(-0.07598)
    (data,) = trial.inputs.dataset_inputs
    assert (data.dataset.name, data.dataset.digest) == ("demo", "f1n9e2")
    assert json.loads(data.dataset.profile) == {
        "users": 1000, "items": 700, "train": 14000, "valid": 2000, "test": 2000
    }  # fmt: skip
    tags = ("mlflow.user", "mlflow.source.name", "mlflow.source.type", "mlflow.source.git.commit")
    assert [trial.data.tags[tag] for tag in tags] == [getpass.getuser(), "run_search.py", "LOCAL", "c0ffee"]
    assert trial.info.run_name == "BPR-demo-mg 0001"
    assert [search.data.metrics[f"best/{knob}"] for knob in ("alpha", "beta", "interval")] == [1.0, 0.25, 3.0]
    assert (trial.info.start_time, trial.info.end_time) == (1_700_000_100_000, 1_700_000_104_000)
    for sealed in ("0000", "0002", "baseline"):
        assert not [name for name in found[sealed].data.metrics if "test" in name]
    assert found["0002"].data.tags["reason"] == "asha at epoch 2"
    assert found["baseline"].data.tags["mirrortune.role"] == "baseline"
    for run in found.values():
        assert run.info.status == "FINISHED"
        identity = [run.data.tags[key] for key in ("mirrortune.search", "model", "dataset", "data_fingerprint")]
        assert identity == ["made", "BPR", "demo", "f1n9e2"]


def test_a_choice_on_fresh_seeds_is_shown_by_the_searchs_run(tmp_path, uri):
    """Until it is made, no test metrics are."""
    folder = made_folder(tmp_path, trials=3, uri=uri, awaits_confirmation=True)
    deliver(folder)
    found = runs(uri)
    assert not [name for run in found.values() for name in run.data.metrics if "test" in name]
    assert found["made"].data.tags["winner"] == "0002"
    confirmation = made_confirmation("0001", mean=0.5)
    folder.confirmation.write_text(confirmation.to_yaml())
    for _ in range(2):
        deliver(folder)
    found = runs(uri)
    search = found["made"].data
    assert (search.tags["winner"], search.tags["confirmed.trial"]) == ("0001", "0001")
    assert search.tags["confirmed.verdict"] == confirmation.verdict
    assert search.metrics["confirmed/valid/recall_at_20/mean"] == 0.5
    assert search.metrics["confirmed/test/recall_at_20/high"] == 1.7
    assert search.metrics["confirmed/over_users/p"] == 0.001
    assert steps(uri, "made", "confirmed/seeds") == [2]
    assert [name for name, run in sorted(found.items()) if "test/recall_at_20" in run.data.metrics] == ["0001"]


def test_the_luckiest_seed_of_a_confirmation_is_no_winner(tmp_path, uri):
    folder = made_folder(tmp_path, trials=2, uri=uri, role="confirmation", awaits_confirmation=True)
    deliver(folder)
    assert "winner" not in runs(uri)["made"].data.tags
    assert not [name for run in runs(uri).values() for name in run.data.metrics if "test" in name]
    folder.confirmation.write_text(made_confirmation("0007").to_yaml())
    deliver(folder)
    found = runs(uri)
    assert "winner" not in found["made"].data.tags
    assert [name for name, run in sorted(found.items()) if "test/recall_at_20" in run.data.metrics] == ["0000", "0001"]


def test_delivering_again_changes_nothing(tmp_path, uri):
    folder = made_folder(tmp_path, trials=2, uri=uri)
    deliver(folder)
    before = {name: run.info.run_id for name, run in runs(uri).items()}
    deliver(folder)
    ids = folder.tracking.read_text()
    folder.tracking.unlink()  # as after a crash between the creation of a run and its line
    deliver(folder)
    assert {name: run.info.run_id for name, run in runs(uri).items()} == before
    assert sorted(folder.tracking.read_text().splitlines()) == sorted(ids.splitlines())
    assert steps(uri, "0001", "valid/recall_at_20") == [1, 2, 3, 4]
    assert steps(uri, "0001", "test/recall_at_20") == [4]
    assert steps(uri, "made", "various/best/epoch") == [2]


def test_of_two_runs_that_a_lost_reply_left_one_stays(tmp_path, uri):
    folder = made_folder(tmp_path, trials=1, uri=uri)
    deliver(folder)
    twice = runs(uri)["0000"]
    client(uri).create_run(twice.info.experiment_id, start_time=1, tags=twice.data.tags)
    deliver(folder)
    assert runs(uri)["0000"].info.run_id == twice.info.run_id


def test_an_interrupted_search_goes_on_in_the_same_runs(tmp_path, uri):
    folder = made_folder(tmp_path, trials=1, uri=uri)
    made_trial(folder, "0001", epochs=3)
    deliver(folder, interrupted=True)
    before = runs(uri)
    assert {name: run.info.status for name, run in before.items()} == {
        "made": "KILLED", "0000": "FINISHED", "0001": "KILLED"
    }  # fmt: skip
    assert before["0001"].data.tags["status"] == "interrupted"

    tracker = started(folder)
    assert tracker.run_ids.ids.get("0001") == before["0001"].info.run_id
    until(lambda: runs(uri)["0001"].info.status == runs(uri)["made"].info.status == "RUNNING")
    assert runs(uri)["0001"].data.tags["status"] == "running"
    folder.trial("0001").forget_epochs_after(1)
    for epoch in (2, 3, 4):
        folder.trial("0001").append_epoch(made_row("0001", epoch, time=1_700_009_000.0 + epoch))
    end_trial(folder, "0001", "failed", "out of memory")
    assert tracker.close(interrupted=False, timeout=900) == 0
    after = runs(uri)
    assert {name: run.info.run_id for name, run in after.items()} == {
        name: run.info.run_id for name, run in before.items()
    }
    assert [after[name].info.status for name in ("made", "0000", "0001")] == ["FINISHED", "FINISHED", "FAILED"]
    assert steps(uri, "0001", "loss") == [1, 2, 3, 4]


@pytest.mark.parametrize("name", ["a%20b", "what?", "#1, 100% größe 'q'"])
def test_a_folder_whose_name_means_something_in_a_url(tmp_path, monkeypatch, empty_database, name):
    here = tmp_path / name
    here.mkdir()
    monkeypatch.chdir(here)
    shutil.copy(empty_database, here / "mlflow.db")
    folder = made_folder(here, trials=1, uri="sqlite:///mlflow.db")
    said = []
    for _ in range(2):  # the second time as --resume does
        tracker = started(folder, said)
        assert tracker.close(interrupted=False, timeout=900) == 0
    assert said == []
    assert [path.name for path in tmp_path.iterdir()] == [name]  # and none beside it
    found = runs(sqlite_url(here / "mlflow.db", "sqlite+pysqlite"))
    assert set(found) == {"made", "0000"}
    files = here / "mlartifacts" / found["made"].info.run_id / "artifacts"
    assert {path.name for path in files.iterdir()} == {"spec.yaml", "environment.json"}
    assert steps(sqlite_url(here / "mlflow.db", "sqlite+pysqlite"), "0000", "loss") == [1, 2, 3, 4]


def test_a_moved_folder_is_not_made_again_where_it_was(tmp_path, monkeypatch, empty_database, caplog):
    old, new = tmp_path / "old", tmp_path / "new"
    old.mkdir()
    shutil.copy(empty_database, old / "mlflow.db")
    monkeypatch.chdir(old)
    deliver(made_folder(old, trials=1, uri="sqlite:///mlflow.db"))
    old.rename(new)
    monkeypatch.chdir(new)
    monkeypatch.setattr("mlflow.tracking._tracking_service.utils._artifact_repos_cache", OrderedDict())  # a new process
    folder = SearchFolder(new / "searches" / "made")
    folder.best.write_text("new")
    deliver(folder)
    assert not old.exists()
    uri = f"sqlite:///{new / 'mlflow.db'}"
    found = runs(uri)
    assert set(found) == {"made", "0000"}
    assert {file.path for file in client(uri).list_artifacts(found["made"].info.run_id)} == {
        "spec.yaml", "environment.json", "best.yaml"
    }  # fmt: skip
    line = [record.getMessage() for record in caplog.records if record.name == "mirrortune"][-1]
    assert line == f"MLflow: {new}/mlflow.db was moved from {old}; its runs' files belong in {new}/mlartifacts now"


def test_the_experiment_opens_in_the_view_of_trained_models(tmp_path, uri):
    """What a user chose stays, and so does an experiment that the user has made."""
    deliver(made_folder(tmp_path, trials=1, uri=uri))
    store = client(uri)
    ours = store.get_experiment_by_name("mirrortune")
    assert ours.tags[KIND] == "custom_model_development"
    store.set_experiment_tag(ours.experiment_id, KIND, "genai_development")
    deliver(made_folder(tmp_path / "again", trials=1, uri=uri))
    assert store.get_experiment(ours.experiment_id).tags[KIND] == "genai_development"


def test_an_experiment_of_an_older_version_gets_its_view(tmp_path, uri):
    store = client(uri)
    ours, other = (store.create_experiment(name, (tmp_path / "files").as_uri()) for name in ("mirrortune", "mine"))
    for name in ("mirrortune", "mine"):
        MlflowStore(uri, name)
    assert store.get_experiment(ours).tags[KIND] == "custom_model_development"
    assert KIND not in store.get_experiment(other).tags


def test_mlflow_gives_the_metric_that_decides_first(tmp_path, uri):
    """Its page that compares runs takes the first one."""
    deliver(made_folder(tmp_path, trials=1, uri=uri))
    assert next(iter(runs(uri)["0000"].data.metrics)) == "best/valid/recall_at_20"


def test_an_experiment_may_be_given_by_its_id(tmp_path, uri):
    number = client(uri).create_experiment("mine", (tmp_path / "files").as_uri())
    folder = made_folder(tmp_path, trials=1)
    folder.write_spec(made_spec(tracking={"uri": uri, "experiment_id": number}))
    deliver(folder)
    assert {run.info.run_name for run in client(uri).search_runs([number])} == {"made", "BPR-demo-mg 0000"}
    assert KIND not in client(uri).get_experiment(number).tags
    assert client(uri).get_experiment_by_name("mirrortune") is None


def test_what_mlflow_says_of_an_experiments_id(tmp_path, uri):
    store = client(uri)
    number, gone = (store.create_experiment(name, (tmp_path / "files").as_uri()) for name in ("mine", "gone"))
    store.delete_experiment(gone)
    check_experiment_id(uri, number, None)
    check_experiment_id(uri, number, "mine")
    check_experiment_id(uri, number, "not there yet")
    check_experiment_id(f"http://127.0.0.1:{free_port()}", number, None)  # nobody can say
    for unknown, name, message in (
        ("999", None, f"^MLFLOW_EXPERIMENT_ID 999: .*id=999 .* in {uri}; --experiment NAME takes another$"),
        (gone, None, f"^MLFLOW_EXPERIMENT_ID {gone}: there is no such experiment in "),
        (gone, "mine", f"^MLFLOW_EXPERIMENT_ID {gone}: expected {number}, the id of the experiment mine in "),
    ):
        with pytest.raises(UserError, match=message):
            check_experiment_id(uri, unknown, name)
    with pytest.raises(UserError, match=r"^MLFLOW_EXPERIMENT_ID 1: there is no such experiment in "):
        check_experiment_id(f"sqlite:///{tmp_path}/new.db", "1", None)
    assert not (tmp_path / "new.db").exists()


def test_records_are_there_when_they_are_delivered(tmp_path, uri, monkeypatch):
    """MLflow can be told to write later; a delivery that is thought complete could be lost then."""
    monkeypatch.setenv("MLFLOW_ENABLE_ASYNC_LOGGING", "true")
    never = "mlflow.store.tracking.abstract_store.AbstractStore.log_batch_async"
    monkeypatch.setattr(never, lambda *_, **__: None)
    deliver(made_folder(tmp_path, trials=1, uri=uri))
    assert steps(uri, "0000", "loss") == [1, 2, 3, 4]


@pytest.mark.parametrize(
    ("variables", "expected"),
    [
        ({"MLFLOW_TRACKING_USERNAME": "me", "MLFLOW_TRACKING_PASSWORD": "secret"}, "Basic bWU6c2VjcmV0"),
        ({"MLFLOW_TRACKING_TOKEN": "t0ken"}, "Bearer t0ken"),
        ({"MLFLOW_TRACKING_URI": "http://me:secret@127.0.0.1:{port}"}, "Basic bWU6c2VjcmV0"),
    ],
)
def test_a_servers_password_may_come_from_mlflows_variables(tmp_path, monkeypatch, variables, expected):
    seen: list[str | None] = []

    class Guard(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append(self.headers["Authorization"])
            self.send_error(401)

        def log_message(self, *_: Any) -> None: ...

    guard = ThreadingHTTPServer(("127.0.0.1", 0), Guard)
    for name, value in variables.items():
        monkeypatch.setenv(name, value.format(port=guard.server_port))
    threading.Thread(target=guard.serve_forever, daemon=True).start()
    said: list[str] = []
    tracker = started(made_folder(tmp_path, trials=1, uri=f"http://127.0.0.1:{guard.server_port}"), said)
    until(lambda: said)
    guard.shutdown()
    guard.server_close()
    assert tracker.close(interrupted=False, timeout=0) == 2
    assert set(seen) == {expected}
    assert "401" in said[-1]


@pytest.mark.parametrize("uri", ["sqlite:///{here}/a file/mlflow.db", "postgresql://me:secret@127.0.0.1/db"])
def test_the_cause_of_a_failed_delivery_is_told_at_the_latest_at_the_end(tmp_path, monkeypatch, uri):
    def fail(*_: Any) -> Any:
        raise RuntimeError(f"cannot connect to {tracker._uri}")

    (tmp_path / "a file").touch()
    said: list[str] = []
    folder = made_folder(tmp_path, trials=1, uri=uri.format(here=tmp_path))
    tracker = Tracker(folder, folder.spec(), said.append, lambda records, tests: SUMMARY)
    if uri.startswith("postgresql"):
        monkeypatch.setattr(tracker, "_deliver", fail)
    tracker.start()
    until(lambda: tracker._error)
    assert tracker.close(interrupted=False, timeout=0) == 2
    assert said[-1].startswith("MLflow: 2 of 2 runs still wait (")
    assert said[-1].endswith("); --resume made delivers them")
    cause = "cannot connect to postgresql://127.0.0.1/db" if uri.startswith("postgresql") else "a file"
    assert cause in said[-1]
    assert "secret" not in " ".join(said)


def test_values_that_are_no_finite_numbers_are_named_in_a_tag(tmp_path, uri):
    folder = made_folder(tmp_path, trials=0, uri=uri)
    made_trial(folder, "0000", epochs=1)
    folder.trial("0000").append_epoch(made_row("0000", 2, loss=None))
    end_trial(folder, "0000", "failed", "diverged")
    deliver(folder)
    assert steps(uri, "0000", "loss") == [1]
    assert steps(uri, "0000", "valid/recall_at_20") == [1, 2]
    assert runs(uri)["0000"].data.tags["non_finite"] == "loss"


def test_a_run_id_is_known_while_the_trial_runs(tmp_path, uri):
    folder = made_folder(tmp_path, trials=0, uri=uri)
    tracker = started(folder)
    made_trial(folder, "0000", epochs=1)
    assert tracker.run_ids.ids.get("0001") is None
    until(lambda: tracker.run_ids.ids.get("0000"))
    tracker.close(interrupted=True, timeout=900)
    assert tracker.run_ids.ids.get("0000") == runs(uri)["0000"].info.run_id


def test_two_searches_write_to_one_new_database(tmp_path):
    """In two processes, which also create its tables, after one that was killed over this. They have nothing to say."""
    script = (
        "import sys; from pathlib import Path; from tests.tuning.tracking.test_tracker import started\n"
        "from tuning.records.folder import SearchFolder; said = []\n"
        "assert started(SearchFolder(Path(sys.argv[1])), said).close(False, 900) == 0 and not said, said"
    )
    (tmp_path / "mlflow.db.new").write_text("half a database")
    uri = f"sqlite:///{tmp_path / 'mlflow.db'}"
    folders = [made_folder(tmp_path, trials=3, epochs=20, uri=uri, name=name) for name in ("a", "b")]
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", script, folder.path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, cwd=ROOT
        )
        for folder in folders
    ]
    for writer in writers:
        output, _ = writer.communicate()
        assert (writer.returncode, output) == (0, b"")
    store = client(uri)
    found = store.search_runs([store.get_experiment_by_name("mirrortune").experiment_id])
    assert sorted(run.data.tags["mirrortune.search"] for run in found) == ["a"] * 4 + ["b"] * 4


def test_a_lost_reply_is_not_asked_for_twice(tmp_path, monkeypatch):
    store = FakeStore(breaks=2, after=True)  # the creation of the first run

    class Kind:
        title, resolve = "Fake", staticmethod(str)

        def __new__(cls, uri: str, experiment: str) -> Any:
            return store

    monkeypatch.setitem(STORES, "fake", Kind)
    deliver(made_folder(tmp_path, trials=1, uri="fake:"))
    assert set(store.named()) == {"search", "0000"}


def test_files_that_cannot_be_stored_are_mentioned_once(tmp_path, uri):
    (tmp_path / "mlartifacts").write_text("in the way")
    folder, said = made_folder(tmp_path, trials=1, uri=uri), []
    tracker = started(folder, said)
    until(lambda: said)
    assert tracker.close(interrupted=False, timeout=900) == 0
    assert len(said) == 1
    assert "files were not stored" in said[0]
    assert runs(uri)["made"].info.status == "FINISHED"


@pytest.fixture
def server(tmp_path: Path, uri: str) -> Iterator[Server]:
    server = Server(tmp_path)
    yield server
    server.kill()


def test_a_server_is_killed_and_comes_back(tmp_path, server, capfd):
    server.start()
    folder, said = made_folder(tmp_path, trials=1, uri=server.uri), []
    made_trial(folder, "0001", epochs=3)
    tracker = started(folder, said)
    until(lambda: tracker.run_ids.ids.get("0001"))
    server.kill()
    folder.trial("0001").append_epoch(made_row("0001", 4))
    made_trial(folder, "0002", epochs=4)
    until(lambda: said)
    assert "the search goes on" in said[0]
    assert tracker.run_ids.ids.get("0002") is None
    server.start()
    until(lambda: len(said) == 2)
    assert said[1] == "MLflow: works again, the records are up to date"
    end_trial(folder, "0001", "pruned")
    end_trial(folder, "0002")
    assert tracker.close(interrupted=False, timeout=900) == 0
    assert len(said) == 2
    assert capfd.readouterr() == ("", "")  # MLflow's own words are not the search's
    found = runs(server.uri)
    assert {name: run.info.status for name, run in found.items()} == dict.fromkeys(
        ("made", "0000", "0001", "0002"), "FINISHED"
    )
    for name in ("0000", "0001", "0002"):
        assert steps(server.uri, name, "valid/recall_at_20") == [1, 2, 3, 4]
    assert {file.path for file in client(server.uri).list_artifacts(found["made"].info.run_id)} == {
        "spec.yaml", "environment.json"
    }  # fmt: skip


def test_nothing_waits_for_a_server_that_never_answers(tmp_path, monkeypatch):
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "60")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        folder = made_folder(tmp_path, trials=2, uri=f"http://127.0.0.1:{silent.getsockname()[1]}")
        said: list[str] = []
        tracker = started(folder, said)
        connection, _ = silent.accept()
        begin = time.monotonic()
        assert tracker.close(interrupted=False, timeout=0.3) == 3
        assert time.monotonic() - begin < 30  # and not the minute of a request
        waiting = f"no answer yet from http://127.0.0.1:{silent.getsockname()[1]}"
        assert said == [f"MLflow: 3 of 3 runs still wait ({waiting}); --resume made delivers them"]
        connection.close()
    until(lambda: "tracker" not in [thread.name for thread in threading.enumerate()])


def test_without_a_server_the_records_wait_for_the_next_start(tmp_path):
    said: list[str] = []
    folder = made_folder(tmp_path, trials=1, uri=f"http://user:secret@127.0.0.1:{free_port()}")
    tracker = started(folder, said)
    until(lambda: said)
    assert tracker.close(interrupted=False, timeout=0.2) == 2
    assert len(said) == 2
    assert "secret" not in said[0]
    assert read_lines(folder.tracking) == []


def test_importing_the_tracker_does_not_import_mlflow():
    code = "import sys, tuning.tracking.tracker; assert 'mlflow' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)


def test_a_relative_database_belongs_to_the_directory_of_the_start(tmp_path, monkeypatch, empty_database):
    shutil.copy(empty_database, tmp_path / "mlflow.db")
    monkeypatch.chdir(tmp_path)
    folder = made_folder(tmp_path, trials=0, uri="sqlite:///mlflow.db")
    tracker = Tracker(folder, made_spec(), print, lambda records, tests: SUMMARY)
    monkeypatch.chdir("/")
    tracker.start()
    assert tracker.close(interrupted=False, timeout=900) == 0
    assert set(runs(f"sqlite:///{tmp_path / 'mlflow.db'}")) == {"made"}
