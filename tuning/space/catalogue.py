"""The parameters that models, strategies and training accept, and the check that a space fits them. Imports torch."""

import inspect
import math
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any

from recmodels.data.corruptions import clean_name
from recmodels.data.published import FOLDER_NAMES
from recmodels.errors import UserError, did_you_mean
from recmodels.models import MODELS
from recmodels.signatures import CountFromOne, NotNegative, Positive, PositiveShare, check_values, keywords
from recmodels.training.batch_loss import Precision
from recmodels.training.optimizers import check_optimizer
from recmodels.training.strategies import STRATEGIES, canonical, knobs, parts_of
from tuning.space.layers import load_space, sections_of
from tuning.space.pairs import Pair, read_pair
from tuning.space.parameter import Parameter, SpaceError
from tuning.space.points import read_points, space_of_points
from tuning.space.space import Space

MOST_CORNERS = 10_000
"""Most corners of a part that are built. Spaces have far fewer; a fault at a later corner fails its trial instead."""


def train_section(
    *,
    optimizer: Any,
    learning_rate: NotNegative,
    batch_size: CountFromOne,
    weight_decay: NotNegative,
    momentum: NotNegative = 0.0,
    initial_accumulator: NotNegative = 0.0,
    lr_decay: PositiveShare = 1.0,
    lr_decay_epochs: Positive = 50.0,
    clip_norm: Positive = math.inf,
    precision: Precision = "fp32",
) -> None:
    """Check the values of a `train` section, whose schema is this signature. ValueError for another's setting."""
    rates: dict[str, Any] = {"learning_rate": learning_rate, "weight_decay": weight_decay}
    rates |= {"momentum": momentum, "initial_accumulator": initial_accumulator}
    rates |= {"lr_decay": lr_decay, "lr_decay_epochs": lr_decay_epochs}
    check_optimizer(optimizer, **rates)


TRAIN = [name for name, each in inspect.signature(train_section).parameters.items() if each.default is each.empty]
"""The training parameters that every space gives a value."""


def known_parameters(model: str, strategy: str) -> dict[str, Collection[str]]:
    """Return the parameters that each section accepts, from the signatures of the model and the strategy's parts."""
    return {"strategy": knobs(strategy), "train": list(keywords(train_section)), "model": list(keywords(MODELS[model]))}


def known_strategy(name: str, option: str = "--strategy") -> str:
    """Return the name with its parts in order. UserError if it is not a strategy."""
    for part in name.split("+"):
        if part not in STRATEGIES:
            raise UserError(f"{option} {name}: there is no strategy {part!r}{did_you_mean(part, STRATEGIES)}")
    try:
        return canonical(name)
    except ValueError as error:
        raise UserError(f"{option} {name}: {error}") from None


def search_space(
    model: str,
    strategy: str,
    dataset: str,
    *,
    tune: str = "strategy",
    space: str | None = None,
    overrides: Sequence[str | Parameter] = (),
    points: str | None = None,
) -> Space:
    """Return the checked space of a search. UserError for names or values that cannot be trained.

    `tune`, `space`, `overrides`: see `load_space`. `dataset` may have corruptions. `points`: a list of points, see
    `read_points`; it decides what is searched, and the rest is at its defaults.

    >>> space = search_space("LightGCN", "mg", "demo", overrides=["interval=3", "alpha=1.0"])
    >>> list(space.dimensions)
    ['beta/alpha']
    """
    for name, part in parts_of(strategy).items():
        if part.needs_features and not MODELS[model].reads_features:
            raise UserError(f"--strategy {strategy}: {name} moves item features, but {model} reads none")
    known = known_parameters(model, strategy)
    load = partial(load_space, model, strategy, _names(dataset), space=space, known=known)
    if points is None:
        made = load(tune=tune, overrides=overrides)
        check_space(made, model, strategy)
        return made
    listed = read_points(points, sections_of(known))
    # The optimiser decides which settings have defaults.
    base = load(tune="all", overrides=[*listed.common("optimizer"), *overrides])
    for each in base.parameters:
        if each.name in listed.named and each.source.startswith("--"):
            raise SpaceError(f"{each.source}: {listed.named[each.name].source} gives {each.name} too")
    return space_of_points(base, listed, partial(check_space, model=model, strategy=strategy))


def known_pair(model: str, dataset: str) -> Pair | None:
    """Return where the values of a model on a data set come from, and what others reached with them; None without a
    file for the two. UserError for a fault in it.

    Nobody has published figures on a data set with corruptions: there they are left out.
    """
    pair = read_pair(model, *_names(dataset))
    return pair if pair is None or clean_name(dataset) == dataset else replace(pair, published=())


def _names(dataset: str) -> tuple[str, ...]:
    """Return the names of the data set's files: its own without corruptions, and that of papers, if it has another."""
    name = clean_name(dataset)
    return (name, FOLDER_NAMES[name]) if name in FOLDER_NAMES else (name,)


def check_space(space: Space, model: str, strategy: str) -> None:
    """Raise SpaceError unless a trial can be built at each corner of the space.

    All names must be known, none of TRAIN may be missing, the optimiser and the strategy's parts must accept their
    values, and the model's values must have the types of its signature.
    """
    known = known_parameters(model, strategy)
    for p in space.parameters:
        if p.name not in known[p.section]:
            hint = did_you_mean(p.name, known[p.section])
            raise SpaceError(f"{p.source}: {p.section}: no parameter {p.name!r}{hint}")
    if missing := set(TRAIN) - {p.name for p in space.parameters}:
        raise SpaceError(f"train: {min(missing)} is missing, expected in the model's file or --set")
    _check_corners(space, "train", keywords(train_section), train_section)
    for name in keywords(MODELS[model]):
        _check_corners(space, "model", {name}, MODELS[model])
    for part in parts_of(strategy).values():
        _check_corners(space, "strategy", keywords(part), part)


def check_begins(space: Space, strategy: str, max_epochs: int) -> None:
    """Raise SpaceError if a part of the strategy would not begin within `max_epochs` at a value of the space: that
    would be plain training under another name."""
    for name in [name for part in parts_of(strategy).values() for name in part.begins]:
        for value in [corner[name] for corner in space.corners("strategy", {name}) if name in corner]:
            if isinstance(value, int) and value >= max_epochs:
                source = next(p.source for p in space.parameters if p.name == name)
                rule = f"{name} < {max_epochs}, the most epochs of a trial, must hold, but got {name}={value}"
                raise SpaceError(f"{source}: {rule}: lower it with --set, or raise --max-epochs")


def check_export(space: Space, model: str, strategy: str, source: str) -> None:
    """Raise UserError unless a model can be trained with the fixed values of `space`. `source`: their file."""
    if model not in MODELS:
        raise UserError(f"{source}: model: there is no model {model!r}{did_you_mean(model, MODELS)}")
    known_strategy(strategy, f"{source}: strategy")
    if missing := set(TRAIN) - {p.name for p in space.parameters}:
        raise UserError(f"{source}: parameters.train: {min(missing)} is missing")
    check_space(space, model, strategy)


def _check_corners(space: Space, section: str, names: Collection[str], made_by: Callable[..., Any]) -> None:
    """Raise SpaceError, which begins with the sources of the parameters it names, if `made_by` refuses a corner."""
    for corner in islice(space.corners(section, names), MOST_CORNERS):
        try:
            check_values(made_by, corner)
            if section != "model":  # which could only be made with its data
                made_by(**corner)
        except ValueError as error:
            here = [p for p in space.parameters if p.section == section and p.name in corner]
            named = [p for p in here if re.search(rf"\b{p.name}\b", str(error))] or here
            raise SpaceError(f"{' and '.join(dict.fromkeys(p.source for p in named))}: {error}") from None
