"""The loss as a function of the weights: the same in every call, and nothing is left changed."""

import numpy as np
import pytest
import torch

from recmodels.analysis.fixed_loss import fixed_batches, fixed_loss, scoped
from recmodels.models import MODELS
from recmodels.models.popularity import Popularity
from recmodels.testing import small_data
from tests.recmodels.models.test_contract import TRAINED
from tests.recmodels.training.strategies.toys import MF, Quadratic, flat, triples

DATA = small_data("image", "text")


def test_its_value_is_the_training_loss_of_the_batches() -> None:
    model, batches = MF(), triples(3)
    mean = np.mean([sum(term.item() for term in model.loss(batch).values()) for batch in batches])
    with fixed_loss(model, batches) as loss:
        assert loss() == pytest.approx(mean, rel=1e-14)


@pytest.mark.parametrize("name", TRAINED)
def test_rb_15_weights_buffers_and_draws_are_as_before(name: str) -> None:
    """Bit for bit, after every kind of pass; models that draw in the loss or for an epoch give the same value twice."""
    torch.manual_seed(0)
    model = MODELS[name](DATA).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state, values = torch.get_rng_state(), []
    for _ in range(2):
        with fixed_loss(model, fixed_batches(model, DATA, batch_size=20, n=2), seed=3) as loss:
            shift = torch.full_like(loss.point, 0.1)
            values.append([loss(), loss(shift), loss.gradient(shift)[0], loss()])
            loss.hessian_times(shift)
    assert values[0] == values[1]
    assert values[0][0] == values[0][3] != values[0][1]
    assert values[0][1] == pytest.approx(values[0][2], rel=1e-6)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training


def test_weights_are_restored_after_an_error() -> None:
    model = Quadratic()
    before = flat(model)

    def interrupted() -> None:
        with fixed_loss(model, triples(1)) as loss:
            loss(torch.ones(13, dtype=torch.float64))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert torch.equal(flat(model), before)


def test_other_seeds_have_other_batches_and_draws() -> None:
    model = MF(dropout=0.5)
    one, other = (fixed_batches(MODELS["BPR"](DATA), DATA, batch_size=20, seed=seed)[0] for seed in (1, 2))
    assert not torch.equal(one, other)
    values = []
    for seed in (1, 2):
        with fixed_loss(model, triples(2), seed=seed) as loss:
            values.append(loss())
    assert values[0] != values[1]


def test_batches_of_models_with_and_without_negatives_have_the_same_pairs() -> None:
    """And more batches than an epoch has are those of further epochs."""
    with_negatives, without = (fixed_batches(MODELS[name](DATA), DATA, batch_size=20, n=9) for name in ("BPR", "BM3"))
    assert len(with_negatives) == len(without) == 9 > len(DATA.train) / 20
    assert torch.equal(with_negatives[0][:2], without[0])
    assert not torch.equal(with_negatives[0], with_negatives[-1][:, : with_negatives[0].shape[1]])


def test_scopes_of_a_model_with_trained_features() -> None:
    """BM3 trains tables of features, which are no ids."""
    model = MODELS["BM3"](DATA)
    names = {scope: scoped(model, scope).keys() for scope in ("all", "ids", "without-features")}
    assert names["all"] == {name for name, _ in model.named_parameters()}
    assert names["ids"] == {"user_emb", "item_emb"}
    assert names["all"] - names["without-features"] == {"content.image.table", "content.text.table"}


def test_only_the_weights_of_the_scope_move() -> None:
    model = Quadratic()
    with fixed_loss(model, triples(1), scope="ids") as loss:
        loss(torch.ones(10, dtype=torch.float64))
        moved = flat(model)
    assert torch.equal(moved[:10], flat(model)[:10] + 1)
    assert torch.equal(moved[10:], flat(model)[10:])


def test_a_model_without_weights_is_refused() -> None:
    with (
        pytest.raises(ValueError, match="Popularity has no weights in the scope 'all'"),
        fixed_loss(Popularity(DATA), []),
    ):
        pass
