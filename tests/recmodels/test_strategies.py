"""Mirror Gradient against the reference trainer's float64 trajectories, a closed form, and plain training."""

from functools import partial
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmodels.training import STRATEGIES, make_optimizer
from recmodels.training.strategies import MirrorGradient, Plain, Strategy
from tests.recmodels import golden

PARTS = ("user_emb", "item_emb", "user_proj", "item_proj")
OPTIMIZERS = ("sgd", "adam", "rmsprop", "adagrad")


class Towers(nn.Module):
    """The golden file's model: two linear towers, mean of softplus(-(s+ - s-))."""

    def __init__(self, z: dict[str, Any]):
        super().__init__()
        for part in PARTS:
            setattr(self, part, nn.Parameter(torch.from_numpy(z[f"init_{part}"]).clone()))

    def loss(self, batch: Tensor) -> Tensor:
        users, items = self.user_emb @ self.user_proj.T, self.item_emb @ self.item_proj.T
        user, positive, negative = users[batch[0]], items[batch[1]], items[batch[2]]
        return F.softplus((user * negative).sum(-1) - (user * positive).sum(-1)).mean()


def backward(model: nn.Module, batch: Tensor, optimizer: torch.optim.Optimizer, calls: list[float]) -> float:
    optimizer.zero_grad()
    loss = model.loss(batch)
    loss.backward()
    calls.append(loss.item())
    return calls[-1]


def strategy_of(z: dict[str, Any], setting: str) -> Strategy:
    if setting == "plain":
        return Plain()
    alpha, beta, interval = z[f"mg_{setting}"].tolist()
    return MirrorGradient(alpha=alpha, beta=beta, interval=int(interval))


CASES = [(optimizer, setting, 0.0) for optimizer in OPTIMIZERS for setting in ("plain", "a", "b", "c")]
CASES += [("sgd", "c", 0.02), ("adam", "c", 0.02)]


@pytest.mark.parametrize(("name", "setting", "decay"), CASES)
def test_reproduces_the_reference_trajectory(name: str, setting: str, decay: float) -> None:
    z = golden.load("mirror_gradient")
    tag = f"{name}_{setting}{'_wd' if decay else ''}"
    model = Towers(z)
    optimizer = make_optimizer(name, model.parameters(), learning_rate=float(z[f"lr_{name}"]), weight_decay=decay)
    strategy = strategy_of(z, setting)
    first, second = np.full((2, 10), np.nan), np.full((2, 10), np.nan)
    for epoch in range(2):
        strategy.new_epoch()
        for number, batch in enumerate(torch.from_numpy(z["batches"])):
            calls: list[float] = []
            first[epoch, number] = strategy.step(partial(backward, model, batch, optimizer, calls), optimizer)
            if len(calls) == 2:
                second[epoch, number] = calls[1]
    np.testing.assert_allclose(first, z[f"loss_first_{tag}"], rtol=1e-9)
    np.testing.assert_allclose(second, z[f"loss_second_{tag}"], rtol=1e-9)  # NaN where the batch is not a mirror batch
    np.testing.assert_allclose(first.sum(1), z[f"epoch_loss_{tag}"], rtol=1e-9)
    for part in PARTS:
        assert golden.error(getattr(model, part), z[f"final_{part}_{tag}"]) < 1e-9, part


def run_quadratic(strategy: Strategy, steps: int, *, eta: float = 0.1) -> tuple[Tensor, Tensor, Tensor]:
    """(end, start, A) of `steps` SGD steps on x'Ax / 2."""
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn(4, 4, generator=generator, dtype=torch.float64)
    matrix = factor @ factor.T / 4
    start = torch.randn(4, generator=generator, dtype=torch.float64)
    point = nn.Parameter(start.clone())
    optimizer = make_optimizer("sgd", [point], learning_rate=eta)

    def closure() -> float:
        optimizer.zero_grad()
        loss = 0.5 * point @ matrix @ point
        loss.backward()
        return loss.item()

    strategy.new_epoch()
    for _ in range(steps):
        strategy.step(closure, optimizer)
    return point.detach(), start, matrix


def test_closed_form_on_a_quadratic() -> None:
    alpha, beta, eta, k = 0.9, 0.4, 0.1, 3
    end, start, matrix = run_quadratic(MirrorGradient(alpha=alpha, beta=beta, interval=k), k, eta=eta)
    identity = torch.eye(4, dtype=torch.float64)
    mirror = identity - (alpha - beta) * eta * matrix - alpha * beta * eta**2 * matrix @ matrix
    expected = torch.linalg.matrix_power(identity - eta * matrix, k - 1) @ mirror @ start
    torch.testing.assert_close(end, expected, rtol=1e-14, atol=1e-15)


def test_second_gradient_is_taken_at_the_new_point() -> None:
    """Both gradients at theta would be plain training with a smaller step: no pull towards flat regions."""
    alpha, beta, eta = 0.9, 0.4, 0.1
    end, start, matrix = run_quadratic(MirrorGradient(alpha=alpha, beta=beta, interval=1), 1, eta=eta)
    shortened = start - (alpha - beta) * eta * matrix @ start
    expected = alpha * beta * eta**2 * torch.linalg.vector_norm(matrix @ matrix @ start)
    torch.testing.assert_close(torch.linalg.vector_norm(end - shortened), expected, rtol=1e-10, atol=0)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_neutral_setting_is_plain_training_bit_for_bit(name: str) -> None:
    z = golden.load("mirror_gradient")
    ends = []
    for strategy in (Plain(), MirrorGradient(alpha=1.0, beta=0.0, interval=2)):
        model = Towers(z)
        optimizer = make_optimizer(name, model.parameters(), learning_rate=0.01, weight_decay=0.01)
        for _ in range(6):
            for batch in torch.from_numpy(z["batches"]):
                strategy.step(partial(backward, model, batch, optimizer, []), optimizer)
        ends.append([parameter.detach().clone() for parameter in model.parameters()])
    assert all(torch.equal(a, b) for a, b in zip(*ends, strict=True))


def test_first_batch_of_each_epoch_is_mirrored() -> None:
    """58 batches, k = 3: 20 mirror batches, 78 steps of the optimiser, in every epoch."""
    strategy = MirrorGradient(alpha=1.0, beta=0.1, interval=3)
    point = nn.Parameter(torch.ones(1))
    optimizer = make_optimizer("sgd", [point], learning_rate=0.001)
    for _ in range(2):
        calls: list[float] = []
        model = nn.Module()
        model.loss = lambda batch: point.square().sum()
        strategy.new_epoch()
        for _ in range(58):
            strategy.step(partial(backward, model, torch.empty(0), optimizer, calls), optimizer)
        assert len(calls) == 78


@pytest.mark.parametrize(
    ("knobs", "message"),
    [
        ({"alpha": 1.0, "beta": 1.0}, "beta < alpha must hold, but got alpha=1.0, beta=1.0"),
        ({"alpha": 1.0, "beta": -0.1}, "got alpha=1.0, beta=-0.1"),
        ({"interval": 0}, "interval >= 1 must hold, but got interval=0"),
    ],
)
def test_refuses_knobs_outside_the_method(knobs: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        STRATEGIES["mg"](**knobs)
