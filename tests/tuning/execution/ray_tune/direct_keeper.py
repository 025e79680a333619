"""A Keeper that is called in this process, as if through Ray."""

from types import SimpleNamespace
from typing import Any

import pytest
import ray

from tuning.execution.ray_tune.keeper import Keeper


class DirectKeeper:
    """The handle of an actor whose calls are made at once; `calls`: their names. A call named in `fatal` kills."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        monkeypatch.setattr(ray, "get", lambda answer: answer)
        monkeypatch.setattr(ray, "put", lambda table: table)
        self.keeper, self.calls = Keeper(), list[str]()

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any) -> Any:
            self.calls.append(name)
            return getattr(self.keeper, name)(*arguments)

        return SimpleNamespace(remote=call)
