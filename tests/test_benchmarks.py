"""The benchmarks of epochs and of strategies: their tables, and what is counted where an epoch is cut short."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from recmodels.models import MODELS
from recmodels.models.lightgcn import LightGCN
from tests.benchmarks import epochs, many_trials, strategies
from tests.benchmarks.machine import Calibration
from tests.benchmarks.measure import Figures, Job, measure, thinned
from tests.recmodels.factories import checkerboard

TRAIN = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 512, "weight_decay": 0.0}
FIGURES = Figures(
    epoch={"plain": 4.0, "mg": 6.0},
    cpu={"plain": 3.0, "mg": 4.2},
    passes={"plain": 31, "mg": 42},
    validation=0.5,
    construction=0.25,
    peak=3 * 2**30,
    gpu_peak=2**20,
    projected=False,
)


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def table(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line[:1] == "|"]


def test_prints_calibration_and_one_row_a_model(capsys: pytest.CaptureFixture[str]) -> None:
    assert epochs.main(["--dataset", "demo", "--models", "LightGCN", "--epochs", "1", "--threads", "1"]) == 0
    text = capsys.readouterr().out
    assert text.index("demo: 1,000 users") < text.index("CSR product") < text.index("| model")
    header, rule, (model, *numbers) = table(text)
    assert header == ["model", *epochs.COLUMNS]
    assert len(rule) == len(header) == len(numbers) + 1
    assert model == "LightGCN"
    assert all(float(number.replace(",", "")) > 0 for number in numbers)
    assert numbers[epochs.COLUMNS.index("bound")] == "1.34"  # 29 batches of 512, 10 of them mirrored


def test_a_process_that_fails_is_one_line(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def measure_apart(job: Job) -> Figures | None:
        if job.model == "GRCN":
            raise RuntimeError("MemoryError: too much")
        return None if job.model == "VBPR" else FIGURES

    monkeypatch.setattr(epochs, "measure_apart", measure_apart)
    monkeypatch.setattr(epochs, "calibrate", lambda *_: Calibration(1.0, 2.0, 3.0))
    assert epochs.main(["--dataset", "demo", "--models", "GRCN,VBPR,LightGCN"]) == 1
    rows = table(capsys.readouterr().out)[2:]
    assert rows[0] == ["GRCN", "failed: MemoryError: too much"]
    assert rows[1:] == [["LightGCN", "4.00", "6.00", "1.50", "1.35", "0.500", "0.250", "3,072"]]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--models", "LightGNC"), "--models: there is no model 'LightGNC'; did you mean 'LightGCN'?"),
        (("--steps", "4"), "--steps: expected a multiple of 3, MG's interval, but got 4"),
        (("--epochs", "0"), "--epochs: expected at least 1, but got 0"),
        (
            ("--models", "VBPR", "--set", "optimizer=adm"),
            "--set optimizer=adm: optimizer must be one of adam, sgd, rmsprop, adagrad, but got 'adm'",
        ),
        (("--models", "LightGCN", "--set", "n_layers={type: int, low: 1, high: 3}"), "LightGCN on demo: a parameter"),
    ],
)
def test_bad_input_is_one_line(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str) -> None:
    assert epochs.main(["--dataset", "demo", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"epochs: {message}")


def test_beside_the_reference() -> None:
    """Times of a quarter and of four times the reference's have the geometric mean 1."""
    measured = {
        "GRCN": replace(FIGURES, epoch={"plain": 10.3 / 4, "mg": 6.0}, projected=True),
        "BPR": replace(FIGURES, epoch={"plain": 0.35 * 4, "mg": 6.0}),
        "Other": FIGURES,
    }
    jobs = {name: Job(name, {}, "tiktok", None, 1, None, 1, "cuda", epochs.KINDS) for name in measured}
    rows = [epochs.cells(jobs[name], figures, compared=True) for name, figures in measured.items()]
    assert rows[0][1:3] == ["~2.58", "~6.00"]
    assert [row[-3:] for row in rows] == [["1", "10.3", "~0.250"], ["1", "0.35", "4.000"], ["1", "", ""]]
    assert "geometric mean 1.000 over 2 models" in epochs.comparison(measured)
    assert epochs.comparison({"Other": FIGURES}) == ""


def test_an_epoch_is_projected_from_its_first_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []

    class Slow(LightGCN):
        def loss(self, batch: Tensor) -> dict[str, Tensor]:
            calls.append(batch.shape)
            time.sleep(0.01)
            return super().loss(batch)

    monkeypatch.setitem(MODELS, "Slow", Slow)
    figures = measure(Job("Slow", {"train": TRAIN, "model": {}}, "demo", None, 1, 3, 1, "cpu", epochs.KINDS))
    assert figures is not None
    assert calls == [(3, 512)] * (2 * 3 + 2 * 4)  # a warm-up and an epoch of each kind; MG passes one of 3 twice
    assert figures.projected
    assert figures.passes == {"plain": 3, "mg": 4}
    assert figures.epoch["plain"] > 29 * 0.01
    assert figures.epoch["mg"] > 29 * 4 / 3 * 0.01


def test_prints_one_row_a_strategy(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """LightGCN reads no features, so AMR is left out. 29 batches of 512, of which 10 are mirrored."""
    monkeypatch.setattr(strategies, "measure_apart", measure)
    names = "mg,amr,ssam_f,mg+sam,plain,ema"
    arguments = ["--dataset", "demo", "--model", "LightGCN", "--strategies", names, "--epochs", "1", "--threads", "1"]
    assert strategies.main(arguments) == 0
    text = capsys.readouterr().out
    assert text.startswith("LightGCN on demo: 1,000 users")
    header, rule, *rows = table(text)
    assert tuple(header) == strategies.COLUMNS
    assert len(rule) == len(header)
    assert {row[0]: (row[5], row[6]) for row in rows} == {
        "plain": ("1.00", "29"),
        "mg": ("1.34", "39"),
        "ssam_f": ("2.55", "74"),  # 16 for the Fisher information
        "sam+mg": ("2.69", "78"),
        "ema": ("1.00", "29"),
    }
    assert all(float(each) > 0 for row in rows for each in row[1:5])


def test_a_strategy_beside_its_bound() -> None:
    epoch, cpu = {"plain": 4.0, "sam": 9.0}, {"plain": 3.0, "sam": 6.3}
    figures = replace(FIGURES, epoch=epoch, cpu=cpu, passes={"plain": 31, "sam": 62})
    job = Job("Other", {}, "demo", None, 1, None, 1, "cpu", ("plain", "sam", "amr"))
    assert table(strategies.table(job, figures))[2:] == [
        ["plain", "4.00", "1.00", "3.00", "1.00", "1.00", "31"],
        ["sam", "9.00", "2.25", "6.30", "2.10", "2.00", "62"],
    ]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--model", "LightGNC"), "--model: there is no model 'LightGNC'; did you mean 'LightGCN'?"),
        (("--model", "Popularity"), "--model: Popularity has nothing to train"),
        (("--model", "BPR", "--strategies", "mg,sma"), "--strategies sma: there is no strategy 'sma'"),
    ],
)
def test_bad_strategies_are_one_line(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], message: str
) -> None:
    monkeypatch.setattr(strategies, "measure_apart", measure)
    assert strategies.main(["--dataset", "demo", "--threads", "1", *arguments]) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"strategies: {message}")


def test_a_model_without_parameters_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(MODELS, "Still", type("Still", (LightGCN,), {"parameters": lambda self: iter(())}))
    assert measure(Job("Still", {"train": TRAIN, "model": {}}, "demo", Path(), 1, None, 1, "cpu", ("plain",))) is None


def test_thinned_keeps_some_of_the_training_pairs() -> None:
    data = checkerboard(20)
    few = thinned(data, 50)
    pairs = set(zip(few.train.users.tolist(), few.train.items.tolist(), strict=True))
    assert len(few.train) == len(pairs) == 50
    assert pairs < set(zip(data.train.users.tolist(), data.train.items.tolist(), strict=True))
    assert few != data
    assert few.valid is data.valid


def test_a_trial_trains_in_the_rounds_that_are_large_enough() -> None:
    """And waits in the others, so that all processes come to the end."""
    base = {"train": TRAIN, "model": {"embedding_size": 4}}
    job = Job("BPR", base, "demo", None, epochs=2, steps=None, threads=1, device="cpu", strategies=("plain",))
    first, second = (many_trials.trial(job, place, [1, 4], threading.Barrier(1)) for place in (0, 1))
    assert (list(first), list(second)) == ([1, 4], [4])
    assert all(start < end for start, end in (*first.values(), *second.values()))


def test_the_rate_of_a_round_is_that_of_all_its_trials_together() -> None:
    job = Job("BPR", {}, "demo", None, epochs=3, steps=None, threads=1, device="cpu", strategies=("plain",))
    rounds = {1: [(10.0, 16.0)], 2: [(20.0, 26.0), (22.0, 28.0)]}
    assert many_trials.rows(job, rounds) == [
        ["BPR", "1", "0.500", "1.00", "2.00"],
        ["BPR", "2", "0.750", "1.50", "2.67"],
    ]
