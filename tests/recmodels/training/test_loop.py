"""The loop, its determinism, restoring, and what every model learns on a checkerboard."""

import math
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.optim import Optimizer

from recmodels.data.dataset import Interactions, RecDataset
from recmodels.errors import TrainingDiverged
from recmodels.evaluation import Evaluator
from recmodels.models import MODELS
from recmodels.models.popularity import Popularity
from recmodels.training import EpochReport, TrainingState, make_optimizer, make_strategy, train
from recmodels.training.batch_loss import BatchLoss, Counts
from recmodels.training.checkpoint import load_state, load_weights, save_state, save_weights
from recmodels.training.optimizers import OPTIMIZERS
from recmodels.training.stopping import best_epoch, epochs_without_improvement
from tests.recmodels.factories import checkerboard
from tests.recmodels.training.strategies.toys import ON_ANY_MODEL, ORACLES

BATCH = 64
TRAINED = sorted(name for name, model in MODELS.items() if model.trains)
EPOCHS = {"BPR": 15, "DRAGON": 21, "DualGNN": 21, "MMGCN": 21, "SelfCF": 40}
"""Epochs that a model needs to learn the checkerboard, if more than 10. (Some are at the loss's floor in the first
epoch already: the withheld items among the negatives. In epoch 21 these are few.)"""
TOO_HARD = ("MVGAE",)
"""The hardest negative of a batch is, on the checkerboard, an item that the user might have as well."""
GENTLE: dict[str, dict[str, Any]] = {"asam": {"rho": 0.05}, "ema": {"decay": 0.9}, "swa": {"swa_start": 3}}
"""Knobs at which a strategy learns in as little time."""


def fresh(
    data: RecDataset,
    model: str = "LightGCN",
    strategy: str = "mg",
    optimizer: str = "adam",
    seed: int = 0,
    knobs: dict[str, Any] | None = None,
    **hyper: Any,
) -> TrainingState:
    torch.manual_seed(seed)
    made = MODELS[model](data, **{"embedding_size": 16} | hyper)
    base = make_optimizer(optimizer, made.parameters(), learning_rate=0.02)
    return TrainingState(made, base, make_strategy(strategy, made, knobs or {}, seed=seed), np.random.default_rng(seed))


def run(state: TrainingState, data: RecDataset, max_epochs: int, batch_size: int = BATCH) -> list[EpochReport]:
    evaluator = Evaluator(data, "valid", (1, 5))
    return list(train(state, data, batch_size=batch_size, max_epochs=max_epochs, evaluator=evaluator))


@pytest.mark.parametrize(
    ("model", "strategy"),
    [(model, strategy) for model in TRAINED for strategy in ("plain", "mg")]
    + [("LightGCN", strategy) for strategy in ON_ANY_MODEL if strategy not in ("plain", "mg")],
)
def test_ranks_the_withheld_item_first(model: str, strategy: str) -> None:
    """On a checkerboard the best unseen item of user u is item u."""
    data = checkerboard()
    state = fresh(data, model, strategy, knobs=GENTLE.get(strategy))
    reports = run(state, data, EPOCHS.get(model, 10))
    with state.strategy.evaluation_weights():
        test = Evaluator(data, "test", (1,)).metrics(state.model)
    if model not in TOO_HARD:
        assert reports[-1].valid["recall@1"] == 1.0
        assert test["recall@1"] == 1.0
    assert reports[-1].loss < reports[0].loss
    assert reports[-1].loss == pytest.approx(sum(reports[-1].terms.values()), rel=1e-5)


@pytest.mark.parametrize("strategy", [*ON_ANY_MODEL, "ssam_f+mg"])
@pytest.mark.parametrize("model", TRAINED)
def test_every_strategy_trains_every_model(model: str, strategy: str) -> None:
    """A finite loss, the passes that it should cost, and an evaluation at the weights that training came to."""
    data = checkerboard(8)
    knobs = {"n_fisher": 2} if "ssam_f" in strategy else {}
    state = fresh(data, model, strategy, knobs=knobs, embedding_size=4)
    before = [each.detach().clone() for each in state.model.parameters()]
    (report,) = run(state, data, 1, batch_size=6)
    n = 4  # batches; Mirror Gradient and its control take the first and the last twice
    rounds = n + 2 if {"mg", "sam_mg", "plain_repeat"} & set(strategy.split("+")) else n
    passes = rounds * (2 if strategy.split("+")[0] in (*ORACLES, "sam_mg") else 1) + knobs.get("n_fisher", 0)
    assert math.isfinite(report.loss)
    assert report.counts == Counts(forward=passes, backward=passes, steps=rounds)
    trained = [not torch.equal(*pair) for pair in zip(before, state.model.parameters(), strict=True)]
    assert trained == [each.requires_grad for each in state.model.parameters()]
    other = fresh(data, model, seed=1, embedding_size=4).model
    other.load_state_dict(state.model.state_dict())
    with torch.no_grad():
        assert all(torch.equal(*pair) for pair in zip(state.model.embed(), other.eval().embed(), strict=True))


@pytest.mark.parametrize("strategy", [*ON_ANY_MODEL, "ssam_f+mg"])
def test_every_strategy_sees_the_same_batches(strategy: str) -> None:
    """Under one seed: nothing that a strategy does reaches the order or the negatives."""
    rows = []
    for name in ("plain", strategy):
        state = fresh(checkerboard(8), strategy=name, embedding_size=4)
        seen, step = [], state.strategy.step

        def noted(loss: BatchLoss, optimizer: Optimizer, step: Any = step, seen: list[Any] = seen) -> None:
            seen.append((loss.epoch, loss.batch_index, loss.step, loss.rows.tolist()))
            step(loss, optimizer)

        state.strategy.step = noted
        reports = run(state, checkerboard(8), 3, batch_size=10)
        rows.append(seen)
        assert all(report.counts.forward * 3 == state.strategy.counts.forward for report in reports)
    assert rows[0] == rows[1]
    assert [place[:3] for place in rows[0]] == [(e, n, 3 * e + n) for e in (0, 1, 2) for n in (0, 1, 2)]


@pytest.mark.parametrize("strategy", ["plain", "mg", "sam", "sam_mg"])
def test_reports_the_mean_loss_before_the_steps(strategy: str) -> None:
    """By batch and by term, whatever further passes a batch has; a batch that could not be used does not count."""
    data = checkerboard(8)
    state = fresh(data, strategy=strategy, knobs={"interval": 1} if "mg" in strategy else {})
    passes = {"plain": 1, "mg": 2, "sam": 2, "sam_mg": 4}[strategy]
    values: list[dict[str, float]] = []
    loss = state.model.loss

    def noted(batch: Tensor) -> dict[str, Tensor]:
        terms = loss(batch)
        values.append({name: term.item() for name, term in terms.items()})
        return {name: term * math.nan for name, term in terms.items()} if len(values) == 2 * passes + 1 else terms

    state.model.loss = noted
    (report,) = run(state, data, 1, batch_size=6)
    first = [*values[: 2 * passes : passes], *values[2 * passes + 1 :: passes]]
    assert len(first) == 3
    assert report.counts.skipped == 1
    for name in ("bpr", "reg"):
        assert report.terms[name] == pytest.approx(np.mean([terms[name] for terms in first]), rel=1e-5)
    assert report.loss == pytest.approx(sum(report.terms.values()), rel=1e-5)


RESUMED: dict[str, dict[str, Any]] = {
    "mg": {"phase": "global"},
    "ssam_f": {"mask_every": 3, "n_fisher": 3},
    "ssam_d": {"mask_every": 3, "drop": "random"},
    "swa": {"swa_start": 2},
    "ssam_d+mg+ema": {"mask_every": 2, "phase": "global", "decay": 0.9},
}


@pytest.mark.parametrize(
    ("model", "optimizer", "strategy"),
    [(model, optimizer, "mg") for model in TRAINED for optimizer in sorted(OPTIMIZERS)]
    + [("LightGCN", "adam", strategy) for strategy in dict.fromkeys([*ON_ANY_MODEL, *RESUMED])],
)
def test_restored_training_goes_on_bit_for_bit(model: str, optimizer: str, strategy: str, tmp_path: Path) -> None:
    """After the first epoch of two or four; in the midst of a mask's epochs, and of a cycle of mirrored batches."""
    data = checkerboard(14)
    made = partial(fresh, data, model, strategy, optimizer, knobs=RESUMED.get(strategy), embedding_size=8)
    whole = made()
    reports = run(whole, data, 4 if model == "LightGCN" else 2)

    first = made()
    run(first, data, 1)
    save_state(tmp_path / "last.pt", first.state_dict())
    second = made(seed=1)
    second.load_state_dict(load_state(tmp_path / "last.pt", torch.device("cpu")))
    resumed = run(second, data, len(reports))

    assert [report.epoch for report in resumed] == list(range(2, len(reports) + 1))
    assert [(r.loss, r.valid, r.counts) for r in resumed] == [(r.loss, r.valid, r.counts) for r in reports[1:]]
    assert second.strategy.counts == whole.strategy.counts
    for name, weights in whole.strategy.weights().items():
        assert torch.equal(weights, second.strategy.weights()[name])
    for a, b in zip(whole.model.parameters(), second.model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_seed_fixes_the_result_and_another_changes_it() -> None:
    data = checkerboard()
    losses = [run(fresh(data, seed=seed), data, 2)[-1].loss for seed in (0, 0, 1)]
    assert losses[0] == losses[1] != losses[2]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_training_with_its_place(bad: float) -> None:
    data = checkerboard()
    state = fresh(data)
    run(state, data, 1)
    with torch.no_grad():
        state.model.user_emb.fill_(bad)
    with pytest.raises(
        TrainingDiverged, match=r"the loss became (nan|inf) in batch 3 of epoch 2, the last of 3 such batches in a row"
    ):
        run(state, data, 2)


def test_an_epoch_without_a_usable_batch_ends_training() -> None:
    """However few batches it has."""
    data = checkerboard()
    state = fresh(data)
    with torch.no_grad():
        state.model.user_emb.fill_(math.nan)
    message = "the loss became nan in batch 1 of epoch 1, and no other batch of the epoch could be used"
    with pytest.raises(TrainingDiverged, match=message):
        run(state, data, 1, batch_size=len(data.train))


def popular() -> RecDataset:
    """Item 2 has 3 interactions, item 0 has 2, item 1 one, item 3 none; users 0 and 3 are evaluated."""
    pairs = {"train": [(0, 1), (1, 0), (1, 2), (2, 0), (2, 2), (3, 2)], "valid": [(0, 2), (3, 1)], "test": [(0, 0)]}
    splits = [Interactions.from_pairs(*np.array(pairs[name]).T, 4) for name in ("train", "valid", "test")]
    return RecDataset("popular", 4, 4, *splits, {}, "popular")


def test_popularity_counts_training_interactions() -> None:
    data = popular()
    users, items = Popularity(data).embed()
    assert (users @ items.t()).tolist() == [[2.0, 1.0, 3.0, 0.0]] * 4
    ranking = Evaluator(data, "valid", (1, 2))(users, items)
    assert (ranking["recall@1"], ranking["recall@2"]) == (0.5, 1.0)  # user 3 has seen item 2: items 0, 1, 3 are left


@pytest.mark.parametrize("strategy", ON_ANY_MODEL)
@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
def test_a_model_without_parameters_is_evaluated_once(optimizer: str, strategy: str) -> None:
    data = popular()
    model = Popularity(data)
    base = make_optimizer(optimizer, model.parameters(), learning_rate=0.1, weight_decay=0.1)
    state = TrainingState(model, base, make_strategy(strategy, model), np.random.default_rng(0))
    (report,) = run(state, data, 9)
    assert (report.epoch, report.loss, report.terms, report.valid["recall@1"]) == (1, 0.0, {}, 0.5)
    state.load_state_dict(state.state_dict())
    assert run(state, data, 9) == []


def test_weights_survive_the_file(tmp_path: Path) -> None:
    state = fresh(checkerboard(), "GRCN")
    weights = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    save_weights(tmp_path / "best.safetensors", weights)
    loaded = load_weights(tmp_path / "best.safetensors")
    assert loaded.keys() == weights.keys()
    assert all(torch.equal(loaded[name], tensor) for name, tensor in weights.items())
    assert list(tmp_path.iterdir()) == [tmp_path / "best.safetensors"]


@pytest.mark.parametrize("every", [1, 3])
def test_stopping_counts_epochs_from_the_first_best_evaluation_to_the_last_one(every: int) -> None:
    scores = {every * (number + 1): score for number, score in enumerate([0.1, 0.3, 0.3, 0.2])}
    assert best_epoch(scores) == 2 * every
    assert epochs_without_improvement(scores) == 2 * every
    assert epochs_without_improvement({}) == 0


@pytest.mark.parametrize(("every", "evaluated"), [(1, [1, 2, 3, 4, 5]), (2, [2, 4, 5]), (5, [5]), (9, [5])])
def test_every_nth_epoch_and_the_last_one_are_evaluated_and_training_is_the_same(
    every: int, evaluated: list[int]
) -> None:
    data, usual = checkerboard(), fresh(checkerboard(), "LightGCN")
    state, how = fresh(data, "LightGCN"), {"batch_size": 64, "max_epochs": 5}
    evaluator = Evaluator(data, "valid", (1, 5))
    expected = list(train(usual, data, evaluator=evaluator, **how))
    found = list(train(state, data, evaluator=evaluator, eval_every=every, **how))
    assert [report.epoch for report in found if report.valid] == evaluated
    assert [report.valid_seconds > 0 for report in found] == [report.epoch in evaluated for report in found]
    assert [(each.loss, each.terms, each.counts) for each in found] == [
        (each.loss, each.terms, each.counts) for each in expected
    ]
    assert [each.valid for each in found if each.valid] == [expected[epoch - 1].valid for epoch in evaluated]
    assert all(torch.equal(a, b) for a, b in zip(state.model.parameters(), usual.model.parameters(), strict=True))
    assert not state.model.training


def test_a_training_that_goes_on_evaluates_the_epochs_of_an_unbroken_one() -> None:
    data = checkerboard()
    state, evaluator = fresh(data, "BPR"), Evaluator(data, "valid", (1, 5))
    how: dict[str, Any] = {"batch_size": 64, "max_epochs": 7, "evaluator": evaluator, "eval_every": 3}
    first = [report for report, _ in zip(train(state, data, **how), range(4), strict=False)]
    rest = list(train(state, data, **how))
    assert [report.epoch for report in [*first, *rest] if report.valid] == [3, 6, 7]


def test_a_rate_that_falls_goes_on_falling_after_a_break() -> None:
    """Bit for bit, from a saved state, into an optimiser that was made anew."""

    def begun() -> TrainingState:
        state = fresh(checkerboard(), "BPR")
        settings = {"learning_rate": 0.02, "lr_decay": 0.5, "lr_decay_epochs": 2}
        state.optimizer = make_optimizer("adam", state.model.parameters(), **settings)
        return state

    whole, part, other = begun(), begun(), begun()
    run(whole, checkerboard(), 4)
    run(part, checkerboard(), 2)
    other.load_state_dict(part.state_dict())
    run(other, checkerboard(), 4)
    assert [group["lr"] for group in other.optimizer.param_groups] == pytest.approx([0.02 * 0.5**1.5], rel=1e-12)
    assert all(torch.equal(a, b) for a, b in zip(whole.model.parameters(), other.model.parameters(), strict=True))


@pytest.mark.parametrize("every", [0, -1, 1.5, True])
def test_an_interval_of_evaluations_that_is_no_count_is_refused(every: Any) -> None:
    data = checkerboard()
    state, evaluator = fresh(data, "BPR"), Evaluator(data, "valid", (1, 5))
    with pytest.raises(ValueError, match=r"^eval_every (>= 1 must hold|must be a whole number), but got "):
        next(train(state, data, batch_size=64, max_epochs=1, evaluator=evaluator, eval_every=every))
