"""The tracking stores by the scheme of their URI."""

from recmodels.errors import UserError
from tuning.tracking.mlflow_store import MlflowStore
from tuning.tracking.store import Store

STORES: dict[str, type[Store]] = {}
"""Scheme of a URI, as `name` in `name:place`, -> store. MLflow takes every other URI."""


def store_for(uri: str) -> type[Store]:
    """The store that a tracking URI belongs to."""
    return STORES.get(uri.partition(":")[0], MlflowStore)


def check_uri(uri: str, source: str) -> None:
    """Raise UserError, one line that begins with the `source` of the URI, unless it is the URI of a store."""
    try:
        store_for(uri).resolve(uri)
    except UserError as error:
        raise UserError(f"{source}: {error}") from None
