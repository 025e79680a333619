"""The names that a space may use, and the refusal of a space at a corner of which something cannot be built."""

import inspect
import itertools
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmodels.models import MODELS
from recmodels.signatures import keywords
from recmodels.training import STRATEGIES
from recmodels.training.optimizers import OPTIMIZERS
from recmodels.training.strategies import parts_of
from tuning.space import Range, Space, SpaceError, catalogue, load_space
from tuning.space.catalogue import TRAIN, check_begins, check_space, known_parameters, search_space

LEFT_OUT = {"GRCN": {"n_layers"}, "MMGCN": {"reg_weight"}, "SLMRec": {"ssl_dropout"}}
"""What a model's file does not offer because it changes nothing in the model's usual form."""
DECAYING = {"LATTICE", "MGCN", "PGL", "SMORE"}
"""The models whose published training lowers the learning rate in the course of time."""
USUAL: dict[str, Any] = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 64, "weight_decay": 0.0}


def test_names_come_from_the_signatures() -> None:
    assert known_parameters("LightGCN", "mg") == {
        "strategy": ["alpha", "beta", "interval", "compose", "phase", "clip_first", "sync_rng"],
        "train": [*TRAIN, "momentum", "initial_accumulator", "lr_decay", "lr_decay_epochs", "clip_norm", "precision"],
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
    check_space(space, model, strategy)
    params = space.resolve(space.default_point() or {})
    known["model"] -= LEFT_OUT.get(model, set())
    known["train"] = set(TRAIN) | ({"lr_decay", "lr_decay_epochs"} if model in DECAYING else set())
    assert {section: set(names) for section, names in params.items()} == known


@pytest.mark.parametrize("model", sorted(MODELS))
def test_a_models_file_starts_at_the_defaults_of_its_class(model: str) -> None:
    signature = inspect.signature(MODELS[model]).parameters
    space = load_space(model, "mg", "any data", known=known_parameters(model, "mg"))
    params = space.resolve(space.default_point() or {})["model"]
    assert params == {name: signature[name].default for name in params}


@pytest.mark.parametrize(
    "model", [name for name in sorted(MODELS) if "variant" in known_parameters(name, "mg")["model"]]
)
def test_the_variant_of_a_model_can_be_chosen_and_searched(model: str) -> None:
    def variants(text: str) -> list[str]:
        known = known_parameters(model, "plain")
        space = load_space(model, "plain", "demo", overrides=[f"variant={text}"], known=known)
        check_space(space, model, "plain")
        return [space.resolve(point)["model"]["variant"] for point in space.grid() or ()]

    assert variants("paper") == ["paper"]
    assert variants("{type: categorical, values: [benchmark, paper]}") == ["benchmark", "paper"]
    for text, found in (("papr", "'papr'"), ("{type: categorical, values: [paper, 1]}", "1")):
        message = f"variant must be one of benchmark, paper(, amr)?, but got {found}"
        with pytest.raises(SpaceError, match=f"^{re.escape(f'--set variant={text}')}: {message}$"):
            variants(text)


@pytest.mark.parametrize("missing", TRAIN)
def test_a_missing_training_parameter_is_named(missing: str) -> None:
    space = Space.from_data({"train": {name: value for name, value in USUAL.items() if name != missing}})
    with pytest.raises(SpaceError, match=f"^train: {missing} is missing, expected in the model's file or --set$"):
        check_space(space, "BPR", "plain")


@pytest.mark.parametrize("optimizer", [*OPTIMIZERS, {"type": "categorical", "values": list(OPTIMIZERS)}])
def test_every_optimiser_is_accepted(optimizer: Any) -> None:
    check_space(Space.from_data({"train": USUAL | {"optimizer": optimizer}}), "BPR", "plain")


@pytest.mark.parametrize(
    ("optimizer", "found"),
    [
        ("adma", "'adma'"),
        (3, "3"),
        ({"type": "categorical", "values": ["adam", "lion"]}, "'lion'"),
        ({"type": "int", "low": 1, "high": 3}, "1"),
    ],
)
def test_an_unknown_optimiser_is_one_line_with_the_known_ones(optimizer: Any, found: str) -> None:
    space = Space.from_data({"train": USUAL | {"optimizer": optimizer}})
    with pytest.raises(SpaceError) as error:
        check_space(space, "BPR", "plain")
    assert str(error.value) == f"space: optimizer must be one of {', '.join(OPTIMIZERS)}, but got {found}"


def test_a_parameter_before_the_star_is_no_hyper_parameter(monkeypatch: pytest.MonkeyPatch) -> None:
    class Odd:
        def __init__(self, data: Any, hidden: int = 1, *, shown: float = 0.5, **others: Any):
            pass

    monkeypatch.setitem(MODELS, "Odd", Odd)
    assert known_parameters("Odd", "plain")["model"] == ["shown"]


# --- corners


def message(model: str, strategy: str, *overrides: str) -> str:
    """The line that refuses the built-in space with these overrides."""
    known = known_parameters(model, strategy)
    with pytest.raises(SpaceError) as error:
        check_space(load_space(model, strategy, "demo", overrides=overrides, known=known), model, strategy)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("strategy", "override", "max_epochs", "got"),
    [
        ("swa", "swa_start=20", 20, 20),
        ("swa", "swa_start=20", 21, None),
        ("mg+swa", "swa_start={type: int, low: 5, high: 50, step: 5}", 50, 50),
        ("mg+swa", "swa_start={type: int, low: 5, high: 50, step: 5}", 51, None),
        ("swa", "swa_start={type: categorical, values: [3, 90, 4]}", 90, 90),
        ("amr", "adv_warmup=7", 7, 7),
        ("amr", "adv_warmup=7", 8, None),
        ("amr+sam", "adv_warmup={type: categorical, values: [0, converged, 30]}", 20, 30),
        ("amr+mg", "adv_warmup=converged", 1, None),
        ("ssam_d", "horizon=500", 20, None),
    ],
)
def test_a_strategy_that_would_not_begin_is_refused(
    strategy: str, override: str, max_epochs: int, got: int | None
) -> None:
    """It would be plain training under another name."""
    space = search_space("VBPR", strategy, "demo", overrides=[override])
    name = override.partition("=")[0]
    if got is None:
        check_begins(space, strategy, max_epochs)
        return
    with pytest.raises(SpaceError) as error:
        check_begins(space, strategy, max_epochs)
    rule = f"{name} < {max_epochs}, the most epochs of a trial, must hold, but got {name}={got}"
    assert str(error.value) == f"--set {override}: {rule}: lower it with --set, or raise --max-epochs"


def test_gsams_range_holds_what_its_authors_took() -> None:
    """From ResNets, 0.01 at a rho of 0.04, both the defaults, up to 1; evenly in the logarithm."""
    space = search_space("BPR", "gsam", "demo")
    assert space.dimensions["decompose"] == Range(5e-3, 1.0, log=True, default=0.01)
    assert space.default_point() == {"rho": 0.04, "decompose": 0.01, "every": 1}
    (made,) = [part() for part in parts_of("gsam").values()]
    assert (made.rho, made.decompose) == (0.04, 0.01)


@pytest.mark.parametrize(
    ("strategy", "override", "fault"),
    [
        ("amr", "adv_warmup=soon", "adv_warmup must be a whole number or converged, but got 'soon'"),
        ("mg", "interval=0", "interval >= 1 must hold, but got interval=0"),
        ("mg", "interval={type: int, low: 0, high: 3}", "interval >= 1 must hold, but got interval=0"),
        ("mg", "interval=1.5", "interval must be a whole number, but got 1.5"),
        ("mg", "interval={type: uniform, low: 1, high: 3}", "interval must be a whole number, but got 1.0"),
        ("mg", "beta=small", "beta must be a finite number, but got 'small'"),
        ("mg", "clip_first=1", "clip_first must be true or false, but got 1"),
        ("mg", "compose=three", "compose must be one of two_step, combined, but got 'three'"),
        ("sam", "rho=-1", "rho >= 0 must hold, but got rho=-1"),
        ("sam", "rho={type: uniform, low: -1, high: 1}", "rho >= 0 must hold, but got rho=-1.0"),
        ("sam", "rho=true", "rho must be a finite number, but got True"),
        ("sam", "every=0", "every >= 1 must hold, but got every=0"),
        ("sam", "exclude=3", "exclude must be a text, but got 3"),
        ("gnp", "c=2", "0 <= c <= 1 must hold, but got c=2"),
        ("gnp", "r=-1", "r >= 0 must hold, but got r=-1"),
        ("ssam_f", "sparsity=2", "0 <= sparsity <= 1 must hold, but got sparsity=2"),
        ("ssam_f", "n_fisher=0", "n_fisher >= 1"),
        ("ssam_d", "horizon=0", "horizon >= 1"),
        ("bsam_plus", "lam=3", "0 <= lam <= 1 must hold, but got lam=3"),
        ("ema", "decay=2", "0 <= decay < 1 must hold, but got decay=2"),
        ("swa", "swa_start=0", "swa_start >= 1 must hold, but got swa_start=0"),
        ("amr", "adv_eps=-1", "adv_eps >= 0 must hold, but got adv_eps=-1"),
        ("amr+sam+mg+swa", "swa_start=0", "swa_start >= 1 must hold, but got swa_start=0"),
        ("plain_lr", "lr_scale=0", "lr_scale > 0 must hold, but got lr_scale=0"),
        ("plain", "learning_rate=-1", "learning_rate >= 0 must hold, but got learning_rate=-1"),
        ("plain", "learning_rate=fast", "learning_rate must be a finite number, but got 'fast'"),
        ("plain", "weight_decay=-1", "weight_decay >= 0 must hold, but got weight_decay=-1"),
        ("plain", "batch_size=0", "batch_size >= 1 must hold, but got batch_size=0"),
        ("plain", "batch_size=64.0", "batch_size must be a whole number, but got 64.0"),
        ("plain", "clip_norm=0", "clip_norm > 0 must hold, but got clip_norm=0"),
        ("plain", "embedding_size=large", "embedding_size must be a whole number, but got 'large'"),
        ("plain", "reg_weight={type: categorical, values: [0.1, none]}", "reg_weight must be a finite number"),
    ],
)
def test_a_faulty_corner_is_one_line_with_its_source(strategy: str, override: str, fault: str) -> None:
    found = message("VBPR", strategy, override)
    assert fault in found
    assert f"--set {override}" in found.partition(fault)[0]


def test_a_rule_between_parameters_names_both_sources() -> None:
    fault = "0 <= beta < alpha must hold, but got alpha=0.6, beta=0.9"
    assert message("GRCN", "mg", "beta=0.9") == f"strategies/mg.yaml:7 and --set beta=0.9: {fault}"
    assert "momentum is for sgd alone" in message("GRCN", "mg", "momentum=0.9")


def test_a_share_is_checked_at_the_corners_of_its_parameter() -> None:
    alpha = "alpha={type: uniform, low: -1, high: 1}"
    assert "must hold, but got alpha=-1.0, beta=-" in message("GRCN", "mg", alpha)


def test_so_many_corners_are_built_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    values = list(range(1, 1001))
    huge = {name: {"type": "categorical", "values": values} for name in ("interval", "alpha")}
    check_space(Space.from_data({"train": USUAL, "strategy": huge | {"beta": 0.5}}), "BPR", "mg")  # of a million
    space = Space.from_data({"train": USUAL, "strategy": {"interval": {"type": "categorical", "values": [2, 1, 0]}}})
    monkeypatch.setattr(catalogue, "MOST_CORNERS", 2)
    check_space(space, "BPR", "mg")
    monkeypatch.setattr(catalogue, "MOST_CORNERS", 3)
    with pytest.raises(SpaceError, match="interval >= 1 must hold, but got interval=0"):
        check_space(space, "BPR", "mg")


def test_a_name_that_the_strategy_does_not_have() -> None:
    space = Space.from_data({"train": USUAL, "strategy": {"alhpa": 1.0}})
    with pytest.raises(SpaceError, match=r"^space: strategy: no parameter 'alhpa'; did you mean 'alpha'\?$"):
        check_space(space, "BPR", "mg")


NUMBERS = {
    name: [knob for part in parts_of(name).values() for knob, hint in keywords(part).items() if hint in (int, float)]
    for name in (*STRATEGIES, "ssam_f+mg", "amr+mg+ema")
}


@st.composite
def spaces(draw: st.DrawFn) -> tuple[str, dict[str, Any], dict[str, list[float]]]:
    """A strategy, the data of a space of some of its numbers, and the corners of each number."""
    strategy = draw(st.sampled_from([name for name, numbers in NUMBERS.items() if numbers]))
    data, corners = {}, {}
    for name in draw(st.lists(st.sampled_from(NUMBERS[strategy]), unique=True, min_size=1, max_size=4)):
        whole = any(keywords(part).get(name) is int for part in parts_of(strategy).values())
        number = st.integers(-1, 8) if whole else st.integers(-2, 12).map(lambda tenths: tenths / 10)
        values = draw(st.lists(number, unique=True, min_size=1, max_size=3))
        if len(values) == 2:
            low, high = sorted(values)
            data[name] = {"type": "int" if whole else "uniform", "low": low, "high": high}
        else:
            data[name] = {"type": "categorical", "values": values}
        corners[name] = values
    return strategy, data, corners


@settings(derandomize=True, deadline=None, max_examples=300)
@given(spaces())
def test_a_space_is_refused_exactly_when_a_corner_of_it_is_refused(case: tuple[str, Any, Any]) -> None:
    strategy, data, corners = case
    space = Space.from_data({"train": USUAL, "strategy": data})

    def builds() -> None:
        for part in parts_of(strategy).values():
            own = {name: corners[name] for name in keywords(part) if name in corners}
            for values in itertools.product(*own.values()):
                part(**dict(zip(own, values, strict=True)))

    try:
        builds()
    except ValueError:
        with pytest.raises(SpaceError, match="must hold, but got"):
            check_space(space, "BPR", strategy)
    else:
        check_space(space, "BPR", strategy)
