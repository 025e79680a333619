"""Every model on a pretended GPU: nothing is on the wrong side, no step waits, and a trial moves between devices."""

import math
from collections import Counter
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recmodels.analysis import sharpness
from recmodels.errors import TrainingDiverged
from recmodels.evaluation import Evaluator
from recmodels.graphs import UserItemEdges
from recmodels.models import MODELS, Recommender
from recmodels.models.lightgcn import LightGCN
from recmodels.ops import cross_entropy_of_own_key
from recmodels.training import EpochReport, TrainingState, make_optimizer, make_strategy, train
from recmodels.training.checkpoint import load_state, save_state
from recmodels.training.loop import WINDOW
from tests.recmodels.factories import checkerboard
from tests.recmodels.faults import with_faults
from tests.recmodels.pretended_gpu import CUDA, DeviceMix, OnDevice, Pretended, host

DATA = checkerboard(12)
TRAINED = sorted(name for name, model in MODELS.items() if model.trains)
DRAWING = ("BM3", "LGMRec", "MVGAE", "SelfCF")
"""The models that draw from the device's generator, another one than the CPU's."""
HYPER: dict[str, dict[str, Any]] = {"LATTICE": {"knn_k": 12}}
"""LATTICE has all items as neighbours: of those with equal features rounding would choose."""
KNOBS: dict[str, dict[str, Any]] = {"ssam_f": {"n_fisher": 2}}
STRATEGIES = ("mg", "ssam_f", "ema")
COMBINED = [*product(TRAINED, STRATEGIES)]
QUICK = {(name, STRATEGIES[place % 3]) for place, name in enumerate(TRAINED)}
"""A strategy for each model; the other pairs are slow."""
PERTURBED = ("sam", "asam", "gsam", "gnp", "ssam_f", "ssam_d", "bsam", "bsam_plus", "sam_mg")
EVERY = ("plain", "mg", *PERTURBED, "plain_lr", "plain_repeat", "ema", "swa", "amr", "amr+sam+mg")


def fresh(name: str, strategy: str, device: str, seed: int = 1) -> TrainingState:
    torch.manual_seed(seed)
    model = MODELS[name](DATA, embedding_size=4, **HYPER.get(name, {})).to(device)
    optimizer = make_optimizer("adam", model.parameters(), learning_rate=1e-2)
    made = make_strategy(strategy, model, KNOBS.get(strategy, {}), seed=seed)
    return TrainingState(model, optimizer, made, np.random.default_rng(seed))


def run(state: TrainingState, epochs: int, batch_size: int = 32) -> list[EpochReport]:
    evaluator = Evaluator(DATA, "valid", (1, 5))
    return list(train(state, DATA, batch_size=batch_size, max_epochs=epochs, evaluator=evaluator))


def weights(state: TrainingState) -> list[Tensor]:
    return [each.detach().cpu() for each in state.model.state_dict().values()]


@pytest.mark.parametrize(
    ("name", "strategy"),
    [pytest.param(*each, marks=[] if each in QUICK else pytest.mark.slow) for each in COMBINED],
)
def test_trains_ranks_and_measures_on_the_device(name: str, strategy: str) -> None:
    """Whatever mixes the sides raises; losses are the CPU's, but for models that draw on the device."""
    here = run(fresh(name, strategy, "cpu"), 2)
    with Pretended() as gpu:
        state = fresh(name, strategy, "cuda")
        there = run(state, 2)
        assert sharpness(state, DATA, batch_size=32, n_batches=2)
        assert state.model.device == CUDA
        assert all(each.device.type == "cpu" for each in state.strategy.weights().values())
    assert gpu.kernels > 0
    if name not in DRAWING:
        assert [row.loss for row in there] == pytest.approx([row.loss for row in here], rel=1e-5)


@pytest.mark.parametrize("name", TRAINED)
def test_a_step_never_waits_for_the_device(name: str) -> None:
    """Nor uploads anything."""
    adversary = ["amr"] if MODELS[name].reads_features else []
    for strategy in EVERY if name == "VBPR" else ("mg", "sam", *adversary):
        unread: list[Tensor] = []
        with Pretended() as gpu:
            state = fresh(name, strategy, "cuda")
            state.model.train().new_epoch()
            state.strategy.new_epoch(0, lambda rng: iter(()))
            rows = torch.arange(24 if state.model.needs_negatives else 16).view(-1, 8).remainder(12).to("cuda")
            for step in range(4):  # of which Mirror Gradient mirrors the last, when all states exist
                gpu.forget()
                loss = state.strategy.loss(rows, batch_index=step, step=step, unread=unread)
                state.strategy.step(loss, state.optimizer)
        assert not gpu.waits, (strategy, gpu.waits)
        assert not gpu.uploads, (strategy, gpu.uploads)
        assert len(unread) >= 8


@pytest.mark.parametrize("strategy", EVERY)
def test_a_bad_batch_is_skipped_as_on_the_cpu(strategy: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """First and last of a window, two in a row across its border, in the first pass and in the second."""
    monkeypatch.setattr("recmodels.training.loop.WINDOW", 2)
    faults = {(0, 0, 0): "loss", (0, 3, 1): "gradient", (1, 1, 0): "gradient", (1, 2, 0): "loss", (2, 0, 0): "loss"}
    ends = []
    for device in ("cpu", "cuda"):
        with Pretended():
            state = with_faults(fresh("VBPR", strategy, device), faults)
            reports = run(state, 3, batch_size=8)
            ends.append((reports, weights(state), state.strategy.report()))
    (here, expected, figures), (there, found, same) = ends
    assert sum(row.counts.skipped for row in here) >= 3
    assert [row.counts for row in there] == [row.counts for row in here]
    assert [row.loss for row in there] == pytest.approx([row.loss for row in here], rel=1e-5)
    assert [row.terms for row in there] == [pytest.approx(row.terms, rel=1e-5) for row in here]
    for each, other in zip(found, expected, strict=True):
        torch.testing.assert_close(each, other, rtol=1e-4, atol=1e-6)
    assert same == pytest.approx(figures, rel=1e-3)


@pytest.mark.parametrize("kind", ["grad", "sign"])
@pytest.mark.parametrize("name", [each for each in TRAINED if MODELS[each].reads_features and each not in DRAWING])
def test_an_adversary_moves_an_item_once_however_often_it_is_in_the_batch(name: str, kind: str) -> None:
    losses = []
    for device in ("cpu", "cuda"):
        with Pretended():
            state = fresh(name, "amr", device)
            state.strategy = make_strategy("amr", state.model, {"adv_type": kind, "adv_eps": 3.0})
            losses.append([report.loss for report in run(state, 2)])
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.parametrize("strategy", ["plain", "sam", "mg"])
@pytest.mark.parametrize("window", [1, 3, 32])
def test_the_third_bad_batch_in_a_row_ends_the_trial(
    strategy: str, window: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the host knew when it came; the last one of the epoch before counts."""
    monkeypatch.setattr("recmodels.training.loop.WINDOW", window)
    with Pretended():
        state = fresh("BPR", strategy, "cuda")
        n = -(-len(DATA.train) // 8)
        with_faults(state, {(0, n - 1, 0): "gradient", (1, 0, 0): "loss", (1, 1, 0): "loss"})
        message = r"the loss became (-?inf|nan) in batch 2 of epoch 2, the last of 3 such batches in a row"
        with pytest.raises(TrainingDiverged, match=message):
            run(state, 2, batch_size=8)
        assert (state.epoch, state.strategy.counts.skipped) == (1, 3)


@pytest.mark.parametrize("strategy", ["sam", "gsam"])
def test_a_gradient_of_zero_costs_no_second_pass(strategy: str) -> None:
    """As on the CPU, with the same weights, which decay."""
    ends = []
    for device in ("cpu", "cuda"):
        with Pretended():
            state = fresh("BPR", strategy, device)
            model: Any = state.model
            model.loss = lambda rows, f=model.loss: {name: term * 0 for name, term in f(rows).items()}
            (report,) = run(state, 1)
            ends.append((report.counts, report.loss, [each.tolist() for each in weights(state)]))
    assert ends[0] == ends[1]
    assert ends[0][0].forward == ends[0][0].steps > 1


@pytest.mark.parametrize(
    ("name", "strategy", "window", "batch_size"),
    [("BPR", "plain", WINDOW, 1), ("MMGCN", "sam", 4, 5), ("BM3", "amr+sam+mg", 4, 5)],
)
def test_the_host_looks_once_in_a_window_and_at_the_end_of_an_epoch(
    name: str, strategy: str, window: int, batch_size: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("recmodels.training.loop.WINDOW", window)
    with Pretended() as gpu:
        state = fresh(name, strategy, "cuda")
        gpu.forget()
        run(state, 1, batch_size=batch_size)
    n_windows = len(DATA.train) / batch_size / window
    assert n_windows > 1
    waits = Counter[str]()
    for (_, line), times in gpu.waits.items():
        waits[line.split("/")[1]] += times
    assert waits == {"training": math.ceil(n_windows) + 1, "evaluation": 1}


@pytest.mark.parametrize("name", ["BPR", "BM3"])
def test_an_epoch_is_uploaded_once(name: str) -> None:
    with Pretended() as gpu:
        state = fresh(name, "plain", "cuda")
        gpu.forget()
        run(state, 1)
    assert sum(n for line, n in gpu.uploads.items() if "evaluation/" not in line) == 1


def test_a_ranking_waits_once_and_uploads_nothing_that_is_there_already() -> None:
    with Pretended() as gpu:
        users, items = (torch.randn(12, 4).to("cuda") for _ in range(2))
        evaluator = Evaluator(DATA, "valid", (1, 5))
        evaluator(users, items)
        gpu.forget()
        evaluator(users, items)
    assert (gpu.waits.total(), gpu.uploads.total()) == (1, 0), (gpu.waits, gpu.uploads)


@pytest.mark.parametrize("name", TRAINED)
def test_a_restored_run_goes_on_with_the_draws_of_the_device(name: str, tmp_path: Path) -> None:
    """Bit for bit, as the pretended device adds in order; a real one adds in none."""
    with Pretended():
        whole = fresh(name, "mg", "cuda")
        reports = run(whole, 2)
    with Pretended():
        first = fresh(name, "mg", "cuda")
        run(first, 1)
        save_state(tmp_path / "last.pt", first.state_dict())
    with Pretended():
        second = fresh(name, "mg", "cuda")
        torch.manual_seed(2)  # another process, whose generators stand elsewhere
        second.load_state_dict(load_state(tmp_path / "last.pt", CUDA))
        (resumed,) = run(second, 2)
        ends = weights(second)
    assert (resumed.loss, resumed.valid) == (reports[1].loss, reports[1].valid)
    assert all(map(torch.equal, ends, map(host, whole.model.state_dict().values())))


@pytest.mark.parametrize("name", ["BM3", "GRCN", "MMGCN"])
def test_a_run_may_move_between_devices(name: str, tmp_path: Path) -> None:
    """Begun on the CPU, continued on the device, ended on the CPU."""
    path, losses = tmp_path / "last.pt", []
    for epoch, device in enumerate(("cpu", "cuda", "cpu"), start=1):
        with Pretended():
            state = fresh(name, "mg", device, seed=epoch)
            if path.exists():
                state.load_state_dict(load_state(path, torch.device(device)))
            losses += [report.loss for report in run(state, epoch)]
            save_state(path, state.state_dict())
    expected = [report.loss for report in run(fresh(name, "mg", "cpu"), 3)]
    assert losses[0] == expected[0]
    if name not in DRAWING:
        assert losses == pytest.approx(expected, rel=1e-4)


def test_only_the_device_in_use_has_a_state() -> None:
    """Asking for the generators of the other cards would take memory on each, and a machine with fewer could not
    restore them."""
    for device, cards in (("cpu", set()), ("cuda", {0})):
        with Pretended(cards=2) as gpu:
            state = fresh("BPR", "plain", device)
            run(state, 1)
            saved = state.state_dict()
            state.load_state_dict(saved)
            assert gpu.initialised == cards
        assert len(saved["cuda_rng"]) == len(cards)


@pytest.mark.parametrize("cards", [1, 3])
def test_a_state_of_several_cards_is_still_read(cards: int, tmp_path: Path) -> None:
    """Earlier versions saved a generator for each card that was visible, on the CPU too."""
    path = tmp_path / "last.pt"
    with Pretended():
        first = fresh("BM3", "plain", "cuda")
        run(first, 1)
        saved = first.state_dict()
        others = [torch.Generator().manual_seed(seed).get_state() for seed in (5, 6)]
        save_state(path, saved | {"cuda_rng": [*saved["cuda_rng"], *others]})
        (last,) = run(first, 2)
    for device, initialised in (("cuda", {0}), ("cpu", set())):
        with Pretended(cards) as gpu:
            again = fresh("BM3", "plain", device, seed=2)
            again.load_state_dict(load_state(path, torch.device(device)))
            (resumed,) = run(again, 2)
            assert gpu.initialised == initialised
        assert (resumed.loss == last.loss) == (device == "cuda")


def test_a_gradient_that_is_one_number_expanded_is_copied_for_the_csr_product() -> None:
    """cuSPARSE takes the address of the values and reads on behind it."""
    with Pretended():
        edges = UserItemEdges(DATA).to("cuda")
        users, items = (torch.randn(12, 3).to("cuda").requires_grad_() for _ in range(2))
        made = torch.autograd.grad(edges.dot(users, items).sum(), (users, items))
        product = edges.rows(OnDevice(torch.ones(1).expand(len(DATA.train)))).times(items)
    dense = torch.zeros(12, 12)
    dense[DATA.train.users, DATA.train.items] = 1
    torch.testing.assert_close(host(made[0]), dense @ host(items))
    torch.testing.assert_close(host(made[1]), dense.T @ host(users))
    torch.testing.assert_close(host(product), dense @ host(items))


@pytest.mark.parametrize("n", [100, 700])
def test_the_softmax_is_one_block_on_the_device(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    queries, keys = torch.randn(n, 3), torch.randn(n, 3)
    expected = cross_entropy_of_own_key(queries, keys)
    kernels = []
    for limit in (2**26, 300 * n):  # or as many as fit
        monkeypatch.setattr("recmodels.ops.softmax.GPU_LOGITS", limit)
        with Pretended() as gpu:
            moved = queries.to("cuda"), keys.to("cuda")
            gpu.forget()
            found = cross_entropy_of_own_key(*moved)
        torch.testing.assert_close(host(found), expected)
        kernels.append(gpu.kernels)
    assert kernels[0] < 25
    assert kernels[1] == kernels[0] if n == 100 else kernels[1] > 2 * kernels[0]


def prepared(model: Recommender) -> dict[str, Tensor]:
    return {name: each for name, each in model.named_buffers() if "around_" in name or "unit_" in name}


def test_what_mmgcn_computes_once_is_the_same_after_its_own_weights_are_loaded() -> None:
    """On a GPU the same sums, made again, would differ in their last digits from those that validation used."""
    torch.manual_seed(1)
    model = MODELS["MMGCN"](DATA, embedding_size=4)
    before = prepared(model)
    model.load_state_dict({name: each.clone() for name, each in model.state_dict().items()})
    assert all(each is before[name] for name, each in prepared(model).items())
    torch.manual_seed(2)
    other = MODELS["MMGCN"](DATA, embedding_size=4)
    model.load_state_dict(other.state_dict())
    assert all(torch.equal(each, prepared(other)[name]) for name, each in prepared(model).items())


# The pretended device itself: faults that it would find.


def test_a_mix_of_sides_is_found() -> None:
    with Pretended():
        there = torch.ones(3).to("cuda")
        for mixed in (
            lambda: there + torch.ones(3),
            lambda: there.index_select(0, torch.tensor([0])),
            lambda: torch.cat([there, torch.ones(3)]),
        ):
            with pytest.raises(DeviceMix):
                mixed()
        with pytest.raises(TypeError, match=r"Use Tensor.cpu\(\) first"):
            there.numpy()
        indptr, indices = (torch.tensor(each).to("cuda") for each in ([0, 2], [0, 1]))
        with pytest.raises(DeviceMix, match="not contiguous"):
            torch.sparse_csr_tensor(indptr, indices, OnDevice(torch.ones(4)[::2]), size=(1, 2))


def test_a_buffer_that_is_not_registered_is_found() -> None:
    class Careless(LightGCN):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.weight = torch.ones(12, 4)

        def embed(self) -> tuple[Tensor, Tensor]:
            users, items = super().embed()
            return users, items * self.weight

    with Pretended(), pytest.raises(DeviceMix), torch.no_grad():
        Careless(DATA, embedding_size=4).to("cuda").embed()
