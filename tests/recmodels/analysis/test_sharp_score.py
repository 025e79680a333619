"""The sharp score: an ascent in a ball that scales with the weights, which leaves no trace."""

import pytest
import torch

from recmodels.analysis import sharp_score
from recmodels.analysis.ascent import ascent_step
from recmodels.analysis.fixed_loss import fixed_batches, fixed_loss
from recmodels.models import MODELS, Recommender
from tests.recmodels.factories import held_out

DATA = held_out()


def made(name: str) -> Recommender:
    torch.manual_seed(0)
    return MODELS[name](DATA)


@pytest.mark.parametrize("name", ["BPR", "GRCN"])
def test_it_finds_at_least_the_rise_of_one_step_and_leaves_the_model_as_it_was(name: str) -> None:
    model = made(name).eval()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    state = torch.get_rng_state()
    found = sharp_score(model, DATA, batch_size=16, seed=3)
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)
    assert not model.training
    with fixed_loss(model, fixed_batches(model, DATA, batch_size=16, n=4, seed=3), seed=3) as loss:
        value, gradient = loss.gradient()
        step = ascent_step(gradient, 0.5, loss.point.abs() + 1e-3)
        assert torch.linalg.vector_norm(step / (loss.point.abs() + 1e-3)) == pytest.approx(0.5, rel=1e-3)
        assert found is not None
        assert found >= loss(step) - value > 0


def test_the_seed_decides_it() -> None:
    model = made("BPR")
    assert sharp_score(model, DATA, 16, seed=1) == sharp_score(model, DATA, 16, seed=1)
    assert len({sharp_score(model, DATA, 16, seed) for seed in range(4)}) == 4


def test_there_is_none_for_a_loss_that_is_not_finite() -> None:
    model = made("BPR")
    with torch.no_grad():
        next(model.parameters()).fill_(torch.nan)
    assert sharp_score(model, DATA, 16, seed=1) is None


def test_a_model_without_weights_is_refused() -> None:
    with pytest.raises(ValueError, match="has no weights"):
        sharp_score(MODELS["Popularity"](DATA), DATA, 16, seed=1)
