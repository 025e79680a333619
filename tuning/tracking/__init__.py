"""Records of a search in a tracking store such as MLflow, which is loaded when a store is made."""

from tuning.tracking.store import Store, StoredRun
from tuning.tracking.stores import STORES
from tuning.tracking.tracker import Tracker

__all__ = ["STORES", "Store", "StoredRun", "Tracker"]
