"""A real GPU agrees with the CPU, up to the rounding of sums in another order. Skipped where torch can use none."""

import math
import subprocess
import sys
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from recmodels.data import BatchSampler, load_dataset
from recmodels.evaluation import Evaluator
from recmodels.graphs import UserItemEdges
from recmodels.models import MODELS
from recmodels.ops import Dropout, cross_entropy_of_own_key
from recmodels.training import EpochReport, TrainingState, make_optimizer, make_strategy, train
from recmodels.training.checkpoint import load_state, save_state
from recmodels.training.loop import batches_on
from tests.recmodels.faults import with_faults

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use")
TRAINED = sorted(name for name, model in MODELS.items() if model.trains)
DRAWING = ("BM3", "LGMRec", "MVGAE", "SelfCF")
"""The models that draw from the device's generator, another one than the CPU's."""
DATA = load_dataset("demo")
WITH_FEATURES = [name for name in TRAINED if MODELS[name].reads_features]
PAIRS = [(name, "mg") for name in TRAINED] + [
    ("VBPR", name) for name in ("plain", "sam", "ssam_f", "ssam_d", "amr", "ema")
]


def fresh(name: str, strategy: str, device: str) -> TrainingState:
    torch.manual_seed(1)
    model = MODELS[name](DATA, embedding_size=16).to(device)
    optimizer = make_optimizer("adam", model.parameters(), learning_rate=1e-3)
    knobs: dict[str, Any] = {"n_fisher": 2} if strategy == "ssam_f" else {}
    made = make_strategy(strategy, model, knobs, seed=1)
    return TrainingState(model, optimizer, made, np.random.default_rng(1))


def run(state: TrainingState, epochs: int) -> list[EpochReport]:
    return list(train(state, DATA, batch_size=2048, max_epochs=epochs, evaluator=Evaluator(DATA, "valid", (5, 20))))


@pytest.mark.parametrize(("name", "strategy"), PAIRS)
def test_trains_as_on_the_cpu(name: str, strategy: str) -> None:
    """Weights differ by rounding after the first step, and losses and metrics by what follows."""
    here, there = (run(fresh(name, strategy, device), 2) for device in ("cpu", "cuda"))
    assert all(math.isfinite(row.loss) for row in there)
    if name not in DRAWING:
        assert [row.loss for row in there] == pytest.approx([row.loss for row in here], rel=1e-4)
        assert there[-1].valid == pytest.approx(here[-1].valid, rel=1e-2, abs=2e-3)


@pytest.mark.parametrize("name", TRAINED)
def test_losses_and_gradients_are_those_of_the_cpu(name: str) -> None:
    losses, gradients = [], []
    for device in ("cpu", "cuda"):
        model = fresh(name, "plain", device).model.train()
        for part in model.modules():
            if isinstance(part, Dropout):  # drawn on the device
                part.rate = 0.0
        # Without what is drawn on the device.
        if name == "SelfCF":
            vars(model)["paper"] = True
        if name == "LGMRec":
            vars(model)["_noisy"] = lambda logits: logits
        if name == "MVGAE":
            vars(model)["noise"] = torch.zeros_like
        rows = np.random.default_rng(0).integers(0, 700, (3 if model.needs_negatives else 2, 512))
        loss = torch.stack(list(model.loss(torch.from_numpy(rows).to(device)).values())).sum()
        loss.backward()
        losses.append(loss.item())
        gradients.append({key: each.grad.cpu() for key, each in model.named_parameters() if each.grad is not None})
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    assert gradients[0].keys() == gradients[1].keys()
    largest = max(float(each.norm()) for each in gradients[0].values())
    for key, expected in gradients[0].items():
        # Some gradients are zero but for rounding.
        assert (gradients[1][key] - expected).norm() < 1e-4 * max(float(expected.norm()), 0.01 * largest), key


@pytest.mark.parametrize(("name", "strategy"), [*PAIRS, *((name, "amr+sam+mg") for name in WITH_FEATURES)])
def test_a_step_never_waits(name: str, strategy: str) -> None:
    """torch raises where one would, after three steps in which all states are made."""
    state, unread = fresh(name, strategy, "cuda"), list[torch.Tensor]()
    sampler = BatchSampler(DATA, 1024, negatives=state.model.needs_negatives)
    state.model.train().new_epoch()
    state.strategy.new_epoch(0, lambda rng: iter(()))
    try:
        for index, rows in enumerate(islice(batches_on(state.model.device, sampler, state.rng), 7)):
            torch.cuda.set_sync_debug_mode("error" if index >= 3 else "default")
            loss = state.strategy.loss(rows, batch_index=index, step=index, unread=unread)
            state.strategy.step(loss, state.optimizer)
    finally:
        torch.cuda.set_sync_debug_mode("default")
    assert torch.stack(unread).isfinite().all()


@pytest.mark.parametrize("strategy", ["plain", "mg", "amr+gsam+mg+ema", "ssam_d", "bsam_plus"])
def test_a_bad_batch_is_skipped_as_on_the_cpu(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("recmodels.training.loop.WINDOW", 3)
    faults = {(0, 0, 0): "loss", (0, 3, 1): "gradient", (1, 2, 0): "gradient", (1, 3, 0): "loss"}
    here, there = (run(with_faults(fresh("VBPR", strategy, device), faults), 2) for device in ("cpu", "cuda"))
    assert sum(row.counts.skipped for row in here) >= 3
    assert [row.counts for row in there] == [row.counts for row in here]
    assert [row.loss for row in there] == pytest.approx([row.loss for row in here], rel=1e-4)


@pytest.mark.parametrize("name", ["BM3", "GRCN", "MMGCN", "LayerGCN"])
def test_a_restored_run_goes_on_as_the_unbroken_one(name: str, tmp_path: Path) -> None:
    """With the device's own draws; up to the order of sums."""
    whole = run(fresh(name, "mg", "cuda"), 3)
    first = fresh(name, "mg", "cuda")
    run(first, 1)
    save_state(tmp_path / "last.pt", first.state_dict())
    second = fresh(name, "mg", "cuda")
    torch.manual_seed(5)
    second.load_state_dict(load_state(tmp_path / "last.pt", torch.device("cuda")))
    assert [row.loss for row in run(second, 3)] == pytest.approx([row.loss for row in whole[1:]], rel=1e-4)


@pytest.mark.parametrize("name", ["GRCN", "MMGCN", "LayerGCN"])
def test_a_run_may_move_between_devices(name: str, tmp_path: Path) -> None:
    losses = []
    for epoch, device in enumerate(("cuda", "cpu", "cuda"), start=1):
        state = fresh(name, "mg", device)
        if epoch > 1:
            state.load_state_dict(load_state(tmp_path / "last.pt", torch.device(device)))
        losses += [row.loss for row in run(state, epoch)]
        save_state(tmp_path / "last.pt", state.state_dict())
    assert losses == pytest.approx([row.loss for row in run(fresh(name, "mg", "cpu"), 3)], rel=1e-4)


@pytest.mark.parametrize("split", ["valid", "test"])
def test_metrics_of_the_same_embeddings_are_those_of_the_cpu(split: Any) -> None:
    """Scores are whole numbers, which any order of summation gets exactly, and of which many tie."""
    rng = np.random.default_rng(0)
    users, items = (torch.from_numpy(rng.integers(-3, 4, (n, 8))).float() for n in (DATA.n_users, DATA.n_items))
    evaluator = Evaluator(DATA, split, (1, 5, 20, 50))
    assert evaluator(users.cuda(), items.cuda()) == pytest.approx(evaluator(users, items), rel=1e-12)
    distinct = (
        users + torch.from_numpy(rng.random(users.shape)).float(),
        items + torch.from_numpy(rng.random(items.shape)).float(),
    )
    there = evaluator(*(each.cuda() for each in distinct))
    assert there == pytest.approx(evaluator(*distinct), rel=1e-3)  # a near tie may turn


@pytest.mark.parametrize("n", [300, 2048, 10_000])
def test_the_softmax_is_that_of_the_cpu(n: int) -> None:
    queries, keys = (torch.randn(n, 16, generator=torch.Generator().manual_seed(seed)) for seed in (1, 2))
    expected = cross_entropy_of_own_key(queries, keys)
    torch.testing.assert_close(cross_entropy_of_own_key(queries.cuda(), keys.cuda()).cpu(), expected)


def test_a_gradient_that_is_one_number_expanded_is_read_right() -> None:
    edges = [UserItemEdges(DATA), UserItemEdges(DATA).cuda()]
    gradients = []
    for each in edges:
        device = each.users.device
        users, items = (torch.linspace(0, 1, 8 * n, device=device).view(n, 8).requires_grad_() for n in (1000, 700))
        gradients.append(torch.autograd.grad(each.dot(users, items).sum(), (users, items)))
    for here, there in zip(*gradients, strict=True):
        torch.testing.assert_close(there.cpu(), here)


def test_a_cpu_run_asks_nothing_of_the_cards() -> None:
    """In a process of its own: once CUDA is initialised it stays so."""
    code = (
        "import torch\n"
        "from tests.recmodels.test_cuda import fresh, run\n"
        "state = fresh('BPR', 'mg', 'cpu')\n"
        "run(state, 1)\n"
        "state.load_state_dict(state.state_dict())\n"
        "print(torch.cuda.is_initialized())\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"
