"""Data sets: load them by name, draw batches from them."""

from recmodels.data.dataset import Interactions, RecDataset
from recmodels.data.load import DEFAULT_DATA_DIR, NotPrepared, is_prepared, known_datasets, load_dataset
from recmodels.data.sampling import BatchSampler

__all__ = [
    "DEFAULT_DATA_DIR",
    "BatchSampler",
    "Interactions",
    "NotPrepared",
    "RecDataset",
    "is_prepared",
    "known_datasets",
    "load_dataset",
]
