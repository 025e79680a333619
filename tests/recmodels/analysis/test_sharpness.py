"""Sharpness: known values, and that training does not notice the measurement."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.linalg import vector_norm

from recmodels.analysis import sharpness
from recmodels.data.sampling import BatchSampler
from recmodels.evaluation import Evaluator
from recmodels.models import MODELS
from recmodels.models.popularity import Popularity
from recmodels.training import TrainingState, make_optimizer, make_strategy, train
from recmodels.training.batch_loss import BatchLoss
from tests.recmodels.factories import checkerboard
from tests.recmodels.training.strategies.toys import MF, Failing, Quadratic, flat, optimizer_of

BOARD = checkerboard()


def state_of(model: Any, name: str = "plain", **knobs: Any) -> TrainingState:
    strategy = make_strategy(name, model, knobs)
    return TrainingState(model, optimizer_of("sgd", model, lr=0.3), strategy, np.random.default_rng(0), epoch=4)


def test_known_values_on_a_quadratic() -> None:
    """||A x||, the rise rho ||g|| + rho^2 / 2 g'Ag / ||g||^2, and the penalty alpha beta lr / 2 ||g||^2."""
    model = Quadratic()
    start, a = flat(model), model.matrix
    g = a @ start
    found = sharpness(state_of(model, "mg", alpha=0.9, beta=0.4), BOARD, batch_size=16, rho=0.2)
    rise = 0.2 * vector_norm(g) + 0.02 * (g @ a @ g) / (g @ g)
    assert found == pytest.approx(
        {
            "gradient_norm": vector_norm(g).item(),
            "sharpness": rise.item(),
            "mg_penalty": 0.9 * 0.4 * 0.3 / 2 * (g @ g).item(),
        },
        rel=1e-9,
    )
    assert torch.equal(flat(model), start)


def test_the_strategys_own_report_is_part_of_it() -> None:
    state = state_of(Quadratic(), "sam", rho=0.1)
    assert sharpness(state, BOARD, batch_size=16).keys() == {"gradient_norm", "sharpness", "perturbed_weights"}


def test_every_call_measures_the_same_batches_and_draws() -> None:
    """Means over the first batches of a fixed order, whatever state the training's generators have."""
    data = checkerboard(8)
    state = state_of(MF(dropout=0.5))
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        state.rng = np.random.default_rng(seed)
        found.append(sharpness(state, data, batch_size=5, n_batches=3))
    assert found[0] == found[1]
    torch.manual_seed(0)
    norms = []
    for rows in list(BatchSampler(data, 5).epoch(np.random.default_rng(0)))[:3]:
        loss = BatchLoss(state.model.train(), torch.from_numpy(rows))
        loss()
        norms.append(loss.gradient_norm)
    assert found[0]["gradient_norm"] == pytest.approx(np.mean(norms), rel=1e-12)


def test_measures_the_evaluation_weights() -> None:
    """These are the averages, if the strategy averages."""
    state = state_of(Quadratic(), "ema", decay=0.9)
    other = Quadratic(seed=3)
    state.strategy.averaging.means = dict(other.named_parameters())
    found = sharpness(state, BOARD, batch_size=16)
    assert found["gradient_norm"] == pytest.approx(vector_norm(state.model.matrix @ flat(other)).item(), rel=1e-9)


def test_a_minimum_is_flat() -> None:
    model = Quadratic()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert sharpness(state_of(model), BOARD, batch_size=16) == {"gradient_norm": 0.0, "sharpness": 0.0}


@pytest.mark.parametrize("call", [0, 1])
def test_says_nothing_where_the_loss_is_not_finite(call: int) -> None:
    """Training goes on, and from the same weights."""
    model = Failing({call: "inf"})
    before = flat(model)
    assert sharpness(state_of(model), BOARD, batch_size=16) == {}
    assert torch.equal(flat(model), before)
    assert not model.training


@pytest.mark.parametrize(
    ("model", "name"),
    [("LightGCN", "plain"), ("SelfCF", "mg"), ("SelfCF", "ssam_f+mg+ema"), ("LayerGCN", "ssam_d"), ("BM3", "sam+swa")],
)
def test_training_does_not_notice(model: str, name: str) -> None:
    """Models that draw in the loss, or at the start of an epoch; strategies with masks and averages."""
    data = checkerboard(10)
    ends, found = [], []
    for measured in (False, True):
        torch.manual_seed(0)
        made = MODELS[model](data, embedding_size=4)
        base = make_optimizer("adam", made.parameters(), learning_rate=0.02)
        state = TrainingState(made, base, make_strategy(name, made), np.random.default_rng(0))
        evaluator = Evaluator(data, "valid", (1,))
        figures = []
        for report in train(state, data, batch_size=16, max_epochs=3, evaluator=evaluator):
            figures.append((report.loss, report.terms, report.valid, report.counts))
            if measured:
                found.append(sharpness(state, data, batch_size=16))
        ends.append([figures, flat(made).tolist(), state.rng.bit_generator.state, torch.get_rng_state().tolist()])
    assert ends[0] == ends[1]
    assert len(found) == 3
    assert all(each["gradient_norm"] > 0 and np.isfinite([*each.values()]).all() for each in found)


def test_a_model_without_parameters_has_none() -> None:
    assert sharpness(state_of(Popularity(BOARD)), BOARD, batch_size=16) == {}


def test_statistics_of_a_layer_stay() -> None:
    model = MF(normalise=True)
    before = {key: value.clone() for key, value in model.normalise.named_buffers()}
    sharpness(state_of(model), checkerboard(8), batch_size=5)
    assert all(torch.equal(before[key], value) for key, value in model.normalise.named_buffers())
