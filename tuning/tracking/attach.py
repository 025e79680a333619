"""Files that belong to a search that has ended, kept with its run in the tracking store."""

from collections.abc import Sequence
from pathlib import Path

from recmodels.errors import UserError
from tuning.records import SearchFolder
from tuning.tracking.store import SEARCH
from tuning.tracking.stores import store_for
from tuning.tracking.tracker import run_ids
from tuning.tracking.uris import with_password


def attach(folder: SearchFolder, files: Sequence[Path]) -> bool:
    """Keep files with a search's run; return False for a search without records in MLflow.

    UserError if the store has no run of the search; whatever the store raises.
    """
    spec = folder.spec()
    place, uri = spec.tracking, spec.tracking.mlflow
    if uri is None:
        return False
    runs = run_ids(folder, uri)
    if SEARCH not in runs.ids:
        raise UserError(f"{folder.tracking}: no run of the search in its store")
    store = store_for(uri)
    number = [place.experiment_id] if place.experiment_id else []
    connected = store(store.resolve(with_password(uri)), place.experiment, *number)
    for path in files:
        connected.upload(runs.ids[SEARCH], path)
    return True
