"""Mirror Gradient against the reference trainer's float64 trajectories, closed forms, and Theorem 3.2."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmodels.models import Recommender
from recmodels.training import Strategy, make_strategy
from recmodels.training.strategies.mg import MirrorGradient
from tests.recmodels import reference as golden
from tests.recmodels.training.strategies.toys import (
    ROWS,
    Noisy,
    Quadratic,
    Smooth,
    Toy,
    flat,
    optimizer_of,
    run,
    stepped,
)

PARTS = ("user_emb", "item_emb", "user_proj", "item_proj")
ONCE = {"interval": 1}
EYE = torch.eye(13, dtype=torch.float64)


class Towers(Recommender):
    """The golden file's model: two linear towers, mean of softplus(-(s+ - s-))."""

    def __init__(self, z: dict[str, Any]) -> None:
        super().__init__(SimpleNamespace(n_users=24, n_items=30))
        for part in PARTS:
            setattr(self, part, nn.Parameter(torch.from_numpy(z[f"init_{part}"]).clone()))

    def embed(self) -> tuple[Tensor, Tensor]:
        return self.user_emb @ self.user_proj.T, self.item_emb @ self.item_proj.T

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        users, items = self.embed()
        user, positive, negative = users[batch[0]], items[batch[1]], items[batch[2]]
        return {"bpr": F.softplus((user * negative).sum(-1) - (user * positive).sum(-1)).mean()}


CASES = [f"{optimizer}_{kind}" for optimizer in ("sgd", "adam", "rmsprop", "adagrad") for kind in ("plain", *"abc")]
CASES += [f"{optimizer}_c_{extra}" for optimizer in ("sgd", "adam") for extra in ("wd", "clip")]


@pytest.mark.parametrize("tag", CASES)
def test_reproduces_the_reference_trajectory(tag: str) -> None:
    """The reference clips only the second of a mirrored batch's steps."""
    z = golden.load("mirror_gradient")
    name, setting, *extra = tag.split("_")
    model = Towers(z)
    decay = float(z["extra_weight_decay"]) if extra == ["wd"] else 0.0
    optimizer = optimizer_of(name, model, lr=float(z[f"lr_{name}"]), decay=decay)
    rule = None
    if setting != "plain":
        alpha, beta, interval = z[f"mg_{setting}"].tolist()
        rule = MirrorGradient(alpha=alpha, beta=beta, interval=int(interval), clip_first=False)
    clip_norm = float(z["extra_clip_max_norm"]) if extra == ["clip"] else None
    strategy = Strategy(model, rule=rule, clip_norm=clip_norm)
    values = noted_values(model)
    first, second = np.full((2, 10), np.nan), np.full((2, 10), np.nan)
    for epoch in range(2):
        for index, rows in enumerate(torch.from_numpy(z["batches"])):
            values.clear()
            loss = strategy.loss(rows, epoch=epoch, batch_index=index)
            strategy.step(loss, optimizer)
            first[epoch, index] = loss.value
            if len(values) == 2:
                second[epoch, index] = values[1]
    np.testing.assert_allclose(first, z[f"loss_first_{tag}"], rtol=1e-9)
    np.testing.assert_allclose(second, z[f"loss_second_{tag}"], rtol=1e-9)  # NaN where the batch is not a mirror batch
    np.testing.assert_allclose(first.sum(1), z[f"epoch_loss_{tag}"], rtol=1e-9)
    for part in PARTS:
        assert golden.error(getattr(model, part), z[f"final_{part}_{tag}"]) < 1e-9, part


def noted_values(model: Recommender) -> list[float]:
    """The values of the model's loss from now on."""
    values: list[float] = []
    loss = model.loss

    def noted(batch: Tensor) -> dict[str, Tensor]:
        terms = loss(batch)
        values.append(sum(term.item() for term in terms.values()))
        return terms

    model.loss = noted  # type: ignore[method-assign]
    return values


@pytest.mark.parametrize("compose", ["two_step", "combined"])
@pytest.mark.parametrize("interval", [1, 3])
def test_closed_form_on_a_quadratic(interval: int, compose: str) -> None:
    """theta -> (I - (alpha - beta) eta A - alpha beta eta^2 A^2) theta, then k - 1 plain steps."""
    alpha, beta, eta = 0.9, 0.4, 0.1
    model = Quadratic()
    start, a = flat(model), model.matrix
    knobs = {"alpha": alpha, "beta": beta, "interval": interval, "compose": compose}
    run(make_strategy("mg", model, knobs), optimizer_of("sgd", model, lr=eta), [ROWS] * interval, epochs=2)
    mirror = EYE - (alpha - beta) * eta * a - alpha * beta * eta**2 * a @ a
    cycle = torch.linalg.matrix_power(EYE - eta * a, interval - 1) @ mirror
    torch.testing.assert_close(flat(model), cycle @ cycle @ start, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("compose", ["two_step", "combined"])
def test_the_second_gradient_is_taken_at_the_new_point(compose: str) -> None:
    """Both gradients at theta would be plain training with a smaller step, without a pull to flat regions."""
    alpha, beta, eta = 0.9, 0.4, 0.1
    model = Quadratic()
    start, a = flat(model), model.matrix
    end = stepped(model, "mg", {"alpha": alpha, "beta": beta, "compose": compose}, lr=eta)
    distance = torch.linalg.vector_norm(end - (start - (alpha - beta) * eta * a @ start))
    expected = alpha * beta * eta**2 * torch.linalg.vector_norm(a @ a @ start)
    torch.testing.assert_close(distance, expected, rtol=1e-10, atol=0)


def penalised(model: Toy, alpha: float, beta: float, eta: float) -> Tensor:
    """One SGD step on (alpha - beta) L + alpha beta eta / 2 ||grad L||^2, the penalty by double backward."""
    parameters = list(model.parameters())
    loss = torch.stack(list(model.loss(ROWS).values())).sum()
    gradients = torch.autograd.grad(loss, parameters, create_graph=True)
    squared = sum(gradient.square().sum() for gradient in gradients)
    effective = (alpha - beta) * loss + alpha * beta * eta / 2 * squared
    step = torch.cat([each.flatten() for each in torch.autograd.grad(effective, parameters)])
    return flat(model) - eta * step


def test_is_the_penalised_step_on_a_quadratic() -> None:
    """There Theorem 3.2 is exact."""
    expected = penalised(Quadratic(), 1.0, 0.3, 0.2)
    end = stepped(Quadratic(), "mg", {"beta": 0.3}, lr=0.2)
    torch.testing.assert_close(end, expected, rtol=1e-14, atol=1e-15)


def test_theorem_3_2_holds_to_the_third_order() -> None:
    """Against eta, the distance to the penalised step and to unnormalised SAM falls with slope 3, to the plain
    step of the same length with slope 2."""
    alpha, beta = 1.0, 0.3
    etas = 2.0 ** -torch.arange(6, 14, dtype=torch.float64)
    distances = []
    for eta in etas.tolist():
        model = Smooth()
        start, rate = flat(model), (alpha - beta) * eta
        end = stepped(model, "mg", {"alpha": alpha, "beta": beta}, lr=eta)
        ascended = start + alpha * beta * eta / (alpha - beta) * model.gradient(start)
        references = (
            penalised(Smooth(), alpha, beta, eta),
            start - rate * model.gradient(ascended),
            start - rate * model.gradient(start),
        )
        distances.append([torch.linalg.vector_norm(end - each).item() for each in references])
    logs = torch.tensor(distances, dtype=torch.float64).log2()
    slopes = (logs[0] - logs[-1]) / (etas[0].log2() - etas[-1].log2())
    torch.testing.assert_close(slopes, torch.tensor([3.0, 3.0, 2.0], dtype=torch.float64), rtol=0, atol=0.1)


def test_both_compositions_agree_under_gradient_descent() -> None:
    """On a loss that is no quadratic, over several steps at a changing learning rate."""
    ends = []
    for compose in ("two_step", "combined"):
        model = Smooth()
        optimizer = optimizer_of("sgd", model, lr=0.05)
        strategy = make_strategy("mg", model, {"alpha": 1.3, "beta": 0.5, "interval": 2, "compose": compose})
        run(strategy, optimizer, [ROWS] * 5)
        optimizer.param_groups[0]["lr"] = 0.02
        run(strategy, optimizer, [ROWS] * 5)
        ends.append(flat(model))
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-12, atol=1e-14)


def test_the_compositions_differ_under_adam_and_momentum() -> None:
    for kind in ("adam", "sgd+momentum"):
        ends = [stepped(Smooth(), "mg", {"compose": compose}, kind) for compose in ("two_step", "combined")]
        assert (ends[0] - ends[1]).abs().max() > 1e-3


def test_the_first_mirrored_batch_under_adam() -> None:
    """Moments of two samples, alpha g(theta) and -beta g(theta')."""
    alpha, beta, eta = 1.2, 0.3, 0.01
    model = Smooth()
    theta, m, v = flat(model), torch.zeros(13, dtype=torch.float64), torch.zeros(13, dtype=torch.float64)
    for t, scale in ((1, alpha), (2, -beta)):
        sample = scale * model.gradient(theta)
        m, v = 0.9 * m + 0.1 * sample, 0.999 * v + 0.001 * sample.square()
        theta = theta - eta * (m / (1 - 0.9**t)) / ((v / (1 - 0.999**t)).sqrt() + 1e-8)
    end = stepped(model, "mg", {"alpha": alpha, "beta": beta}, "adam", lr=eta)
    torch.testing.assert_close(end, theta, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(
    ("phase", "mirrored"),
    [
        ("epoch_first", [*range(0, 58, 3), *range(58, 116, 3)]),
        ("global", range(2, 116, 3)),  # every third batch of the training, counted from 0 here
    ],
)
def test_which_batches_are_mirrored(phase: str, mirrored: list[int]) -> None:
    """58 batches, k = 3."""
    model = Quadratic()
    strategy = make_strategy("mg", model, {"beta": 0.1, "phase": phase})
    steps = []
    step = strategy.step

    def counted(*given: Any) -> None:
        before = strategy.counts.steps
        step(*given)
        steps.append(strategy.counts.steps - before)

    strategy.step = counted  # type: ignore[method-assign]
    run(strategy, optimizer_of("sgd", model, lr=0.001), [ROWS] * 58, epochs=2)
    assert [number for number, count in enumerate(steps) if count == 2] == list(mirrored)
    assert set(steps) == {1, 2}
    if phase == "epoch_first":
        assert sum(steps[:58]) == sum(steps[58:]) == 78


@pytest.mark.parametrize("kind", ["sgd", "rmsprop", "adagrad"])
def test_the_second_step_climbs(kind: str) -> None:
    """The batch's loss rises again. Under Adam and momentum it usually does not."""
    values = []
    for beta in (0.0, 0.3):  # the first step alone, and both
        model = Smooth()
        stepped(model, "mg", {"beta": beta}, kind, lr=1e-3)
        values.append(sum(term.item() for term in model.loss(ROWS).values()))
    assert values[1] > values[0]


@pytest.mark.parametrize("compose", ["two_step", "combined"])
@pytest.mark.parametrize("sync_rng", [False, True])
def test_the_second_pass_draws_anew_unless_told_not_to(sync_rng: bool, compose: str) -> None:
    """When it replays the first pass, the stream goes on from where that left it."""
    torch.manual_seed(0)
    expected = [torch.randn(13, dtype=torch.float64) for _ in range(8)]
    torch.manual_seed(0)
    model = Noisy()
    strategy = make_strategy("mg", model, {"compose": compose, "sync_rng": sync_rng})
    run(strategy, optimizer_of("adam", model, lr=0.01), [ROWS] * 6)
    order = [0, 0, 1, 2, 3, 3, 4, 5] if sync_rng else range(8)
    assert [draw.tolist() for draw in model.draws] == [expected[place].tolist() for place in order]
