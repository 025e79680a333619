"""Command lines run in this process, in an empty folder, and start no Ray."""

import logging
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.recmodels.factories import checkerboard
from tuning.cli import datasets
from tuning.execution.ray_tune import cluster
from tuning.execution.ray_tune import settings as ray_settings


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """An empty working directory and no Ray; what `main` sets for its process is taken back."""

    def no_cluster(*_: Any) -> None:
        raise AssertionError("a search starts")

    logger, handler = logging.getLogger("mirrortune"), signal.getsignal(signal.SIGTERM)
    before = list(logger.handlers)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(ray_settings, "prepare", lambda address: None)
    monkeypatch.setattr(cluster, "cluster", no_cluster)
    yield tmp_path
    logger.handlers[:] = before
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def board(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every data set is a checkerboard."""
    monkeypatch.setattr(datasets, "load_dataset", lambda *_: checkerboard())
