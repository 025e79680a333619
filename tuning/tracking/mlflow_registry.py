"""The winner of a search in MLflow's registry of models, made from code and safetensors: nothing in it is a pickle."""

import json
import tempfile
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path

import pandas as pd
from mlflow import MlflowClient, pyfunc
from mlflow.entities import LoggedModel, LoggedModelOutput
from mlflow.exceptions import MlflowException
from mlflow.models import Model, ModelSignature
from mlflow.types import ColSpec, DataType, ParamSchema, ParamSpec, Schema

import recmodels
from recmodels.evaluation.recommend import LEFT_OUT
from recmodels.evaluation.trained_ranking import TrainedRanking, are_numbers
from tuning.tracking.uris import DATABASES, scheme

WINNER = "mirrortune.winner"
"""The tag of models and their versions with the digest of what makes the winner."""
NEEDED = ("mlflow", "numpy", "pandas", "safetensors", "scipy", "torch")
"""Packages that the model imports where it is served; their versions are those of here."""
CODE = Path(__file__).with_name("mlflow_model.py")


def register(client: MlflowClient, experiment: str, run_id: str, name: str, files: Path, digest: str) -> str:
    """Keep a winner as a version of the model `name`, unless one has its digest; return `models:/NAME/VERSION`.

    After a crash at any point the next call goes on: a model that is not complete is made again. Raises what MLflow
    raises.
    """
    with suppress(MlflowException):  # it is there
        client.create_registered_model(name)
    for there in client.search_model_versions(f"name = '{name}'"):
        if there.tags.get(WINNER) == digest:
            return f"models:/{name}/{there.version}"
    model = _logged(client, experiment, run_id, name, files, digest)
    # MLflow 3.17 looks a model of a database up in the store of its own settings, whatever the client's is.
    in_database = scheme(client.tracking_uri) in DATABASES
    source = model.artifact_location if in_database else f"models:/{model.model_id}"
    made = client.create_model_version(name, source, run_id, tags={WINNER: digest}, model_id=model.model_id)
    # By this tag MLflow's pages link a model to its versions.
    known = json.loads(model.tags.get("mlflow.modelVersions", "[]"))
    links = [*known, {"name": name, "version": made.version}]
    client.set_logged_model_tags(model.model_id, {"mlflow.modelVersions": json.dumps(links)})
    return f"models:/{name}/{made.version}"


def _logged(client: MlflowClient, experiment: str, run_id: str, name: str, files: Path, digest: str) -> LoggedModel:
    """Return the complete model with this digest of a run, made if there is none."""
    for model in client.search_logged_models([experiment], f"tags.`{WINNER}` = '{digest}'"):
        if model.source_run_id == run_id:
            if model.status == "READY":
                return model
            client.delete_logged_model(model.model_id)  # a crash cut it short
    model = client.create_logged_model(experiment, name, run_id, tags={WINNER: digest}, model_type="recommender")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    with tempfile.TemporaryDirectory() as scratch:
        path = Path(scratch) / "model"
        ranking = TrainedRanking.load(files)
        pyfunc.save_model(
            str(path),
            mlflow_model=Model(artifact_path=model.artifact_location, run_id=run_id, model_id=model.model_id),
            python_model=str(CODE),
            artifacts={"winner": str(files)},
            code_paths=[str(Path(recmodels.__file__).parent)],
            pip_requirements=[f"{package}=={version(package)}" for package in NEEDED],
            signature=_signature(ranking),
            input_example=_example(ranking),
        )
        client.log_model_artifacts(model.model_id, str(path))
    return client.finalize_logged_model(model.model_id, "READY")


def _signature(ranking: TrainedRanking) -> ModelSignature:
    user, item = (DataType.long if are_numbers(ids) else DataType.string for ids in ranking.ids)
    columns = ((user, "user"), (DataType.long, "rank"), (item, "item"), (DataType.float, "score"))
    params = [ParamSpec("k", DataType.long, 20), ParamSpec("leave_out", DataType.string, LEFT_OUT[0])]
    outputs = Schema([ColSpec(kind, name) for kind, name in columns])
    return ModelSignature(Schema([ColSpec(user, "user")]), outputs, ParamSchema(params))


def _example(ranking: TrainedRanking) -> pd.DataFrame:
    """Return the input for the first users."""
    users = list(ranking.ids.users[:3])
    return pd.DataFrame({"user": [int(user) for user in users] if are_numbers(ranking.ids.users) else users})
