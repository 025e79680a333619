"""The parameters that models, strategies and training accept, and whether a space fits them. Imports torch."""

import inspect
import math
import re
from collections.abc import Callable, Collection, Mapping
from functools import partial
from itertools import islice
from typing import Any

import torch

from recmodels.errors import UserError, did_you_mean
from recmodels.models import MODELS
from recmodels.signatures import check_values, keywords, require
from recmodels.training import make_optimizer
from recmodels.training.strategies import STRATEGIES, canonical, knobs, part_names, parts_of
from tuning.space.parameter import SpaceError
from tuning.space.space import Space

Values = Mapping[str, Any]
MOST_CORNERS = 10_000
"""So many corners of a part are built. Spaces have far fewer; in a larger one a fault beyond is left to its trial."""


def train(
    *,
    optimizer: Any,
    learning_rate: float,
    batch_size: int,
    weight_decay: float,
    momentum: float = 0.0,
    initial_accumulator: float = 0.0,
    clip_norm: float = math.inf,
) -> None:
    """Make an optimiser from a `train` section, whose schema this signature is. ValueError for a value out of range."""
    rates: dict[str, Any] = {"learning_rate": learning_rate, "weight_decay": weight_decay}
    rates |= {"momentum": momentum, "initial_accumulator": initial_accumulator}
    for name, value in rates.items():
        require(value >= 0, f"{name} >= 0", **{name: value})
    require(batch_size >= 1, "batch_size >= 1", batch_size=batch_size)
    require(clip_norm > 0, "clip_norm > 0", clip_norm=clip_norm)
    make_optimizer(optimizer, [torch.nn.Parameter(torch.zeros(1))], **rates)


TRAIN = [name for name, each in inspect.signature(train).parameters.items() if each.default is each.empty]
"""The training parameters that every space gives a value."""


def known_parameters(model: str, strategy: str) -> dict[str, Collection[str]]:
    """Return section -> the parameters it accepts, from the signatures of the model and the strategy's parts."""
    return {"strategy": knobs(strategy), "train": list(keywords(train)), "model": list(keywords(MODELS[model]))}


def known_strategy(name: str, option: str = "--strategy") -> str:
    """Return the name with its parts in order. UserError if it is not a strategy."""
    for part in name.split("+"):
        if part not in STRATEGIES:
            raise UserError(f"{option} {name}: there is no strategy {part!r}{did_you_mean(part, STRATEGIES)}")
    try:
        return canonical(name)
    except ValueError as error:
        raise UserError(f"{option} {name}: {error}") from None


def check_fit(model: str, strategy: str) -> None:
    """Raise UserError for a strategy that needs item features with a model whose loss reads none."""
    for name, part in zip(part_names(strategy), parts_of(strategy).values(), strict=True):
        if part.needs_features and not MODELS[model].reads_features:
            raise UserError(f"--strategy {strategy}: {name} moves item features, but {model} reads none")


def check_space(space: Space, model: str, strategy: str) -> None:
    """Raise SpaceError unless each corner of the space builds the optimiser and the strategy's parts, and the model's
    parameters have the types of its signature."""
    if missing := _missing(space):
        raise SpaceError(f"train: {missing[0]} is missing, expected in the model's file or --set")
    _check_corners(space, "train", keywords(train), partial(_build, train))
    for name in keywords(MODELS[model]):
        _check_corners(space, "model", {name}, partial(check_values, MODELS[model]))
    for part in parts_of(strategy).values():
        _check_corners(space, "strategy", keywords(part), partial(_build, part))


def check_export(space: Space, model: str, strategy: str, source: str) -> None:
    """Raise UserError unless a model can be trained with the fixed values of `space`. `source`: their file."""
    if model not in MODELS:
        raise UserError(f"{source}: model: there is no model {model!r}{did_you_mean(model, MODELS)}")
    known_strategy(strategy, f"{source}: strategy")
    known = known_parameters(model, strategy)
    for p in space.parameters:
        if p.name not in known[p.section]:
            raise SpaceError(
                f"{p.source}: parameters.{p.section}: no parameter {p.name!r}{did_you_mean(p.name, known[p.section])}"
            )
    if missing := _missing(space):
        raise SpaceError(f"{source}: parameters.train: {missing[0]} is missing")
    check_space(space, model, strategy)


def _missing(space: Space) -> list[str]:
    return [name for name in TRAIN if name not in {p.name for p in space.parameters}]


def _build(made_by: Callable[..., Any], values: Values) -> None:
    check_values(made_by, values)
    made_by(**values)


def _check_corners(space: Space, section: str, names: Collection[str], build: Callable[[Values], None]) -> None:
    """Raise SpaceError, which begins with the sources of the parameters it names, if `build` refuses a corner."""
    for corner in islice(space.corners(section, names), MOST_CORNERS):
        try:
            build(corner)
        except ValueError as error:
            here = [p for p in space.parameters if p.section == section and p.name in corner]
            named = [p for p in here if re.search(rf"\b{p.name}\b", str(error))] or here
            raise SpaceError(f"{' and '.join(dict.fromkeys(p.source for p in named))}: {error}") from None
