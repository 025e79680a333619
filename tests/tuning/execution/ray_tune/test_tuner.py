"""When the trials of a start are over; Ray itself is left out."""

from types import SimpleNamespace
from typing import Any

import pytest

from tests.tuning.factories import end_trial, made_folder, made_spec, made_trial
from tuning.execution.observer import Observer
from tuning.execution.ray_tune import tuner
from tuning.execution.ray_tune.cluster import TrialResources
from tuning.records.folder import SearchFolder


class Study:
    def __init__(self) -> None:
        self.interrupted: list[str] = []

    def interrupt(self, name: str) -> None:
        self.interrupted.append(name)


@pytest.mark.parametrize(
    ("ends", "complete"),
    [
        ({"0000": "result", "0001": "result"}, True),
        ({"0000": "result", "0001": "no memory"}, True),
        ({"0000": "no memory", "0001": "no memory"}, True),
        ({"0000": "result", "0001": "stopped"}, False),
        ({"0000": "no memory", "0001": "stopped"}, False),
        ({"0000": "no memory"}, False),
    ],
)
def test_only_what_the_user_stopped_is_an_interruption(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch, ends: dict[str, str], complete: bool
) -> None:
    folder: SearchFolder = made_folder(tmp_path, trials=0, budget={"trials": 2})

    def fit() -> None:
        for name, end in ends.items():
            made_trial(folder, name, epochs=1)
            if end == "result":
                end_trial(folder, name)
            elif end == "no memory":
                folder.trial(name).write_out_of_memory("out of memory of the GPU")

    monkeypatch.setattr(tuner, "in_store", lambda data: data)
    monkeypatch.setattr(tuner.tune, "with_parameters", lambda function, **_: lambda config: None)
    monkeypatch.setattr(tuner, "Tuner", lambda *_, **__: SimpleNamespace(fit=fit))
    study: Any = Study()
    spec = made_spec(budget={"trials": 2}, space={"strategy": {"alpha": {"type": "uniform", "low": 1, "high": 2}}})
    data: Any = None
    assert tuner.run_trials(spec, folder, study, data, TrialResources(1, 0.0, 1), Observer()) == complete
    assert study.interrupted == [name for name, end in ends.items() if end != "result"]
