"""Hessian-vector products of every model's loss under plain operations, against differences of gradients."""

import pytest
import torch
from torch import Tensor
from torch.nn.utils import parameters_to_vector, vector_to_parameters

from recmodels import ops
from recmodels.models import Recommender
from recmodels.testing import small_data
from tests.recmodels.models.test_contract import TRAINED, loss, make

EPSILON = 1e-7


def trained(model: Recommender) -> list[Tensor]:
    return [each for each in model.parameters() if each.requires_grad]


def gradient(model: Recommender, *, create_graph: bool = False) -> Tensor:
    """Return the gradient of all trained weights, (N,), always with the same draws."""
    torch.manual_seed(0)
    return flat(torch.autograd.grad(loss(model), trained(model), create_graph=create_graph))


def flat(tensors: tuple[Tensor, ...]) -> Tensor:
    return torch.cat([each.flatten() for each in tensors])


@pytest.mark.parametrize("modalities", [("image", "text"), ("image", "text", "audio")])
@pytest.mark.parametrize("name", TRAINED)
def test_hessian_vector_products(monkeypatch: pytest.MonkeyPatch, name: str, modalities: tuple[str, ...]) -> None:
    model = make(name, small_data(*modalities)).double()
    weights = trained(model)
    vector = torch.randn(sum(each.numel() for each in weights), dtype=torch.float64)
    # A target without a gradient is a constant to the second derivative, but not to a difference of gradients.
    with monkeypatch.context() as patched:
        patched.setattr(Tensor, "detach", lambda self: self)
        with ops.plain():
            of_plain = gradient(model, create_graph=True)
        product = flat(torch.autograd.grad(of_plain @ vector, weights, materialize_grads=True))
        torch.testing.assert_close(gradient(model), of_plain)
        here, ends = parameters_to_vector(weights), []
        for sign in (1, -1):
            vector_to_parameters(here + sign * EPSILON * vector, weights)
            ends.append(gradient(model))
    slope = (ends[0] - ends[1]) / (2 * EPSILON)
    assert product.abs().max() > 0
    torch.testing.assert_close(product.detach(), slope, rtol=1e-5, atol=1e-6 * slope.abs().max().item())
