"""The winner as an MLflow model: loaded or served it answers what `recommend` writes, and it has no pickle."""

import json
import os
import pickle
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

import run_search
from recmodels.data import load_dataset
from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from recmodels.prepare.user_table import prepare_own
from tests.tuning.cli.helpers import refused
from tests.tuning.factories import ENVIRONMENT, made_plan, made_spec
from tests.tuning.tracking.mlflow_server import Server, free_port, until
from tuning.execution.trial import run_trial
from tuning.records import SearchFolder, TrialRecord
from tuning.records.environment import DataFacts
from tuning.records.trials import record_of
from tuning.search import Search
from tuning.space.catalogue import search_space
from tuning.spec import SearchSpec
from tuning.tracking.mlflow_registry import WINNER
from tuning.tracking.registration import check_register, register

N = 40
SMALL = ("embedding_size=16", "learning_rate=0.05", "batch_size=8")


def prepared(numbers: bool) -> RecDataset:
    """A data set of 40 users and 40 items whose ids are numbers from 100 on, or texts."""
    rng = np.random.default_rng(0)
    users, items = ([100 + each if numbers else f"{kind} {each:02}" for each in range(N)] for kind in ("user", "item"))
    pairs = [(users[u], items[i]) for u in range(N) for i in rng.choice(N, 8, replace=False)]
    pd.DataFrame(pairs, columns=["user", "item"]).to_csv("plays.csv", index=False)
    prepare_own(Path("plays.csv"), name="own", data_dir=Path("data"))
    return load_dataset("own", Path("data"))


def ended_search(data: RecDataset, uri: str = "sqlite:///mlflow.db") -> tuple[SearchSpec, TrialRecord]:
    """A search with one trial, without Ray, whose records are in MLflow."""
    training = {"max_epochs": 3, "metric": "recall@5"}
    tracking = {"uri": uri, "registered_as": "songs"}
    space = search_space("BPR", "plain", "own", overrides=SMALL)
    spec = made_spec(space=space, dataset="own", strategy="plain", training=training, tracking=tracking)
    folder = SearchFolder.of(spec)
    folder.write_spec(spec)
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(data)))
    plan = made_plan(strategy="plain", params=space.resolve(space.default_point() or {}))
    folder.trial("0000").write_plan(plan)
    run_trial(
        plan,
        model="BPR",
        data=data,
        training=spec.training,
        folder=folder.trial("0000"),
        report=lambda row: None,
    )
    result = folder.trial("0000").result()
    assert result is not None
    folder.append_record(record_of(plan, folder.trial("0000").epochs(), result))
    outcome = Search(spec, data).conclude()
    assert outcome.winner is not None
    assert outcome.waiting == 0
    return spec, outcome.winner


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("MLFLOW_TRACKING_URI", f"sqlite:///{tmp_path}/mlflow.db")
    return tmp_path


def recommended(spec: SearchSpec, winner: TrialRecord, *arguments: str) -> pd.DataFrame:
    folder = SearchFolder.of(spec)
    weights = str(folder.trial(winner.trial).best_weights(winner.best_epoch or 0))
    command = ["recommend", str(folder.best), "--weights", weights, "--output", "r.csv", *arguments]
    assert run_search.main(command) == 0
    return pd.read_csv("r.csv", dtype={"score": np.float32})


def loaded(model: str) -> Any:
    import mlflow

    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    return mlflow.pyfunc.load_model(model)


def client() -> Any:
    from mlflow import MlflowClient

    return MlflowClient(os.environ["MLFLOW_TRACKING_URI"])


@pytest.fixture
def no_pickle(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a pickle is read")

    with monkeypatch.context() as patch:
        for where, name in ((pickle, "load"), (pickle, "loads"), (pickle, "Unpickler"), (torch, "load")):
            patch.setattr(where, name, refuse)
        yield


@pytest.mark.parametrize("numbers", [False, True], ids=["texts", "numbers"])
@pytest.mark.usefixtures("here", "no_pickle")
def test_a_registered_winner_recommends_as_the_command_does_in_the_users_own_ids(numbers: bool) -> None:
    data = prepared(numbers)
    spec, winner = ended_search(data)
    model = loaded(register(spec, winner, data))
    expected = recommended(spec, winner)
    users = pd.DataFrame({"user": expected["user"].unique()})
    assert users["user"].dtype == ("int64" if numbers else "str")
    found = model.predict(users)
    pd.testing.assert_frame_equal(found.astype(expected.dtypes), expected, check_exact=True)
    assert [type(value) for value in found.loc[0, ["user", "item"]]] == [int if numbers else str] * 2
    some = users.iloc[[7, 2, 7]]
    few = model.predict(some, params={"k": 3, "leave_out": "none"})
    assert few["user"].tolist() == [each for user in some["user"].unique() for each in [user] * 3]
    without = recommended(spec, winner, "--top", "3", "--leave-out", "none")
    both = few.merge(without, on=["user", "rank", "item"], suffixes=("", "_expected"))
    assert len(both) == 6
    assert (both["score"].astype(np.float32) == both["score_expected"]).all()
    assert model.predict(users.head(0)).empty
    with pytest.raises(UserError, match=r"^no user '999', expected ids such as '(100|user 00)'$"):
        model.predict(pd.DataFrame({"user": [999 if numbers else "999"]}))
    with pytest.raises(UserError, match=r"^k: expected at least 1, but got 0$"):
        model.predict(users, params={"k": 0})
    with pytest.raises(UserError, match=r"^leave_out: expected one of train, all, none, but got 'x'$"):
        model.predict(users, params={"leave_out": "x"})


@pytest.mark.usefixtures("here")
def test_the_model_has_its_code_weights_ids_and_export_and_no_pickle() -> None:
    import mlflow
    from mlflow.models import Model

    data = prepared(numbers=False)
    spec, winner = ended_search(data)
    assert register(spec, winner, data) == "models:/songs/1"
    mlflow.set_tracking_uri(os.environ["MLFLOW_TRACKING_URI"])
    path = Path(mlflow.artifacts.download_artifacts("models:/songs/1"))
    files = {str(each.relative_to(path)) for each in path.rglob("*") if each.is_file()}
    own = {"export.yaml", "ids.json", "ranking.safetensors", "weights.safetensors"}
    assert {f"artifacts/winner/{name}" for name in own} | {"mlflow_model.py", "input_example.json"} <= files
    assert "code/recmodels/evaluation/trained_ranking.py" in files
    assert not [name for name in files if Path(name).suffix in (".pkl", ".pickle", ".pt", ".pth", ".pyc", ".joblib")]
    assert (path / "artifacts/winner/export.yaml").read_text() == SearchFolder.of(spec).best.read_text()
    model = Model.load(str(path))
    assert model.signature.inputs.to_dict() == [{"name": "user", "type": "string", "required": True}]
    assert [column["name"] for column in model.signature.outputs.to_dict()] == ["user", "rank", "item", "score"]
    assert [each.name for each in model.signature.params] == ["k", "leave_out"]
    assert loaded("models:/songs/1").predict(model.load_input_example(str(path)))["user"].nunique() == 3
    run = client().get_run(model.run_id)
    assert run.info.run_name == "made"  # the search's own
    assert [each.model_id for each in run.outputs.model_outputs] == [model.model_id]


@pytest.mark.usefixtures("here")
def test_a_winner_is_registered_once_also_after_a_crash(monkeypatch: pytest.MonkeyPatch) -> None:
    from mlflow import MlflowClient

    data = prepared(numbers=False)
    spec, winner = ended_search(data)
    for step in ("log_outputs", "log_model_artifacts", "finalize_logged_model", "create_model_version"):
        with monkeypatch.context() as patch:
            patch.setattr(MlflowClient, step, lambda *_, **__: (_ for _ in ()).throw(OSError("killed")))
            with pytest.raises(OSError, match="killed"):
                register(spec, winner, data)
    assert [register(spec, winner, data) for _ in range(2)] == ["models:/songs/1"] * 2
    (version,) = client().search_model_versions("name = 'songs'")
    (model,) = client().search_logged_models([client().get_experiment_by_name("mirrortune").experiment_id])
    assert (model.status, model.tags[WINNER]) == ("READY", version.tags[WINNER])
    other = spec.model_copy(update={"tracking": spec.tracking.model_copy(update={"registered_as": "other"})})
    assert register(other, winner, data) == "models:/other/1"
    best = SearchFolder.of(spec).best
    best.write_text(best.read_text() + "# changed\n")
    assert register(spec, winner, data) == "models:/songs/2"


@pytest.mark.usefixtures("here")
def test_what_cannot_be_registered_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    data = prepared(numbers=False)
    spec, winner = ended_search(data)
    SearchFolder.of(spec).trial("0000").best_weights(winner.best_epoch or 0).unlink()
    with pytest.raises(UserError, match=r"best-000\d.safetensors: no such file, expected weights such as"):
        register(spec, winner, data)
    SearchFolder.of(spec).tracking.unlink()
    with pytest.raises(UserError, match=r"tracking.jsonl: no run of the search, whose records must arrive first$"):
        register(spec, winner, data)
    check_register(spec)
    new = ("--model", "BPR", "--dataset", "demo", "--register")
    assert refused(capsys, *new, "songs", "--tracking-uri", "none").startswith("--register songs: the search has no")
    assert refused(capsys, *new, "a/b").startswith("--register: ")


@pytest.mark.usefixtures("here")
@pytest.mark.long
def test_a_served_winner_answers_the_same_top_20_as_recommend(tmp_path: Path) -> None:
    """Registered with an MLflow server, and served from it."""
    data, records, port = prepared(numbers=False), Server(tmp_path), free_port()
    served: subprocess.Popen[bytes] | None = None
    try:
        records.start()
        spec, winner = ended_search(data, records.uri)
        command = [sys.executable, "-m", "mlflow", "models", "serve", "-m", register(spec, winner, data)]
        command += ["--env-manager", "local", "--host", "127.0.0.1", "--port", str(port)]
        clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
        clean["MLFLOW_TRACKING_URI"] = records.uri
        clean["PATH"] = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"  # where MLflow seeks uvicorn
        with (tmp_path / "serve.log").open("w") as log:
            served = subprocess.Popen(command, stdout=log, stderr=log, env=clean, start_new_session=True)
        until(lambda: served.poll() is not None or healthy(f"http://127.0.0.1:{port}/health"))
        assert served.poll() is None, (tmp_path / "serve.log").read_text()
        expected = recommended(spec, winner)
        users = expected["user"].unique().tolist()
        answer = asked(port, {"dataframe_split": {"columns": ["user"], "data": [[user] for user in users]}})
        found = pd.DataFrame(answer["predictions"]).astype({"score": np.float32})
        pd.testing.assert_frame_equal(found.astype(expected.dtypes), expected, check_exact=True)
        with pytest.raises(urllib.error.HTTPError) as refusal:
            asked(port, {"dataframe_records": [{"user": "nobody"}]})
        assert refusal.value.code == 400
        assert "no user 'nobody', expected ids such as 'user 00'" in refusal.value.read().decode()
    finally:
        records.kill()
        if served:
            os.killpg(served.pid, signal.SIGKILL)
            served.wait()


def healthy(url: str) -> bool:
    try:
        return urllib.request.urlopen(url, timeout=60).status == 200
    except OSError:
        return False


def asked(port: int, content: dict[str, Any]) -> Any:
    body, kind = json.dumps(content).encode(), {"Content-Type": "application/json"}
    request = urllib.request.Request(f"http://127.0.0.1:{port}/invocations", body, kind)
    return json.loads(urllib.request.urlopen(request, timeout=900).read())
