"""The winner of a search as a model in its tracking store."""

import hashlib
import shutil
import tempfile
from pathlib import Path

from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from recmodels.evaluation.trained_ranking import TrainedRanking
from tuning.export import Export
from tuning.export.replay import load_model
from tuning.records import SearchFolder, TrialRecord
from tuning.spec import SearchSpec
from tuning.tracking.store import SEARCH
from tuning.tracking.stores import store_for
from tuning.tracking.tracker import run_ids
from tuning.tracking.uris import with_password


def check_register(spec: SearchSpec) -> None:
    """Raise UserError if the winner is to be registered where no model can be kept."""
    name, uri = spec.tracking.registered_as, spec.tracking.mlflow
    if name and uri is None:
        raise UserError(f"--register {name}: the search has no records in MLflow, which would keep the model")
    if name and uri and not store_for(uri).keeps_models:
        raise UserError(f"--register {name}: {store_for(uri).title} keeps no models, expected an MLflow store")


def register(spec: SearchSpec, winner: TrialRecord, data: RecDataset) -> str:
    """Register the winner of a search that has ended under the name in its spec; return how the store calls it.

    The weights are those of the winning trial in the search, which its export describes and a replay trains again. Of a
    configuration that was confirmed no run on a fresh seed is taken: to prefer one of them would be a choice by luck.
    UserError if the weights are not there, or the store does not know the search's run; whatever the store raises.
    """
    folder, place = SearchFolder.of(spec), spec.tracking
    assert place.mlflow is not None
    assert place.registered_as is not None
    runs = run_ids(folder, place.mlflow)
    if SEARCH not in runs.ids:
        raise UserError(f"{folder.tracking}: no run of the search, whose records must arrive first")
    store = store_for(place.mlflow)
    number = [place.experiment_id] if place.experiment_id else []
    with tempfile.TemporaryDirectory() as scratch:
        files = Path(scratch) / "winner"
        digest = write_winner(files, folder, winner, data)
        connected = store(store.resolve(with_password(place.mlflow)), place.experiment, *number)
        return connected.register(runs.ids[SEARCH], place.registered_as, files, digest)


def write_winner(files: Path, folder: SearchFolder, winner: TrialRecord, data: RecDataset) -> str:
    """Write a winner into the new folder `files`: what recommending needs, weights.safetensors and export.yaml.

    Returns the digest of weights and export. UserError if the weights are missing or those of another model.
    """
    weights = folder.trial(winner.trial).best_weights(winner.best_epoch or 0)
    model = load_model(Export.read(folder.best), data, weights)
    files.mkdir()
    TrainedRanking.of(model, data).save(files)
    shutil.copyfile(weights, files / "weights.safetensors")
    shutil.copyfile(folder.best, files / "export.yaml")
    return hashlib.sha256(weights.read_bytes() + folder.best.read_bytes()).hexdigest()
