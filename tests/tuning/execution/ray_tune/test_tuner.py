"""When the trials of a start are over; Ray itself is left out."""

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from recmodels.errors import UserError
from tests.tuning.factories import end_trial, made_folder, made_spec, made_trial
from tuning.execution.observer import Observer
from tuning.execution.place_fault import PlaceFault
from tuning.execution.ray_tune import tuner
from tuning.execution.ray_tune.cluster import TrialResources
from tuning.execution.ray_tune.kept_trial import Home
from tuning.execution.ray_tune.nodes import Versions
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

    monkeypatch.setattr(tuner, "in_store", lambda data, keeper: data)
    monkeypatch.setattr(tuner.tune, "with_parameters", lambda function, **_: lambda config: None)
    monkeypatch.setattr(tuner, "Tuner", lambda *_, **__: SimpleNamespace(fit=fit))
    study: Any = Study()
    spec = made_spec(budget={"trials": 2}, space={"strategy": {"alpha": {"type": "uniform", "low": 1, "high": 2}}})
    data: Any = None
    assert tuner.run_trials(spec, folder, study, data, TrialResources(1, 0.0, 1), Observer()) == complete
    assert study.interrupted == [name for name, end in ends.items() if end != "result"]


def test_a_place_that_is_not_fit_ends_the_search_with_its_line(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    folder: SearchFolder = made_folder(tmp_path, trials=0, budget={"trials": 2})
    heard: dict[str, Any] = {}

    def made(trainable: Any, tune_config: Any, run_config: Any) -> SimpleNamespace:
        heard.update(recorder=run_config.callbacks[0], stop=run_config.stop)
        return SimpleNamespace(fit=fit)

    def fit() -> None:
        made_trial(folder, "0000", epochs=1)
        assert not heard["stop"].stop_all()
        heard["recorder"].faults.append("node 10.0.0.7 (b): torch 1.0, expected 2.0")
        assert heard["stop"].stop_all()

    monkeypatch.setattr(tuner, "in_store", lambda data, keeper: data)
    monkeypatch.setattr(tuner.tune, "with_parameters", lambda function, **_: lambda config: None)
    monkeypatch.setattr(tuner, "Tuner", made)
    study: Any = Study()
    data: Any = None
    with pytest.raises(UserError, match=r"^node 10\.0\.0\.7 \(b\): torch 1\.0, expected 2\.0$"):
        tuner.run_trials(folder.spec(), folder, study, data, TrialResources(1, 0.0, 1), Observer())
    assert (folder.ledger(), study.interrupted) == ({}, ["0000"])


def test_a_node_that_joined_later_with_another_torch_trains_nothing(
    tmp_path: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tuning.execution.ray_tune.nodes.this_node", lambda: "node 10.0.0.7 (b)")
    monkeypatch.setattr(tuner, "run_trial", pytest.fail)
    here = Versions.here()
    home = Home(None, None, replace(here, packages={**here.packages, "torch": "1.0"}))
    data: Any = None
    with pytest.raises(
        PlaceFault, match=r"^node 10\.0\.0\.7 \(b\): torch .*, expected 1\.0 as on the driver's machine$"
    ):
        tuner._ray_trial(
            {"trial": "0000"}, data=data, spec=made_spec(), folder=SearchFolder(tmp_path), home=home, memory=None
        )
