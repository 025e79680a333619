"""Optimisers by name: which settings they take, and which they refuse."""

from typing import Any

import pytest
import torch
from torch import nn

from recmodels.training.optimizers import OPTIMIZERS, SETTINGS, decay_rates, learning_rate, make_optimizer

RATE = {"learning_rate": 0.1}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_settings_reach_the_optimiser(name: str) -> None:
    special = {"sgd": {"momentum": 0.9}, "adagrad": {"initial_accumulator": 0.2}}.get(name, {})
    fast, slow = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    optimizer = make_optimizer(name, [fast, slow], {slow: 0.01}, **RATE, weight_decay=0.3, **special)
    rates = {parameter: group["lr"] for group in optimizer.param_groups for parameter in group["params"]}
    assert rates == {fast: 0.1, slow: pytest.approx(0.001)}
    for group in optimizer.param_groups:
        assert group["weight_decay"] == 0.3
        assert group.get("momentum", 0) == special.get("momentum", 0)
        assert group.get("initial_accumulator_value", 0) == special.get("initial_accumulator", 0)


def test_settings_are_the_keywords() -> None:
    assert SETTINGS[:2] == ("learning_rate", "weight_decay")
    assert SETTINGS[2:] == ("momentum", "initial_accumulator", "lr_decay", "lr_decay_epochs")


def test_the_rate_falls_by_a_power_of_the_epoch() -> None:
    """By `lr_decay` in `lr_decay_epochs` epochs, each group from its own; at a decay of 1 groups know nothing of it."""
    fast, slow = nn.Parameter(torch.ones(2)), nn.Parameter(torch.ones(3))
    falling = RATE | {"lr_decay": 0.9, "lr_decay_epochs": 20}
    optimizer = make_optimizer("adam", [fast, slow], {slow: 0.01}, **falling)
    for epoch in (40, 0, 1, 10):
        decay_rates(optimizer, epoch)
        assert learning_rate(falling, epoch) == pytest.approx(optimizer.param_groups[0]["lr"], rel=1e-12)
        assert [group["lr"] for group in optimizer.param_groups] == pytest.approx(
            [0.1 * 0.9 ** (epoch / 20), 0.001 * 0.9 ** (epoch / 20)], rel=1e-12
        )
    constant = make_optimizer("adam", [fast], **RATE)
    before = [{key: value for key, value in group.items() if key != "params"} for group in constant.param_groups]
    decay_rates(constant, 7)
    assert learning_rate(RATE, 7) == RATE["learning_rate"]
    after = [{key: value for key, value in group.items() if key != "params"} for group in constant.param_groups]
    assert before == after
    assert "first_lr" not in after[0]


@pytest.mark.parametrize(
    ("name", "settings", "message"),
    [
        ("adamw", RATE, "optimizer must be one of adam, sgd, rmsprop, adagrad, but got 'adamw'"),
        ("adam", {"learning_rate": 0.0}, "learning_rate > 0 must hold, but got learning_rate=0.0"),
        ("adam", {"learning_rate": -1}, "learning_rate > 0 must hold, but got learning_rate=-1"),
        ("adam", {"learning_rate": float("nan")}, "learning_rate must be a finite number, but got nan"),
        ("adam", {"learning_rate": "1e-3"}, "learning_rate must be a finite number, but got '1e-3'"),
        ("adam", {"learning_rate": True}, "learning_rate must be a finite number, but got True"),
        ("adam", RATE | {"weight_decay": -0.1}, "weight_decay >= 0 must hold, but got weight_decay=-0.1"),
        ("adam", RATE | {"lr_decay": 0.0}, "0 < lr_decay <= 1 must hold, but got lr_decay=0.0"),
        ("adam", RATE | {"lr_decay": 1.5}, "0 < lr_decay <= 1 must hold, but got lr_decay=1.5"),
        ("adam", RATE | {"lr_decay_epochs": 0}, "lr_decay_epochs > 0 must hold, but got lr_decay_epochs=0"),
        ("sgd", RATE | {"momentum": 1.0}, "0 <= momentum < 1 must hold, but got momentum=1.0"),
        ("adam", RATE | {"momentum": 0.9}, "momentum is for sgd alone, but the optimizer is adam"),
        (
            "adagrad",
            RATE | {"initial_accumulator": -1.0},
            "initial_accumulator >= 0 must hold, but got initial_accumulator=-1.0",
        ),
    ],
)
def test_refuses_settings_that_cannot_be(name: str, settings: dict[str, Any], message: str) -> None:
    """Without parameters too: a search space is checked before there is a model."""
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared
        make_optimizer(name, [], **settings)
    assert str(error.value) == message
