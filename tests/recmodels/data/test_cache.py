"""A result in the cache is made once, also where several processes want it at the same time."""

import threading
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock
from numpy.typing import NDArray

from recmodels.data.cache import cached


def test_who_comes_meanwhile_waits_and_takes_what_was_made(tmp_path: Path) -> None:
    made, found, started, go_on = [], [], threading.Event(), threading.Event()

    def make() -> NDArray[np.int64]:
        made.append(1)
        started.set()
        assert go_on.wait(900)
        return np.arange(3)

    def ask() -> None:
        found.append(cached(tmp_path / "graph.npz", make).tolist())

    first, second = threading.Thread(target=ask), threading.Thread(target=ask)
    first.start()
    assert started.wait(900)
    second.start()
    second.join(0.2)  # time to make it a second time
    go_on.set()
    for each in (first, second):
        each.join(900)
    assert (made, found) == ([1], [[0, 1, 2]] * 2)
    assert [path.name for path in tmp_path.iterdir()] == ["graph.npz"]


@pytest.mark.parametrize("error", [PermissionError("read only"), NotImplementedError("no locks here")])
def test_without_a_lock_it_is_made_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(lock: FileLock) -> None:
        raise error

    monkeypatch.setattr(FileLock, "acquire", refuse)
    for _ in range(2):
        assert cached(tmp_path / "graph.npz", lambda: np.arange(2)).tolist() == [0, 1]
