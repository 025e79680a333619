"""The tracking stores by name, which is also the scheme of their URIs."""

from recmodels.errors import UserError, did_you_mean
from tuning.records import SearchFolder
from tuning.spec import SearchSpec
from tuning.tracking.mlflow_store import MlflowStore
from tuning.tracking.store import Store
from tuning.tracking.tensorboard_store import TensorBoardStore

MLFLOW = "mlflow"
STORES: dict[str, type[Store]] = {"tensorboard": TensorBoardStore}
"""Name of a store, which is the scheme of its URI `name:place`, -> store. MLflow takes every other URI."""


def store_for(uri: str) -> type[Store]:
    """The store that a tracking URI belongs to."""
    return STORES.get(uri.partition(":")[0], MlflowStore)


def tracking_uris(spec: SearchSpec) -> list[str]:
    """Return the URI of each store that has records of a search.

    That of `mlflow` is the spec's; another store has its place in the search's folder. UserError for an unknown store.
    """
    found = []
    for name in dict.fromkeys(spec.tracking.stores):
        if name != MLFLOW and name not in STORES:
            raise UserError(f"there is no store {name!r}{did_you_mean(name, [MLFLOW, *STORES])}")
        if name != MLFLOW:
            found.append(f"{name}:{SearchFolder.of(spec).path / name}")
        elif spec.tracking.mlflow is not None:
            found.append(spec.tracking.mlflow)
    return found


def check_stores(spec: SearchSpec, source: str, uri_source: str) -> None:
    """Raise UserError, one line, unless a search can have records where its spec says.

    `source`, `uri_source`: what set the names of the stores, and MLflow's URI.
    """
    try:
        uris = tracking_uris(spec)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
    for uri in uris:
        check_uri(uri, uri_source if uri == spec.tracking.mlflow else source)


def check_uri(uri: str, source: str) -> None:
    """Raise UserError, one line that begins with the `source` of the URI, unless it is the URI of a store."""
    try:
        store_for(uri).resolve(uri)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
