"""The probe of a card, with a gauge that pretends one, and the load of a card, of a program that pretends the driver's.

No real GPU is measured here: `test_cuda.py` does that where there is one.
"""

import os
import time
from pathlib import Path
from typing import Any

import pytest
import torch

from recmodels.data import load_dataset
from tests.tuning.factories import made_spec
from tuning.execution import probe as probe_module
from tuning.execution.cards import Meter, Reading
from tuning.execution.probe import Load, probe, probed_points
from tuning.space import Space
from tuning.space.catalogue import search_space

DATA = load_dataset("demo")


class MadeGauge:
    """A card on the CPU: the n-th reading since it was made says n GiB."""

    name, memory, device = "made", 8 * 2**30, "cpu"

    def __init__(self) -> None:
        self.begun, self.measuring = 0, False

    def begin(self) -> None:
        assert not self.measuring
        self.begun, self.measuring = self.begun + 1, True

    def read(self) -> Reading:
        assert self.measuring
        self.measuring = False
        return Reading(self.begun * 2**30, 5, 0.25)


@pytest.fixture(autouse=True)
def one_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "SECONDS", 0.0)


def spec(*overrides: str, **changes: Any) -> Any:
    space = search_space("BPR", "mg", "demo", overrides=overrides)
    return made_spec(strategy="mg", space=space.to_data(), **changes)


SIZES = "embedding_size={type: categorical, values: [8, 64, 16], default: 16}"


def test_a_probe_trains_the_usual_and_the_largest_point_and_reads_each() -> None:
    made = spec(SIZES)
    assert probe(made, DATA, MadeGauge()) == Meter(
        "made", 8 * 2**30, (Reading(2**30, 5, 0.25), Reading(2 * 2**30, 5, 0.25))
    )
    assert len(probe(spec("embedding_size=8"), DATA, MadeGauge()).readings) == 1


def test_it_trains_whole_epochs_for_some_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = iter(range(100))
    monkeypatch.setattr(probe_module, "SECONDS", 2.5)
    monkeypatch.setattr(time, "monotonic", lambda: float(next(clock)))
    epochs = []

    def counted(*arguments: Any, **options: Any) -> Any:
        for report in train(*arguments, **options):
            assert report.valid, "the validation takes memory too"
            epochs.append(report.epoch)
            yield report

    train = probe_module.train
    monkeypatch.setattr(probe_module, "train", counted)
    probe(spec("embedding_size=8"), DATA, MadeGauge())
    assert epochs == [1, 2, 3]


@pytest.mark.parametrize("error", [torch.OutOfMemoryError("CUDA out of memory."), MemoryError()])
def test_a_lack_of_memory_is_a_reading(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def full(*_: Any) -> None:
        raise error

    monkeypatch.setattr(probe_module, "build", full)
    meter = probe(spec("embedding_size=8"), DATA, MadeGauge())
    assert meter.readings == (Reading(float("inf"), 5, 0.25),)
    assert meter.room == 1


def test_another_error_ends_the_probe_and_the_measurement(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise KeyError("x")

    monkeypatch.setattr(probe_module, "build", broken)
    gauge = MadeGauge()
    with pytest.raises(KeyError):
        probe(spec(), DATA, gauge)
    assert not gauge.measuring


def test_the_largest_point_has_the_largest_sizes_and_the_usual_rest() -> None:
    size = "batch_size={type: int, low: 256, high: 4096, step: 256, default: 512}"
    usual, largest = probed_points(spec(SIZES, size, "learning_rate={type: uniform, low: 0.1, high: 1, default: 0.2}"))
    assert (usual["embedding_size"], usual["batch_size"], usual["learning_rate"]) == (16, 512, 0.2)
    assert largest == usual | {"embedding_size": 64, "batch_size": 4096}


def test_the_usual_point_is_one_that_is_trained() -> None:
    confirmed = probed_points(spec("alpha=1.0", "interval=3", confirmed=[{"beta/alpha": 0.7}]))
    assert confirmed == [{"beta/alpha": 0.7}]
    fixed = {"alpha": {"type": "categorical", "values": [1.0, 2.0]}}  # no default
    assert probed_points(made_spec(space=Space.from_data({"strategy": fixed}).to_data())) == [{"alpha": 1.0}]


def driver(folder: Path, script: str) -> str:
    """A PATH on which nvidia-smi is this shell script."""
    program = folder / "nvidia-smi"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


def loaded(seconds: float = 0.4) -> float | None:
    load = Load("1234-5")
    load.begin()
    time.sleep(seconds)
    return load.read()


def test_the_load_is_the_mean_of_the_driver_s_samples(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = tmp_path / "asked"
    script = f'echo "$@" > {asked}.new; printf "10\\n20\\n60\\n"; mv {asked}.new {asked}; exec sleep 600'
    monkeypatch.setenv("PATH", driver(tmp_path, script))
    load = Load("1234-5")
    load.begin()
    end = time.monotonic() + 900
    while not asked.exists() and time.monotonic() < end:
        time.sleep(0.01)
    assert load.read() == pytest.approx(0.3)
    assert load.read() is None, "it runs no more"
    assert asked.read_text().split()[:2] == ["--id=GPU-1234-5", "--query-gpu=utilization.gpu"]


@pytest.mark.parametrize("said", ["[N/A]", "No devices were found"])
def test_a_part_of_a_card_has_no_figure_of_its_load(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, said: str) -> None:
    monkeypatch.setenv("PATH", driver(tmp_path, f'echo "{said}"'))
    assert loaded() is None


def test_without_the_driver_s_program_there_is_no_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert loaded(0) is None
