"""What the names on a command line or in a space file may be. Imports torch through recmodels."""

import inspect
from collections.abc import Collection

from recmodels.models import MODELS
from recmodels.training import OPTIMIZERS, STRATEGIES
from tuning.distributions import Choice, Fixed
from tuning.spaces import Space, SpaceError

TRAIN = ("optimizer", "learning_rate", "batch_size", "weight_decay")


def known_parameters(model: str, strategy: str) -> dict[str, Collection[str]]:
    """Section -> the parameters it accepts, read from the signatures of the model and the strategy."""
    return {"strategy": _keywords(STRATEGIES[strategy]), "train": TRAIN, "model": _keywords(MODELS[model])}


def check_training(space: Space) -> None:
    """SpaceError unless the training parameters are all there and every optimiser is known."""
    given = {p.name: p.distribution for p in space.parameters if p.section == "train"}
    for name in TRAIN:
        if name not in given:
            raise SpaceError(f"train: {name} is missing, expected in the model's file or --set")
    optimizer = given["optimizer"]
    single = optimizer.value if isinstance(optimizer, Fixed) else str(optimizer)
    for value in optimizer.values if isinstance(optimizer, Choice) else (single,):
        if value not in OPTIMIZERS:
            raise SpaceError(f"train.optimizer: expected one of {', '.join(OPTIMIZERS)}, but got {value!r}")


def _keywords(cls: type) -> list[str]:
    parameters = inspect.signature(cls).parameters.values()
    return [parameter.name for parameter in parameters if parameter.kind is parameter.KEYWORD_ONLY]
