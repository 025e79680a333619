"""The command line with real Ray workers: searches killed, interrupted, resumed and replayed, and failing trials."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import mlflow
import optuna
import psutil
from mlflow.tracking import MlflowClient
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend

from tests.tuning.cli.helpers import BARE
from tests.tuning.factories import earlier_search
from tests.tuning.tracking.mlflow_server import Server, until
from tuning.export import Export
from tuning.records.folder import SearchFolder
from tuning.records.sealed import open_test

SCRIPT = Path(__file__).parents[2] / "run_search.py"
MODEL = ("--model", "LightGCN", "--dataset", "demo", "--set", "embedding_size=8")
SMALL = (*MODEL, "--name", "s", *BARE)


def started(where: Path, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"XDG_CACHE_HOME": str(where / "cache"), "PYTHONUNBUFFERED": "1"}
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=where,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


def finish(process: subprocess.Popen[str], code: int = 0) -> str:
    output, _ = process.communicate(timeout=900)
    assert process.returncode == code, output
    return output


def wait_for(condition: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    until(lambda: condition() or process.poll() is not None)
    assert process.poll() is None, process.communicate()[0]


def listening(pid: int) -> set[str]:
    """The addresses at which a process and its descendants accept connections."""
    process = psutil.Process(pid)
    sockets = [each for p in (process, *process.children(recursive=True)) for each in p.net_connections("inet")]
    return {each.laddr.ip.removeprefix("::ffff:") for each in sockets if each.status == psutil.CONN_LISTEN}


def states(folder: SearchFolder) -> list[str]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(folder.journal)))
    return [trial.state.name for trial in optuna.load_study(study_name=folder.name, storage=storage).trials]


def runs(where: Path) -> dict[str, mlflow.entities.Run]:
    """Trial -> its run in MLflow; the search's has its name."""
    return runs_at(f"sqlite:///{where / 'mlflow.db'}")


def runs_at(uri: str) -> dict[str, mlflow.entities.Run]:
    found = every_run(uri)
    named = {run.data.tags.get("mirrortune.trial", run.info.run_name): run for run in found}
    assert len(found) == len(named)
    return named


def every_run(uri: str) -> list[mlflow.entities.Run]:
    client = MlflowClient(tracking_uri=uri)
    experiment = client.get_experiment_by_name("mirrortune")
    assert experiment is not None
    return list(client.search_runs([experiment.experiment_id]))


def test_a_killed_search_goes_on_where_it_was(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path / "searches" / "s")
    first = started(tmp_path, *SMALL, "--trials", "6", "--max-epochs", "12", "--scheduler", "none")
    wait_for(lambda: len(folder.ledger()) >= 2, first)
    wait_for(lambda: any(t.epochs() and not t.result() for t in folder.trials()), first)
    assert listening(first.pid) == {"127.0.0.1"}
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    before = folder.ledger()
    assert 2 <= len(before) < 6

    output = finish(started(tmp_path, "--resume", "s"))
    lines = [json.loads(line) for line in (folder.path / "ledger.jsonl").read_text().splitlines()]
    assert sorted(line["trial"] for line in lines) == [f"{number:04d}" for number in range(6)]
    assert list(before.values()) == list(folder.ledger().values())[: len(before)]
    assert sorted(states(folder)) == ["COMPLETE"] * 6
    recorded = runs(tmp_path)
    assert sorted(recorded) == [*(f"{number:04d}" for number in range(6)), "s"]
    assert {run.info.status for run in recorded.values()} == {"FINISHED"}
    for record in folder.ledger().values():
        assert [row.epoch for row in folder.trial(record.trial).epochs()] == list(range(1, record.epochs + 1))
        assert recorded[record.trial].data.metrics["best/valid/recall_at_20"] == record.value
    assert "best configuration: best_configs/LightGCN-demo-mg.yaml" in output

    # A finished search is extended under the same name, and its winner replays to the same metrics.
    finish(started(tmp_path, "--resume", "s", "--trials", "7"))
    assert len(folder.ledger()) == 7
    assert "digit by digit" in finish(started(tmp_path, "--replay", "best_configs/LightGCN-demo-mg.yaml"))


def test_a_killed_warm_start_goes_on_as_it_began(tmp_path: Path) -> None:
    """The values of an earlier search are the sampler's, once, and no trials of this search."""
    rules = {"max_epochs": 4}
    earlier = earlier_search(tmp_path / "searches", overrides=["embedding_size=8"], training=rules)
    folder = SearchFolder(tmp_path / "searches" / "s")
    options = ("--warm-start", "old", "--trials", "5", "--max-epochs", "4", "--scheduler", "none")
    first = started(tmp_path, *SMALL, *options, "--tracking-uri", "none")
    wait_for(lambda: len(folder.ledger()) >= 1, first)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    before = folder.spec().warm_start
    shutil.rmtree(earlier.path)

    output = finish(started(tmp_path, "--resume", "s"))
    assert folder.spec().warm_start == before
    records = folder.ledger()
    assert sorted(records) == [f"{number:04d}" for number in range(5)]
    assert [records[f"{number:04d}"].point for number in range(4)] == [
        *(start.point for start in folder.spec().space.starts()[0]),
        {"alpha": 0.7, "beta/alpha": 0.5, "interval": 3},
    ]
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = JournalStorage(JournalFileBackend(str(folder.journal)))
    trials = optuna.load_study(study_name="s", storage=storage).trials
    assert [trial.user_attrs["source"] for trial in trials if "known" in trial.user_attrs] == ["old/0001", "old/0000"]
    assert {trial.state.name for trial in trials if "known" in trial.user_attrs} == {"COMPLETE"}
    assert sum(trial.state.name == "COMPLETE" for trial in trials) == 7
    assert "old/" not in output


def test_ctrl_c_ends_cleanly_and_exports_the_best_so_far(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path / "searches" / "s")
    process = started(tmp_path, *SMALL, "--trials", "50", "--max-epochs", "10")
    wait_for(lambda: len(folder.ledger()) >= 1, process)
    process.send_signal(signal.SIGINT)
    output = finish(process, code=130)
    assert "interrupted; go on with: python run_search.py --resume s" in output
    assert (tmp_path / "best_configs" / "LightGCN-demo-mg.yaml").exists()
    assert not folder.scratch.exists()
    assert "RUNNING" not in states(folder)
    recorded = runs(tmp_path)
    assert "RUNNING" not in {run.info.status for run in recorded.values()}
    assert recorded["s"].info.status == "KILLED"

    done = len(folder.trials())
    finish(started(tmp_path, "--resume", "s", "--trials", str(done)))
    assert len(folder.ledger()) == done


def test_a_killed_experiment_goes_on_where_it_was(tmp_path: Path) -> None:
    """Killed in the search of the base, and again in its confirmation."""
    searches = tmp_path / "searches"
    options = ("--confirm-top", "2", "--confirm-seeds", "2", "--trials", "2", "--max-epochs", "2", "--name", "c")
    process = started(tmp_path, *MODEL, *options, "--register", "demo")
    before: dict[str, str] = {}
    for stage in ("c-plain", "c-plain-seeds"):
        ledger = searches / stage / "ledger.jsonl"
        wait_for(ledger.exists, process)
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        before[stage] = ledger.read_text()
        process = started(tmp_path, "--resume", "c")
    output = finish(process)

    done = [json.loads(line)["search"] for line in (searches / "c" / "done.jsonl").read_text().splitlines()]
    assert done == ["c-plain", "c-plain-seeds", "c-mg", "c-mg-seeds"]
    for name, trials in zip(done, (2, 4, 2, 4), strict=True):
        ledger = searches / name / "ledger.jsonl"
        assert ledger.read_text().startswith(before.get(name, ""))
        folder = SearchFolder(searches / name)
        assert len(ledger.read_text().splitlines()) == len(folder.ledger()) == trials
        for record in folder.ledger().values():
            assert [row.epoch for row in folder.trial(record.trial).epochs()] == list(range(1, record.epochs + 1))
    for name in ("plain", "mg"):
        seeds = SearchFolder(searches / f"c-{name}-seeds").ledger().values()
        assert sorted(record.seed for record in seeds) == [1000, 1000, 1001, 1001]
        assert len({json.dumps(record.params) for record in seeds}) == 2
    verdict = output.splitlines()[-1]
    assert verdict.startswith("mg (alpha ")
    assert "over 1,000 users after Holm for 1 comparison): " in verdict
    assert verdict in (searches / "c" / "result.md").read_text()
    export = Export.read(tmp_path / "best_configs" / "LightGCN-demo-mg.yaml")
    assert export.confirmation is not None
    assert (export.confirmation.verdict, export.confirmation.seeds) == (verdict, (1000, 1001))
    assert not list(tmp_path.glob("**/*-seeds*.yaml"))
    recorded = every_run(f"sqlite:///{tmp_path / 'mlflow.db'}")
    assert len(recorded) == 4 + 2 + 4 + 2 + 4
    assert {run.info.status for run in recorded} == {"FINISHED"}
    (search,) = [run for run in recorded if run.info.run_name == "c-mg"]
    assert search.data.tags["confirmed.verdict"] == verdict
    assert search.data.metrics["confirmed/test/recall_at_20/mean"] == export.confirmation.test.mean
    assert sum("test/recall_at_20" in run.data.metrics for run in recorded) == 1 + 4 + 1 + 4  # chosen and confirmed
    (model,) = MlflowClient(f"sqlite:///{tmp_path / 'mlflow.db'}").search_model_versions("name = 'demo'")
    assert model.run_id in {run.info.run_id for run in recorded if run.info.run_name in ("c-plain", "c-mg")}
    assert "is models:/demo/1; it is served by:" in output


def test_popularity_is_a_search_of_one_trial_that_replays(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path / "searches" / "s")
    where = ("--model", "Popularity", "--dataset", "demo", "--name", "s")
    options = ("--strategy", "mg", "--sampler", "tpe", "--trials", "4", "--max-epochs", "5")
    output = finish(started(tmp_path, *where, *options))
    (record,) = folder.ledger().values()
    assert (record.status, record.reason, record.epochs) == ("finished", "nothing to train", 1)
    assert folder.popularity() == {"valid": record.valid, "test": open_test(folder.trial("0000"))}
    assert [line.split()[0] for line in output.splitlines() if line[:10] in ("0000      ", "popularity")] == [
        "0000",
        "popularity",
    ]
    assert "1/1 trials" in output
    assert "warning" not in output
    recorded = runs(tmp_path)
    assert sorted(recorded) == ["0000", "s"]
    assert "popularity, validation" in recorded["s"].data.tags["mlflow.note.content"]
    output = finish(started(tmp_path, "--replay", "best_configs/Popularity-demo-mg.yaml"))
    assert "digit by digit" in output


def test_trials_that_fail_are_recorded_and_stop_nothing(tmp_path: Path) -> None:
    """A learning rate beyond all reason makes the loss infinite in some trials and not in the others, and a size beyond
    all memory has no result."""
    folder = SearchFolder(tmp_path / "searches" / "s")
    rates = "learning_rate={type: categorical, values: [1.0e-3, 1.0e+30], default: 1.0e-3}"
    sizes = "embedding_size={type: categorical, values: [8, 10000000000000], default: 8}"
    fixed = ("--set", "alpha=1.0", "--set", "beta=0.1", "--set", "interval=3", "--set", rates, "--set", sizes)
    output = finish(started(tmp_path, *SMALL, *fixed, "--trials", "4", "--max-epochs", "3"))
    records, plans = folder.ledger(), {plan.trial: plan.params for plan in folder.plans()}
    assert sorted(plans) == ["0000", "0001", "0002", "0003"]  # a finite space is searched as a grid
    huge = {name for name, params in plans.items() if params["model"]["embedding_size"] > 8}
    fast = {name for name, params in plans.items() if params["train"]["learning_rate"] > 1}
    assert folder.out_of_memory().keys() == huge == plans.keys() - records.keys()
    assert {name for name, record in records.items() if record.status == "finished"} == plans.keys() - huge - fast
    (failed,) = fast - huge
    assert records[failed].status == "failed"
    assert records[failed].reason is not None
    assert "the loss became" in records[failed].reason
    assert sorted(states(folder)) == ["COMPLETE", "FAIL", "FAIL", "FAIL"]
    assert runs(tmp_path)[failed].info.status == "FAILED"
    assert {runs(tmp_path)[name].info.status for name in huge} == {"KILLED"}
    assert f"out of memory, without a result: {', '.join(sorted(huge))}; tried again by: " in output


def test_a_search_outlives_its_tracking_server(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path / "searches" / "s")
    server = Server(tmp_path)
    server.start()
    try:
        options = ("--trials", "5", "--max-epochs", "12", "--scheduler", "none", "--tracking-uri", server.uri)
        process = started(tmp_path, *SMALL, *options)
        wait_for(lambda: len(folder.ledger()) >= 2, process)
        server.kill()
        output = finish(process)
        assert "best configuration" in output
        assert output.count("the search goes on, its records are delivered later") == 1
        assert "--resume s delivers them" in output
        server.start()
        finish(started(tmp_path, "--resume", "s"))
        recorded = runs_at(server.uri)
        client = MlflowClient(tracking_uri=server.uri)
        assert len(recorded) == 6
        assert {run.info.status for run in recorded.values()} == {"FINISHED"}
        for record in folder.ledger().values():
            curve = client.get_metric_history(recorded[record.trial].info.run_id, "valid/recall_at_20")
            assert [point.step for point in curve] == list(range(1, 13))
        tested = {name for name, run in recorded.items() if "test/recall_at_20" in run.data.metrics}
        assert tested == {recorded["s"].data.tags["winner"]}  # the others' are sealed
    finally:
        server.kill()


def test_epoch_budget_ends_a_search_that_can_go_on(tmp_path: Path) -> None:
    folder = SearchFolder(tmp_path / "searches" / "s")
    options = ("--trials", "9", "--max-epochs", "4", "--grace", "0.25", "--scheduler", "median")
    options += ("--tracking-uri", "none")
    finish(started(tmp_path, *SMALL, *options, "--epoch-budget", "6"))
    assert (tmp_path / "best_configs" / "LightGCN-demo-mg.yaml").exists()  # of a trial that was cut short
    assert 6 <= sum(len(trial.epochs()) for trial in folder.trials()) <= 10
    assert len(folder.ledger()) < 9
    assert "RUNNING" not in states(folder)
    finish(started(tmp_path, "--resume", "s", "--epoch-budget", "1000"))
    assert len(folder.ledger()) == 9
    assert not (tmp_path / "mlflow.db").exists()
