"""A trial on a real GPU: its memory goes back, a lack of it is no result, and a probe measures it. Skipped where torch
can use none."""

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from recmodels.data import load_dataset
from recmodels.training.checkpoint import load_weights
from tests.tuning.factories import made_plan, made_spec
from tuning.execution import probe as probe_module
from tuning.execution.cards import trials_per_card
from tuning.execution.memory import cap_memory
from tuning.execution.probe import CudaGauge, probe
from tuning.execution.trial import run_trial, trained_model
from tuning.records import TrialFolder, TrialPlan
from tuning.spec import Training

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
TRAINING = Training(max_epochs=2, metric="recall@20", ks=(5, 20))
DATA = load_dataset("demo")


@pytest.fixture
def little_memory() -> Iterator[None]:
    """200 MiB."""
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(200 * 2**20 / torch.cuda.get_device_properties(0).total_memory)
    yield
    torch.cuda.set_per_process_memory_fraction(1.0)


def plan(size: int) -> TrialPlan:
    train = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 512, "weight_decay": 0.0}
    knobs = {"alpha": 1.0, "beta": 0.2, "interval": 3}
    params = {"strategy": knobs, "train": train, "model": {"embedding_size": size}}
    return made_plan(params=params, device="cuda")


def run(folder: TrialFolder, size: int) -> None:
    folder.path.mkdir(exist_ok=True)
    run_trial(plan(size), model="LightGCN", data=DATA, training=TRAINING, folder=folder, report=lambda row: None)


def test_memory_goes_back_and_best_weights_are_on_the_host(tmp_path: Path) -> None:
    run(TrialFolder(tmp_path / "a"), 64)  # cuBLAS and cuSPARSE keep what they take at first
    before = torch.cuda.memory_allocated(), torch.cuda.memory_reserved()
    folder = TrialFolder(tmp_path / "b")
    run(folder, 4096)
    assert torch.cuda.max_memory_allocated() > before[0] + 2**26  # weights of 28 MB, their gradients and Adam's means
    assert torch.cuda.memory_allocated() <= before[0] + 2**24
    assert torch.cuda.memory_reserved() <= before[1] + 2**24
    result, row = folder.result(), folder.epochs()[-1]
    assert result is not None
    assert result.status == "finished"
    weights = load_weights(folder.best_weights(row.best_epoch))
    assert trained_model(plan(4096), "LightGCN", DATA, weights).device.type == "cuda"


@pytest.mark.usefixtures("little_memory")
def test_a_lack_of_memory_is_no_result(tmp_path: Path) -> None:
    folder = TrialFolder(tmp_path / "a")
    with pytest.raises(torch.OutOfMemoryError):
        run(folder, 65_536)  # 446 MB
    assert folder.result() is None
    reason = folder.out_of_memory()
    assert reason is not None
    assert reason.startswith("out of memory of the GPU (")
    run(folder, 8)  # what was taken is free again
    assert folder.result() is not None
    assert folder.out_of_memory() is None


def test_a_probe_measures_the_card(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(probe_module, "SECONDS", 1.0)
    params = {**plan(64).params, "strategy": {}}
    sizes = {"type": "categorical", "values": [64, 4096], "default": 64}
    space = {**params, "model": {"embedding_size": sizes, "n_layers": 2}}
    meter = probe(made_spec(model="LightGCN", strategy="plain", space=space), DATA, CudaGauge())
    small, large = meter.readings
    assert meter.memory is not None
    assert small.torch is not None
    assert large.torch is not None
    assert 0 < small.torch + 2**26 < large.torch < meter.memory  # weights of 28 MB, their gradients and Adam's means
    assert 2**20 < small.around < meter.memory / 2  # CUDA's context, if nobody else is on the card
    assert small.busy is None or 0 <= small.busy <= 1
    assert trials_per_card([meter], 100) >= 1


def test_a_cap_is_of_this_process_alone() -> None:
    cap_memory(0.01)
    try:
        with pytest.raises(torch.OutOfMemoryError):
            torch.empty(int(0.02 * torch.cuda.get_device_properties(0).total_memory), dtype=torch.uint8, device="cuda")
    finally:
        cap_memory(1.0)
