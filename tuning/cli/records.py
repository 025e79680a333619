"""Where the records of a search go: options say it, else MLflow's environment variables, else the defaults."""

import os
from typing import Any

from recmodels.errors import UserError
from tuning.cli.arguments import Given
from tuning.cli.options import read_uri
from tuning.commandlines import public
from tuning.records import SearchFolder
from tuning.records.run_ids import RunIds
from tuning.spec import SearchSpec
from tuning.tracking.mlflow_store import MlflowStore, check_experiment_id
from tuning.tracking.registration import check_register
from tuning.tracking.stores import check_stores, store_for, tracking_uris
from tuning.tracking.tracker import run_ids
from tuning.tracking.uris import sqlite_file, with_password

URI, NAME, ID = "MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"


def from_environment(given: Given) -> dict[str, Any]:
    """Return the fields of the spec's `tracking` that MLflow's variables set, because no option does.

    Of the two variables for the experiment its name counts, as in MLflow. An empty variable is none.
    """
    fields: dict[str, Any] = {}
    if "mlflow" not in given.get("tracking", ("mlflow",)):
        return fields
    if os.environ.get(URI) and "tracking_uri" not in given:
        fields["uri"] = read_uri(public(os.environ[URI]))  # spec.yaml keeps no password that it was not given
    if "experiment" not in given:
        if os.environ.get(NAME):
            fields["experiment"] = os.environ[NAME]
        elif os.environ.get(ID):
            fields["experiment_id"] = os.environ[ID]
    return fields


def check_records(spec: SearchSpec, given: Given, source: str) -> None:
    """Raise UserError unless the search can have records where its spec says, and a store that keeps models if one is
    to be registered. `source`: what set MLflow's URI, if not the option."""
    check_stores(spec, "--tracking", "--tracking-uri" if "tracking_uri" in given else source)
    if given.get("tracking_uri") and spec.tracking.mlflow is None:
        given_uri = public(given["tracking_uri"])
        raise UserError(f"--tracking-uri {given_uri}: it is MLflow's, expected mlflow among the names of --tracking")
    check_register(spec)


def check_experiment(spec: SearchSpec, given: Given) -> None:
    """Raise UserError if the experiment of MLFLOW_EXPERIMENT_ID is not there, or is not the one named besides."""
    number, uri = os.environ.get(ID), spec.tracking.mlflow
    if number and uri and "experiment" not in given and store_for(uri) is MlflowStore:
        check_experiment_id(MlflowStore.resolve(with_password(uri)), number, os.environ.get(NAME) or None)


def known_runs(spec: SearchSpec) -> RunIds | None:
    """Return the ids of a search's runs in MLflow; None if it has no records there."""
    return run_ids(SearchFolder.of(spec), spec.tracking.mlflow) if spec.tracking.mlflow else None


def records_line(spec: SearchSpec, given: Given) -> str:
    """Return the line that says where the records of a new search go, and which variables had a part in it."""
    found = from_environment(given)
    variables = {"uri": URI, "experiment": NAME, "experiment_id": ID}
    because = f" (from {' and '.join(variables[field] for field in found)})" if found else ""
    return _line(spec) + because


def going_on(spec: SearchSpec, given: Given) -> dict[str, Any]:
    """Return the spec of a search that goes on as plain data; an experiment's id is one in its own store alone."""
    content = spec.model_dump()
    if "tracking_uri" in given:
        content["tracking"]["experiment_id"] = None
    return content


def resumed_line(spec: SearchSpec, given: Given) -> str:
    """Return the line for a search that goes on: it keeps its place, whatever MLflow's variables say now."""
    line, place = _line(spec), spec.tracking
    file = sqlite_file(place.mlflow) if place.mlflow else None
    if file and not file.exists():
        line += f"; there is no {file}, so a new one is made (--tracking-uri names another)"
    kept = {NAME: place.experiment, ID: place.experiment_id}
    if "tracking_uri" not in given:
        kept[URI] = public(place.uri or "none")
    ignored = [name for name, value in kept.items() if public(os.environ.get(name, "")) not in ("", value)]
    return line + (f"; {', '.join(ignored)}: without effect on a search that goes on" if ignored else "")


def _line(spec: SearchSpec) -> str:
    place = spec.tracking
    number = place.experiment_id
    experiment = f"experiment {place.experiment}" if number is None else f"experiment id {number}"
    each = [
        f"{public(uri)}, {experiment}" if uri == place.mlflow else f"{store_for(uri).title} in the search's folder"
        for uri in tracking_uris(spec)
    ]
    return f"records: {'; '.join(each) or 'none'}"
