"""One thread for all tests: their tensors are tiny, and on busy cores torch's threads wait for each other.

Variables that would send the records of tests to a store of the machine are left out.
"""

import os

import pytest
import torch

torch.set_num_threads(1)
for variable in ("MLFLOW_TRACKING_URI", "MLFLOW_EXPERIMENT_NAME", "MLFLOW_EXPERIMENT_ID"):
    os.environ.pop(variable, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("long") is None)
