"""What the names on a command line or in a space file may be. Imports torch through recmodels."""

from collections.abc import Collection
from typing import Literal, get_args, get_origin, get_type_hints

from recmodels.errors import UserError, did_you_mean
from recmodels.models import MODELS
from recmodels.signatures import keywords
from recmodels.training import OPTIMIZERS
from recmodels.training.strategies import STRATEGIES, canonical, knobs, part_names, parts_of
from tuning.space.distributions import Choice, Distribution, Fixed
from tuning.space.layers import Space, SpaceError
from tuning.spec import Params

TRAIN = ("optimizer", "learning_rate", "batch_size", "weight_decay")
OPTIONAL = ("momentum", "initial_accumulator", "clip_norm")


def known_parameters(model: str, strategy: str) -> dict[str, Collection[str]]:
    """Section -> the parameters it accepts, read from the signatures of the model and the strategy."""
    return {"strategy": knobs(strategy), "train": (*TRAIN, *OPTIONAL), "model": list(keywords(MODELS[model]))}


def known_strategy(name: str, option: str = "--strategy") -> str:
    """The name with its parts in order. UserError if it is no strategy."""
    for part in name.split("+"):
        if part not in STRATEGIES:
            raise UserError(f"{option} {name}: there is no strategy {part!r}{did_you_mean(part, STRATEGIES)}")
    try:
        return canonical(name)
    except ValueError as error:
        raise UserError(f"{option} {name}: {error}") from None


def check_fit(model: str, strategy: str) -> None:
    """UserError for a strategy that moves item features with a model that reads none."""
    for name, part in zip(part_names(strategy), parts_of(strategy).values(), strict=True):
        if part.needs_features and not MODELS[model].reads_features:
            raise UserError(f"--strategy {strategy}: {name} moves item features, but {model} reads none")


def check_training(space: Space) -> None:
    """SpaceError unless the training parameters are all there and every optimiser is known."""
    given = {p.name: p.distribution for p in space.parameters if p.section == "train"}
    for name in TRAIN:
        if name not in given:
            raise SpaceError(f"train: {name} is missing, expected in the model's file or --set")
    _check_values("train.optimizer", given["optimizer"], OPTIMIZERS)
    for name, only in (("momentum", "sgd"), ("initial_accumulator", "adagrad")):
        if name in given:
            _check_values(f"train.optimizer (with train.{name})", given["optimizer"], (only,))


def check_words(space: Space, model: str, strategy: str) -> None:
    """SpaceError unless every parameter of model and strategy that takes certain words only has one of them."""
    owners: dict[str, list[type]] = {"model": [MODELS[model]], "strategy": [*parts_of(strategy).values()]}
    for section, classes in owners.items():
        hints = {name: hint for each in classes for name, hint in get_type_hints(vars(each)["__init__"]).items()}
        for parameter in space.parameters:
            hint = hints.get(parameter.name)
            if parameter.section == section and get_origin(hint) is Literal:
                _check_values(f"{section}.{parameter.name}", parameter.distribution, get_args(hint))


def check_configuration(model: str, strategy: str, params: Params) -> None:
    """UserError unless one can train by them: names are known, none of training's is missing, words are among those
    that are taken, a model's numbers are numbers."""
    if model not in MODELS:
        raise UserError(f"model: there is no model {model!r}{did_you_mean(model, MODELS)}")
    known_strategy(strategy, "strategy")
    for section, known in known_parameters(model, strategy).items():
        for name in params.get(section, {}).keys() - set(known):
            raise UserError(f"parameters.{section}: no parameter {name!r}{did_you_mean(name, known)}")
    space = Space.from_data(params)
    check_training(space)
    check_words(space, model, strategy)
    hints = get_type_hints(vars(MODELS[model])["__init__"])
    for name, value in params.get("model", {}).items():
        kinds = {int: (int,), float: (int, float)}.get(hints.get(name, object), (object,))
        if not isinstance(value, kinds) or (isinstance(value, bool) and object not in kinds):
            raise UserError(
                f"parameters.model.{name}: expected a number of type {hints[name].__name__}, but got {value!r}"
            )


def _check_values(what: str, distribution: Distribution, known: Collection[str]) -> None:
    single = distribution.value if isinstance(distribution, Fixed) else str(distribution)
    for value in distribution.values if isinstance(distribution, Choice) else (single,):
        if value not in known:
            raise SpaceError(f"{what}: expected one of {', '.join(known)}, but got {value!r}")
