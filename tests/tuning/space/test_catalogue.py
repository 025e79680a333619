"""The names that a command line or a space file may use."""

import inspect
from typing import Any

import pytest

from recmodels.models import MODELS
from recmodels.training import OPTIMIZERS, STRATEGIES
from tuning.space.catalogue import OPTIONAL, TRAIN, check_training, check_words, known_parameters
from tuning.space.layers import Space, SpaceError, load_space

LEFT_OUT = {"GRCN": {"n_layers"}, "MMGCN": {"reg_weight"}, "SLMRec": {"ssl_dropout"}}
"""What a model's file does not offer because it changes nothing in the model's usual form."""
USUAL: dict[str, Any] = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 64, "weight_decay": 0.0}


def test_names_come_from_the_signatures() -> None:
    assert known_parameters("LightGCN", "mg") == {
        "strategy": ["alpha", "beta", "interval", "compose", "phase", "clip_first", "sync_rng"],
        "train": (*TRAIN, *OPTIONAL),
        "model": ["embedding_size", "n_layers", "reg_weight", "variant"],
    }
    assert known_parameters("LightGCN", "plain")["strategy"] == []


PAIRS = [(model, strategy) for model in sorted(MODELS) for strategy in ("plain", "mg")]
PAIRS += [("VBPR", strategy) for strategy in (*STRATEGIES, "ssam_f+mg", "mg+ema", "sam+plain_lr+swa")]


@pytest.mark.parametrize(("model", "strategy"), PAIRS)
@pytest.mark.parametrize("tune", ["strategy", "base", "all"])
def test_every_built_in_space_says_all_that_a_trial_needs(model: str, strategy: str, tune: str) -> None:
    known = {section: set(names) for section, names in known_parameters(model, strategy).items()}
    space = load_space(model, strategy, "demo", tune=tune, known=known)
    check_training(space)
    check_words(space, model, strategy)
    params = space.resolve(space.default_point() or {})
    known["model"] -= LEFT_OUT.get(model, set())
    known["train"] -= set(OPTIONAL)
    assert {section: set(names) for section, names in params.items()} == known


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_models_file_starts_at_the_defaults_of_its_class(model: str) -> None:
    signature = inspect.signature(MODELS[model]).parameters
    space = load_space(model, "mg", "demo", known=known_parameters(model, "mg"))
    params = space.resolve(space.default_point() or {})["model"]
    assert params == {name: signature[name].default for name in params}


@pytest.mark.parametrize(
    "model", [name for name in sorted(MODELS) if "variant" in known_parameters(name, "mg")["model"]]
)
def test_the_variant_of_a_model_can_be_chosen_and_searched(model: str) -> None:
    def variants(text: str) -> list[str]:
        known = known_parameters(model, "plain")
        space = load_space(model, "plain", "demo", overrides=[f"variant={text}"], known=known)
        check_words(space, model, "plain")
        return [space.resolve(point)["model"]["variant"] for point in space.grid() or ()]

    assert variants("paper") == ["paper"]
    assert variants("{type: categorical, values: [benchmark, paper]}") == ["benchmark", "paper"]
    for text, found in (("papr", "'papr'"), ("{type: categorical, values: [paper, 1]}", "1")):
        known_words = "benchmark, paper(, amr)?"
        with pytest.raises(SpaceError, match=f"^model.variant: expected one of {known_words}, but got {found}$"):
            variants(text)


@pytest.mark.parametrize("missing", TRAIN)
def test_a_missing_training_parameter_is_named(missing: str) -> None:
    space = Space.from_data({"train": {name: value for name, value in USUAL.items() if name != missing}})
    with pytest.raises(SpaceError, match=f"^train: {missing} is missing, expected in the model's file or --set$"):
        check_training(space)


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, {"type": "categorical", "values": list(OPTIMIZERS)}])
def test_every_optimiser_is_accepted(optimizer: Any) -> None:
    check_training(Space.from_data({"train": USUAL | {"optimizer": optimizer}}))


@pytest.mark.parametrize(
    ("optimizer", "found"),
    [
        ("adma", "'adma'"),
        (3, "3"),
        ({"type": "categorical", "values": ["adam", "lion"]}, "'lion'"),
        ({"type": "int", "low": 1, "high": 3}, "'integer, 1 to 3'"),
    ],
)
def test_an_unknown_optimiser_is_one_line_with_the_known_ones(optimizer: Any, found: str) -> None:
    space = Space.from_data({"train": USUAL | {"optimizer": optimizer}})
    with pytest.raises(SpaceError) as error:
        check_training(space)
    assert str(error.value) == f"train.optimizer: expected one of {', '.join(OPTIMIZERS)}, but got {found}"


def test_a_parameter_before_the_star_is_no_hyper_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        def __init__(self, data: Any, hidden: int = 1, *, shown: float = 0.5, **others: Any):
            pass

    monkeypatch.setitem(MODELS, "Odd", Odd)
    assert known_parameters("Odd", "plain")["model"] == ["shown"]
