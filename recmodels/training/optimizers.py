"""The optimisers by name, with torch's defaults for everything but the settings of `make_optimizer`."""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

from torch import nn, optim

from recmodels.signatures import (
    NotNegative,
    Positive,
    PositiveShare,
    ShareBelowOne,
    check_choice,
    check_values,
    keywords,
)
from recmodels.training.eager import eager

# The fused kernels do the same arithmetic in one pass (Adam on 1.0 M numbers, one core: 0.65 ms against 2.2 ms).
OPTIMIZERS: dict[str, Callable[..., optim.Optimizer]] = {
    "adam": partial(eager(optim.Adam), fused=True),
    "sgd": partial(eager(optim.SGD), fused=True),
    "rmsprop": eager(optim.RMSprop),
    "adagrad": eager(optim.Adagrad),
}


def check_optimizer(
    name: str,
    *,
    learning_rate: Positive,
    weight_decay: NotNegative = 0.0,
    momentum: ShareBelowOne = 0.0,
    initial_accumulator: NotNegative = 0.0,
    lr_decay: PositiveShare = 1.0,
    lr_decay_epochs: Positive = 50.0,
) -> None:
    """Raise ValueError for a name that is not in OPTIMIZERS, for a setting of another optimiser, and unless
    learning_rate > 0, weight_decay >= 0, 0 <= momentum < 1, initial_accumulator >= 0, 0 < lr_decay <= 1 and
    lr_decay_epochs > 0.

    `initial_accumulator`: the start of Adagrad's sums of squares. `lr_decay`: what the learning rate is multiplied by
    in the course of `lr_decay_epochs` epochs, see `decay_rates`.
    """
    check_choice("optimizer", name, OPTIMIZERS)
    check_values(check_optimizer, locals())
    if momentum and name != "sgd":
        raise ValueError(f"momentum is for sgd alone, but the optimizer is {name}")
    if initial_accumulator and name != "adagrad":
        raise ValueError(f"initial_accumulator is for adagrad alone, but the optimizer is {name}")


def make_optimizer(
    name: str,
    parameters: Iterable[nn.Parameter],
    rate_factors: Mapping[nn.Parameter, float] | None = None,
    **settings: float,
) -> optim.Optimizer:
    """Return the optimiser of this name, with the `settings` of `check_optimizer`, whose ValueError it raises.

    `rate_factors`: parameters that learn at a multiple of the learning rate.
    """
    check_optimizer(name, **settings)
    rate, decay = settings["learning_rate"], settings.get("weight_decay", 0.0)
    special = {
        "sgd": {"momentum": settings.get("momentum", 0.0)},
        "adagrad": {"initial_accumulator_value": settings.get("initial_accumulator", 0.0)},
    }
    by_factor: dict[float, list[nn.Parameter]] = {1.0: []}  # torch takes an empty group, but no empty list
    for parameter in parameters:
        by_factor.setdefault((rate_factors or {}).get(parameter, 1.0), []).append(parameter)
    groups: list[dict[str, Any]] = [{"params": group, "lr": rate * factor} for factor, group in by_factor.items()]
    per_epoch = _decay_per_epoch(settings)
    if per_epoch != 1:
        groups = [group | {"first_lr": group["lr"], "decay_per_epoch": per_epoch} for group in groups]
    return OPTIMIZERS[name](groups, lr=rate, weight_decay=decay, **special.get(name, {}))


def decay_rates(optimizer: optim.Optimizer, epoch: int) -> None:
    """Set the learning rates of an epoch, counted from 0: the first ones times lr_decay^(epoch / lr_decay_epochs).

    The rates of an optimiser made without a decay stay as they are.
    """
    for group in optimizer.param_groups:
        if "decay_per_epoch" in group:
            group["lr"] = group["first_lr"] * group["decay_per_epoch"] ** epoch


def learning_rate(settings: Mapping[str, Any], epoch: int) -> float:
    """Return the learning rate that an optimiser with these settings has in an epoch, counted from 0."""
    rate: float = settings["learning_rate"]
    return rate * _decay_per_epoch(settings) ** epoch


def _decay_per_epoch(settings: Mapping[str, Any]) -> float:
    factor: float = settings.get("lr_decay", 1.0) ** (1 / settings.get("lr_decay_epochs", 50.0))
    return factor


SETTINGS = tuple(keywords(check_optimizer))
"""The names of the settings, in the order of the signature."""
