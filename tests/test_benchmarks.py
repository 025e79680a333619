"""The benchmarks of epochs and of strategies: their tables, and what is counted where an epoch is cut short."""

import json
import math
import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from recmodels.errors import UserError
from recmodels.models import MODELS
from recmodels.models.lightgcn import LightGCN
from tests.benchmarks import against, bounds, epochs, growth, many_trials, strategies
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
        (("--against", "HEAD", "--threads", "2"), "--against: counts CPU seconds of one thread, but got --threads 2"),
        (("--output", "rows.txt"), "--output rows.txt: expected a name that ends in .json"),
        (("--output", "none/rows.json"), "--output none/rows.json: expected a folder none, but there is none"),
        (("--against", "no-such"), "--against no-such: expected a commit of this repository, but git says: "),
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


def test_a_projected_time_has_a_tilde_and_a_gpu_its_own_peak() -> None:
    job = Job("GRCN", {}, "tiktok", None, 1, None, 1, "cuda", epochs.KINDS)
    row = epochs.cells(job, replace(FIGURES, projected=True))
    assert row == ["GRCN", "~4.00", "~6.00", "1.50", "1.35", "0.500", "0.250", "3,072", "1"]


def test_rows_are_kept_in_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The models before the one that fails are kept, unrounded."""

    def measure_apart(job: Job) -> Figures:
        if job.model == "GRCN":
            raise RuntimeError("MemoryError: too much")
        return replace(FIGURES, validation=1 / 3)

    monkeypatch.setattr(epochs, "measure_apart", measure_apart)
    monkeypatch.setattr(epochs, "calibrate", lambda *_: Calibration(1.0, 2.0, 3.0))
    path = tmp_path / "rows.json"
    assert epochs.main(["--dataset", "demo", "--models", "BPR,GRCN", "--output", str(path)]) == 1
    kept = json.loads(path.read_text())
    assert (kept["dataset"], kept["interactions"]) == ("demo", 14_624)
    assert kept["rows"][0] == {"model": "BPR", **asdict(replace(FIGURES, validation=1 / 3))}
    assert kept["rows"][1] == {"model": "GRCN", "failed": "MemoryError: too much"}


def test_two_trees_are_measured_in_turn(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """This tree beside itself, so that no git is needed: all of it but the unpacking of a commit."""
    monkeypatch.setattr(epochs, "tree_of", lambda commit: nullcontext(against.ROOT))
    monkeypatch.setattr(epochs, "revision", lambda commit: "0" * 40)
    options = ["--models", "BPR,Popularity", "--steps", "3", "--epochs", "2", "--against", "HEAD"]
    assert epochs.main(["--dataset", "demo", *options, "--output", str(tmp_path / "rows.json")]) == 0
    captured = capsys.readouterr()
    header, _, *rows = table(captured.out)
    assert header == ["model", *against.COLUMNS]
    assert [row[0] for row in rows] == ["BPR", "geometric mean"]
    assert all(float(cell) > 0 for cell in rows[0][1:])
    assert rows[1][1:4] == ["", "", ""]
    assert "Popularity has nothing to train" in captured.err
    for kept in json.loads((tmp_path / "rows.json").read_text())["rows"]:
        for name in ("now", "then"):
            assert len(kept["turns"][name]) == 2  # the one that warms up is left out
            ranks = [rank for turn in kept["turns"][name] for rank in turn["ranks"]]
            assert kept[name]["rank"] == statistics.median(ranks)
            assert kept[name]["train"] > kept[name]["step"] * 7  # of 8 batches of 2048, of which 3 are taken


def test_a_tree_that_fails_is_named(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """An older tree may have no such package, model or parameter."""
    monkeypatch.setattr(epochs, "tree_of", lambda commit: nullcontext(tmp_path))
    monkeypatch.setattr(epochs, "revision", lambda commit: "0" * 40)
    (tmp_path / "recmodels").mkdir()
    (tmp_path / "recmodels" / "__init__.py").touch()
    assert epochs.main(["--dataset", "demo", "--models", "BPR", "--steps", "3", "--against", "HEAD"]) == 1
    _, _, row = table(capsys.readouterr().out)
    assert row == ["BPR", "failed: then: ModuleNotFoundError: No module named 'recmodels.data'"]


def test_an_epoch_is_projected_from_the_batches_of_a_turn() -> None:
    """What an epoch does once is not multiplied; each figure is a median."""
    turns: list[against.Turn] = [
        {"fixed": 1.0, "batches": 3.0 * factor, "ranks": [2.0 * factor, 4.0, 4.5]} for factor in (1, 2, 10)
    ]
    found = against.costs(turns, n_batches=30, steps=9)
    assert (found.train, found.rank, found.step) == pytest.approx((1 + 6 * 30 / 9, 4.0, 6 / 9))
    assert found.epoch == found.train + found.rank


def test_the_reference_follows_from_the_commit_beside_it() -> None:
    """BPR: twice as fast as the commit, which was 0.78 / 0.153 times as fast as the reference."""
    now, then = against.Costs(1.0, 1.0, 5e-3), against.Costs(2.0, 3.0, 0.1)
    found = against.Compared("BPR", now, then, {})
    assert found.ratios(reference=False) == [2.0, 3.0, 2.5]
    beside = [2 * 0.78 / 0.153, 2.5 * (0.78 + 2 * 0.78) / (0.153 + 0.18)]
    assert found.ratios(reference=True) == pytest.approx([2.0, 3.0, 2.5, *beside])
    layout = against.Layout(bounded=True, reference=True)
    row = layout.cells(found)
    assert len(row) == len(layout.columns)
    assert row[-3:] == ["5.00", "2.50", "2.00"]
    assert layout.means([found, found])[4:] == [f"{ratio:.2f}" for ratio in found.ratios(reference=True)]
    other = replace(found, model="New")  # neither it nor its bound was measured
    assert layout.cells(other)[1:] == ["1.00", "1.00", "2.00", "2.00", "3.00", "2.50"]


def test_a_newer_models_reference_follows_from_the_yardstick() -> None:
    """A machine where the commit trains GRCN in half the time would give the reference half the time."""
    now, yardstick = against.Costs(0.5, 1.0, 0.1), against.Costs(3.34 / 2, 0.3, 0.1)
    newer = against.Compared("MGCN", now, yardstick, {})
    assert newer.ratios(reference=True) == [None, None, None, pytest.approx(13.3 / 2 / 0.5), None]
    layout = against.Layout(bounded=True, reference=True)
    assert layout.cells(newer)[1:] == ["0.500", "1.00", "1.50", "", "", "", "13.30", ""]
    older = against.Compared("BPR", now, now, {})
    shown = float(layout.means([newer, older])[7])
    assert shown == pytest.approx(math.sqrt(13.3 * bounds.MEASURED["BPR"].train_ratio), abs=0.01)
    assert newer.ratios(reference=False)[0] == pytest.approx(3.34)  # beside another commit, which has the model
    assert bounds.NEWER.keys().isdisjoint(bounds.MEASURED)
    assert bounds.NEWER.keys() | bounds.MEASURED.keys() <= MODELS.keys()


@pytest.mark.parametrize(
    ("model", "bound_ms"),
    [
        ("BPR", 2.5), ("LightGCN", 9.5), ("VBPR", 8), ("SelfCF", 11.5), ("FREEDOM", 16), ("BM3", 17), ("LayerGCN", 27),
        ("GRCN", 49), ("SLMRec", 111), ("MMGCN", 307), ("DualGNN", 84), ("DRAGON", 91),
    ],
)  # fmt: skip
def test_the_bound_of_a_step_is_that_of_its_operations_and_bytes(model: str, bound_ms: float) -> None:
    assert bounds.MEASURED[model].bound_ms == pytest.approx(bound_ms, rel=0.02)


def test_the_commit_beside_the_reference_was_3_8_times_as_fast() -> None:
    ratios = [each.train_ratio for each in bounds.MEASURED.values()]
    assert len(ratios) == 12
    assert statistics.geometric_mean(ratios) == pytest.approx(3.8, abs=0.05)


def test_a_commit_is_unpacked_and_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a commit, not of the files that lie there now."""
    monkeypatch.setattr(against, "ROOT", tmp_path)
    who = ("-c", "user.name=n", "-c", "user.email=e", "-c", "commit.gpgsign=false")
    (tmp_path / "recmodels").mkdir()
    (tmp_path / "recmodels" / "__init__.py").write_text("old = True\n")
    for words in (("init",), ("add", "."), (*who, "commit", "-m", "first")):
        subprocess.run(["git", "-C", str(tmp_path), *words], check=True, capture_output=True)
    (tmp_path / "recmodels" / "__init__.py").write_text("new = True\n")
    with against.tree_of("HEAD") as tree:
        assert (tree / "recmodels" / "__init__.py").read_text() == "old = True\n"
    assert not tree.exists()
    assert len(against.revision("HEAD")) == 40
    with pytest.raises(UserError, match=r"--against HEAD~1: expected a commit of this repository, but git says: .+"):
        against.tree_of("HEAD~1").__enter__()


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


def kept_file(path: Path, dataset: str, interactions: int, **seconds: float) -> str:
    rows = [
        {"model": model, **asdict(replace(FIGURES, epoch={"plain": 1.0, "mg": each - 0.5}))}
        for model, each in seconds.items()
    ]
    rows = [*rows, {"model": "MMGCN", "failed": "MemoryError"}]
    path.write_text(json.dumps({"dataset": dataset, "interactions": interactions, "rows": rows}))
    return str(path)


def test_a_models_own_defaults_are_measured_where_a_pair_has_others() -> None:
    """BM3 has two layers on tiktok by its pair, and was measured beside the reference with one."""
    assert epochs._base("BM3", "tiktok", ())["model"]["n_layers"] == 1
    assert epochs._base("BM3", "tiktok", ("n_layers=3",))["model"]["n_layers"] == 3


def test_growth_is_told_by_interaction(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Ten times the interactions: BPR costs ten times as much, GRCN twenty; of MG's epoch and a validation."""
    large = kept_file(tmp_path / "large.json", "large", 10_000, BPR=20)
    heavy = kept_file(tmp_path / "heavy.json", "large", 10_000, GRCN=80)
    small = kept_file(tmp_path / "small.json", "small", 1_000, BPR=2, GRCN=4, VBPR=3)
    for name in ("figure.svg", "figure.png"):
        assert growth.main([large, small, heavy, "--figure", str(tmp_path / name)]) == 0
        assert (tmp_path / name).stat().st_size > 1000
    _, _, *rows = table(capsys.readouterr().out)
    assert rows[:3] == [
        ["BPR", "2.00 / 3.0", "20.0 / 3.0", "x 1.00"],
        ["GRCN", "4.00 / 3.0", "80.0 / 3.0", "x 2.00"],
        ["VBPR", "3.00 / 3.0", "", ""],
    ]
    drawn = (tmp_path / "figure.svg").read_text()
    assert drawn.startswith("<?xml")


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("[]", "expected a file of the benchmark of epochs"),
        (None, "cannot be read"),
        ("{", "expected a file of the benchmark of epochs"),
        ('{"dataset": "d", "interactions": 9, "rows": [{"model": "BPR", "failed": "so"}]}', "no model was measured"),
    ],
)
def test_a_file_of_something_else_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], text: str | None, found: str
) -> None:
    path = tmp_path / "other.json"
    if text is not None:
        path.write_text(text)
    assert growth.main([str(path)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"growth: {path}: {found}")
