"""Plain training and the controls that have Mirror Gradient's rate, or its cost."""

from typing import Any

import pytest
import torch
from torch import Tensor

from recmodels.training import make_strategy
from tests.recmodels.training.strategies.toys import (
    MF,
    OPTIMIZERS,
    ROWS,
    Failing,
    Quadratic,
    Toy,
    flat,
    gaussian,
    optimizer_of,
    run,
    triples,
    watched,
)


def test_plain_training_on_a_quadratic() -> None:
    """x_T = (I - eta A)^T x_0."""
    model = Quadratic()
    x, eye = flat(model), torch.eye(13, dtype=torch.float64)
    run(make_strategy("plain", model), optimizer_of("sgd", model), [ROWS] * 20)
    expected = torch.linalg.matrix_power(eye - 0.1 * model.matrix, 20) @ x
    torch.testing.assert_close(flat(model), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_scaled_rate_is_that_rate_bit_for_bit(kind: str) -> None:
    ends = []
    for name, knobs, lr in (("plain", {}, 0.05), ("plain_lr", {"lr_scale": 0.5}, 0.1)):
        model = MF(dropout=0.3)
        optimizer = optimizer_of(kind, model, lr=lr, decay=0.01)
        torch.manual_seed(0)
        run(make_strategy(name, model, knobs), optimizer, triples(10))
        ends.append(flat(model))
        assert optimizer.param_groups[0]["lr"] == lr
    assert torch.equal(*ends)


def test_a_step_that_fails_leaves_the_rate_as_it_was() -> None:
    model = Failing({0: "nan"})
    optimizer = optimizer_of("sgd", model)
    run(make_strategy("plain_lr", model, {"lr_scale": 2.0}), optimizer)
    assert optimizer.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_a_repeated_batch_is_that_batch_twice(kind: str) -> None:
    """Of 7 batches the first, the fourth and the seventh, in each epoch: Mirror Gradient's cost and steps."""
    batches = triples(7)
    repeated = [rows for number, rows in enumerate(batches) for _ in range(1 + (number % 3 == 0))]
    ends = []
    for name, rows in (("plain", repeated), ("plain_repeat", batches)):
        torch.manual_seed(0)
        model = MF(dropout=0.3)
        run(make_strategy(name, model), optimizer_of(kind, model), rows, epochs=2)
        ends.append(flat(model))
    assert torch.equal(*ends)
    counts = []
    for name in ("mg", "plain_repeat"):
        strategy = make_strategy(name, MF())
        seen = watched(strategy.model)
        run(strategy, optimizer_of(kind, strategy.model), batches)
        counts.append((strategy.counts, len(seen)))
    assert counts[0] == counts[1]
    assert counts[0][1] == counts[0][0].steps == 10


class Slope(Toy):
    """c'x: its gradient is the same everywhere."""

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return {"loss": gaussian(13, seed=5) @ self.point}


@pytest.mark.parametrize("kind", ["sgd", "adam", "rmsprop", "adagrad"])
def test_the_rate_that_mirror_gradient_amounts_to(kind: str) -> None:
    """`plain_lr` with the scale in its docstring covers the way that Mirror Gradient does on a constant slope, once
    the optimiser's averages have settled."""
    alpha, beta, interval = 0.8, 0.5, 2
    f, q = (alpha - beta + interval - 1) / interval, alpha**2 + beta**2 + interval - 1
    scale = f * {"sgd": 1.0, "adagrad": (interval / q) ** 0.5}.get(kind, ((interval + 1) / q) ** 0.5)
    mirrored = covered("mg", {"alpha": alpha, "beta": beta, "interval": interval}, kind)
    torch.testing.assert_close(mirrored, covered("plain_lr", {"lr_scale": scale}, kind), rtol=0.02, atol=0)


def covered(name: str, knobs: dict[str, Any], kind: str) -> Tensor:
    model = Slope()
    strategy, optimizer = make_strategy(name, model, knobs), optimizer_of(kind, model, lr=0.01)
    # The default averages are over a hundred and a thousand steps.
    optimizer.param_groups[0] |= {"adam": {"betas": (0.9, 0.95)}, "rmsprop": {"alpha": 0.95}}.get(kind, {})
    run(strategy, optimizer, [ROWS] * 120)
    before = flat(model)
    run(strategy, optimizer, [ROWS] * 30)
    return flat(model) - before
