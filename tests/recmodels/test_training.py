"""The loop, its determinism, restoring, and what every model learns on a checkerboard."""

from pathlib import Path

import numpy as np
import pytest
import torch

from recmodels.data.dataset import Interactions, RecDataset
from recmodels.errors import TrainingDiverged
from recmodels.evaluation import Evaluator
from recmodels.models import MODELS
from recmodels.models.popularity import Popularity
from recmodels.training import OPTIMIZERS, STRATEGIES, TrainingState, make_optimizer, make_strategy, train
from recmodels.training.checkpoint import load_state, load_weights, save_state, save_weights
from recmodels.training.stopping import best_evaluation, should_stop
from tests.recmodels.made import checkerboard

BATCH = 64
TRAINED = sorted(MODELS.keys() - {"Popularity"})


def fresh(
    data: RecDataset, model: str = "LightGCN", strategy: str = "mg", optimizer: str = "adam", seed: int = 0, **hyper
) -> TrainingState:
    torch.manual_seed(seed)
    made = MODELS[model](data, embedding_size=16, **hyper)
    base = make_optimizer(optimizer, made.parameters(), learning_rate=0.02)
    return TrainingState(made, base, make_strategy(strategy, made, seed=seed), np.random.default_rng(seed))


def run(state: TrainingState, data: RecDataset, max_epochs: int) -> list:
    evaluator = Evaluator(data.train, data.valid, data.n_items, (1, 5))
    return list(train(state, data, batch_size=BATCH, max_epochs=max_epochs, evaluator=evaluator))


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
@pytest.mark.parametrize("model", TRAINED)
def test_ranks_the_withheld_item_first(model: str, strategy: str) -> None:
    """On a checkerboard the best unseen item of user u is item u."""
    data = checkerboard()
    state = fresh(data, model, strategy)
    reports = run(state, data, 40)
    test = Evaluator(data.train, data.test, data.n_items, (1,))
    assert reports[-1].valid["recall@1"] == 1.0
    assert test(*state.model.embed())["recall@1"] == 1.0
    assert reports[-1].loss < reports[0].loss
    assert reports[-1].loss == pytest.approx(sum(reports[-1].terms.values()), rel=1e-5)


@pytest.mark.parametrize("optimizer", sorted(OPTIMIZERS))
@pytest.mark.parametrize("model", TRAINED)
def test_restored_training_goes_on_bit_for_bit(model: str, optimizer: str, tmp_path: Path) -> None:
    data = checkerboard()
    whole = fresh(data, model, optimizer=optimizer)
    reports = run(whole, data, 5)

    first = fresh(data, model, optimizer=optimizer)
    run(first, data, 2)
    save_state(tmp_path / "last.pt", first.state_dict())
    second = fresh(data, model, optimizer=optimizer, seed=1)
    second.load_state_dict(load_state(tmp_path / "last.pt", torch.device("cpu")))
    resumed = run(second, data, 5)

    assert [report.epoch for report in resumed] == [3, 4, 5]
    assert [(r.loss, r.valid) for r in resumed] == [(r.loss, r.valid) for r in reports[2:]]
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


def popular() -> RecDataset:
    """Item 2 has 3 interactions, item 0 has 2, item 1 one, item 3 none; users 0 and 3 are evaluated."""
    pairs = {"train": [(0, 1), (1, 0), (1, 2), (2, 0), (2, 2), (3, 2)], "valid": [(0, 2), (3, 1)], "test": [(0, 0)]}
    splits = [Interactions.from_pairs(*np.array(pairs[name]).T, 4) for name in ("train", "valid", "test")]
    return RecDataset("popular", 4, 4, *splits, {}, "popular")


def test_popularity_counts_training_interactions() -> None:
    data = popular()
    users, items = Popularity(data).embed()
    assert (users @ items.t()).tolist() == [[2.0, 1.0, 3.0, 0.0]] * 4
    ranking = Evaluator(data.train, data.valid, data.n_items, (1, 2))(users, items)
    assert (ranking["recall@1"], ranking["recall@2"]) == (0.5, 1.0)  # user 3 has seen item 2: items 0, 1, 3 are left


@pytest.mark.parametrize("strategy", sorted(STRATEGIES))
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


def test_stopping_counts_evaluations_without_improvement() -> None:
    scores = [0.1, 0.3, 0.3, 0.2]
    assert best_evaluation(scores) == 1
    assert not should_stop(scores, patience=2)
    assert should_stop(scores, patience=1)
    assert not should_stop([], patience=0)


def test_unknown_optimizer_is_refused() -> None:
    with pytest.raises(ValueError, match="adam, sgd, rmsprop, adagrad, but got 'adamw'"):
        make_optimizer("adamw", [], learning_rate=0.1)
