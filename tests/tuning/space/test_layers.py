"""Space files: the shipped ones, layers, what is searched, and the message of each fault."""

import doctest

import pytest

from recmodels.errors import UserError
from recmodels.models import MODELS
from recmodels.training import STRATEGIES
from recmodels.training.optimizers import OPTIMIZERS
from tests.tuning.space.test_catalogue import DECAYING
from tuning.space import Parameter, Space, SpaceError, layers, load_space
from tuning.space.catalogue import known_parameters
from tuning.space.distributions import Choice
from tuning.space.layers import SEARCH_SPACES

PUBLISHED = {"optimizer": "adam", "learning_rate": 1e-3, "batch_size": 2048, "weight_decay": 0.0}
AS_THE_AUTHORS = {"compose": "two_step", "phase": "epoch_first", "clip_first": True, "sync_rng": False}


def load(*overrides, model="GRCN", strategy="mg", dataset="mine", **options):
    known = known_parameters(model, strategy)
    return load_space(model, strategy, dataset, overrides=overrides, known=known, **options)


def searched(space):
    return list(space.dimensions)


def message(*overrides, **options):
    """The one line that refuses these overrides or options."""
    with pytest.raises(UserError) as error:
        load(*overrides, **options)
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.fixture
def root(tmp_path):
    """A small search_spaces folder."""
    write(tmp_path, "models/GRCN", "model:\n  reg_weight: {type: loguniform, low: 1e-5, high: 0.1, default: 1e-3}\n")
    write(tmp_path, "strategies/mg", "alpha: {type: uniform, low: 0.6, high: 2.0, default: 1.0}\n")
    return tmp_path


def write(root, name, text):
    path = root / f"{name}.yaml"
    path.parent.mkdir(exist_ok=True)
    path.write_text(text)
    return path


# --- what is shipped


@pytest.mark.parametrize("model", sorted(MODELS))
@pytest.mark.parametrize("dataset", ["demo", "mine"])
def test_a_model_starts_at_the_published_training(model, dataset):
    space = load(model=model, dataset=dataset, tune="all")
    params = space.resolve(space.default_point())
    changed = {"batch_size": 512} if dataset == "demo" else {}
    changed |= {"weight_decay": 1e-4} if model == "SLMRec" else {}
    changed |= {"lr_decay": 0.96, "lr_decay_epochs": 50} if model in DECAYING else {}
    # The penalty's divisor follows the size of a batch.
    assert params["model"].get("reg_batch_size", params["train"]["batch_size"]) == params["train"]["batch_size"]
    assert params["train"] == PUBLISHED | changed
    assert params["strategy"] == {"alpha": 1.0, "beta": 0.2, "interval": 3} | AS_THE_AUTHORS


def test_every_model_and_strategy_has_its_file_and_no_file_is_left_over():
    names = {path.relative_to(SEARCH_SPACES).as_posix() for path in SEARCH_SPACES.rglob("*.yaml")}
    spaces = {name for name in names if name.startswith(("spaces/", "points/", "optimizers/", "pairs/"))}
    assert {name for name in spaces if name.startswith("optimizers/")} <= {f"optimizers/{o}.yaml" for o in OPTIMIZERS}
    assert names - spaces == {
        *(f"models/{model}.yaml" for model in MODELS),
        *(f"strategies/{strategy}.yaml" for strategy in STRATEGIES),
        "datasets/demo.yaml",
    }


@pytest.mark.parametrize("model", ["FREEDOM", "SelfCF"])
def test_no_penalty_at_all_is_a_point_of_the_published_grid(model):
    assert load("reg_weight=0", model=model, tune="all").fixed["reg_weight"] == 0


def test_the_papers_grid_has_three_points():
    space = load(space="paper-grid")
    assert [space.resolve(point)["strategy"] for point in space.grid()] == [
        {"alpha": 1.0, "beta": beta, "interval": 3} | AS_THE_AUTHORS for beta in (0.1, 0.2, 0.3)
    ]


# --- what is searched


@pytest.mark.parametrize(
    ("tune", "names"),
    [
        ("strategy", ["alpha", "beta/alpha", "interval"]),
        ("base", ["learning_rate", "reg_weight"]),
        ("all", ["alpha", "beta/alpha", "interval", "learning_rate", "reg_weight"]),
    ],
)
def test_tune_says_what_is_searched(tune, names):
    space = load(tune=tune)
    assert searched(space) == names
    assert space.resolve(space.default_point()) == load().resolve(load().default_point())
    assert Space.from_data(space.to_data()) == space


def test_ranges_that_the_user_names_are_searched_whatever_tune_is(root):
    assert searched(load("reg_weight={type: uniform, low: 0, high: 1}"))[-1] == "reg_weight"
    mine = write(root, "mine", "train: {learning_rate: {type: uniform, low: 0.1, high: 0.2}}")
    assert searched(load(space=str(mine))) == ["alpha", "beta/alpha", "interval", "learning_rate"]


@pytest.mark.parametrize("name", ["datasets/mine", "pairs/GRCN-mine"])
def test_ranges_of_a_data_set_or_a_pair_are_searched_with_their_section(root, name):
    write(root, name, "train: {learning_rate: {type: uniform, low: 0.1, high: 0.2, default: 0.15}}")
    space = load(root=root)
    assert (searched(space), space.fixed["learning_rate"]) == (["alpha"], 0.15)
    assert searched(load(root=root, tune="base")) == ["learning_rate", "reg_weight"]
    assert searched(load("learning_rate={type: uniform, low: 1, high: 2}", root=root)) == ["alpha", "learning_rate"]
    write(root, name, "train: {learning_rate: {type: uniform, low: 0.1, high: 0.2}}")
    assert message(root=root).startswith(f"{name}.yaml:1: learning_rate: is not searched with tune=strategy and needs")


def test_a_fixed_share_follows_a_searched_alpha():
    space = load("alpha={type: uniform, low: 0.5, high: 1.5}", tune="base")
    assert searched(space) == ["alpha", "learning_rate", "reg_weight"]
    params = space.resolve({"alpha": 0.5, "learning_rate": 1e-3, "reg_weight": 1e-3})
    assert params["strategy"] == {"alpha": 0.5, "beta": 0.1, "interval": 3} | AS_THE_AUTHORS


def test_an_optimizer_brings_a_range_that_suits_it():
    def rates(*overrides):
        return load(*overrides, tune="base").dimensions.get("learning_rate")

    adam, sgd = rates(), rates("optimizer=sgd")
    assert (adam.high, sgd.high, sgd.default) == (0.1, 10.0, 1e-3)
    assert rates("optimizer={type: categorical, values: [adam, sgd]}") == adam
    assert rates("optimizer=sgd", "learning_rate=0.5") is None
    assert load("optimizer=sgd").fixed["learning_rate"] == 1e-3


def test_what_is_not_searched_needs_a_default(root):
    write(root, "models/GRCN", "model:\n\n  reg_weight: {type: uniform, low: 0, high: 1}\n")
    assert message(root=root) == (
        "models/GRCN.yaml:3: reg_weight: is not searched with tune=strategy and needs a default to be fixed at; "
        "or give it a value with --set"
    )
    assert load("reg_weight=0.5", root=root).fixed["reg_weight"] == 0.5
    assert searched(load(root=root, tune="all")) == ["alpha", "reg_weight"]


# --- layers


def test_later_layers_win_key_by_key(root):
    contents = {  # each value says which layer it stands in
        "models/GRCN": "{train: {batch_size: 1}, model: {embedding_size: 1, latent_embedding: 1, reg_weight: 1}}",
        "datasets/mine": "train: {batch_size: 2, weight_decay: 2, learning_rate: 2}",
        "pairs/GRCN-mine": """
            strategy: {alpha: 3}
            train: {batch_size: 3, weight_decay: 3}
            model: {latent_embedding: 3, reg_weight: 3}
        """,
        "spaces/mine": "{train: {batch_size: 4}, model: {reg_weight: 4}}",
    }
    for name, text in contents.items():
        write(root, name, text)
    params = load("train.batch_size=5", root=root, space="mine").resolve({})
    assert params["model"] == {"embedding_size": 1, "latent_embedding": 3, "reg_weight": 4}
    assert params["train"] == {"batch_size": 5, "weight_decay": 3, "learning_rate": 2}
    assert params["strategy"] == {"alpha": 3}
    assert load(root=root, dataset="other").fixed["batch_size"] == 1


def test_a_data_set_may_change_what_fits_every_model(root):
    write(root, "datasets/mine", "train: {learning_rate: 0.5}")
    assert load(root=root).fixed["learning_rate"] == 0.5
    write(root, "datasets/mine", "model: {reg_weight: 1}")
    assert message(root=root) == "datasets/mine.yaml:1: unknown section 'model'; known: train"


def test_a_baseline_skips_the_pairs_knobs(root):
    write(root, "strategies/plain", "# none\n")
    write(root, "pairs/GRCN-mine", "strategy: {alpha: 3}\ntrain: {batch_size: 3}")
    space = load(root=root, strategy="plain")
    assert space.fixed == {"batch_size": 3, "reg_weight": 1e-3}


def test_space_by_path_and_sets_of_every_form(root):
    mine = write(root, "mine", "strategy:\n  alpha: 1.5\n")
    space = load("reg_weight=1e-2", "model.embedding_size = 32", "optimizer=sgd", "reg_weight=2e-2", space=str(mine))
    assert searched(space) == ["beta/alpha", "interval"]
    expected = {"alpha": 1.5, "reg_weight": 0.02, "embedding_size": 32, "optimizer": "sgd"}
    assert {name: space.fixed[name] for name in expected} == expected


def test_a_parameter_is_an_override_as_a_text_is():
    optimizer = Parameter("train", "optimizer", Choice(("sgd", "adam")), source="--optimizer sgd,adam")
    assert load(optimizer) == load("optimizer={type: categorical, values: [sgd, adam]}")
    assert load(optimizer, "optimizer=sgd").fixed["optimizer"] == "sgd"
    unknown = Parameter("train", "optimiser", Choice(("sgd",)), source="here")
    assert message(unknown).startswith("here: training has no parameter 'optimiser'; did you mean 'optimizer'?")


def test_the_example_is_true():
    assert doctest.testmod(layers) == (0, 5)


# --- faults of one value, as a file and as --set


@pytest.mark.parametrize(
    ("value", "fault"),
    [
        ("{type: uniform, low: 0.8, high: 0.02}", "low < high must hold, but got low=0.8, high=0.02"),
        ("{type: int, low: 3, high: 3}", "low < high must hold, but got low=3, high=3"),
        ("{type: unifrom, low: 0, high: 1}", "unknown type 'unifrom'; did you mean 'uniform'?"),
        (
            "{low: 0, high: 1}",
            "a mapping needs a type, one of uniform, loguniform, int, categorical, fixed, fraction",
        ),
        ("{type: uniform, low: 0, hihg: 1}", "uniform has no key 'hihg'; did you mean 'high'?"),
        ("{type: loguniform, low: 1, high: 2, step: 1}", "loguniform has no key 'step'; known: default, high, low"),
        ("{type: uniform, default: 0}", "uniform needs high, low"),
        ("{type: fraction, low: 0, high: 0.5}", "fraction needs of"),
        ("{type: uniform, low: , high: 1}", "low has no value"),
        ("{type: uniform, low: zero, high: 1}", "low must be a finite number, but got 'zero'"),
        ("{type: uniform, low: true, high: 2}", "low must be a finite number, but got True"),
        ("{type: uniform, low: 0, high: .inf}", "high must be a finite number, but got inf"),
        ("{type: uniform, low: .nan, high: 1}", "low must be a finite number, but got nan"),
        ("{type: int, low: 0, high: 1.5}", "high must be a whole number, but got 1.5"),
        ("{type: int, low: false, high: 2}", "low must be a whole number, but got False"),
        ("{type: int, low: 1, high: 8, log: 1}", "log must be true or false, but got 1"),
        ("{type: int, low: 0, high: 8, log: true}", "low > 0 must hold on a log scale, but got low=0"),
        ("{type: int, low: 1, high: 8, log: true, step: 2}", "a log scale takes no step, but got step=2"),
        ("{type: loguniform, low: 0, high: 1}", "low > 0 must hold on a log scale, but got low=0.0"),
        (
            "{type: uniform, low: 0, high: 1, step: 0}",
            "0 < step <= high - low must hold, but got 0.0 to 1.0 in steps of 0.0",
        ),
        ("{type: int, low: 0, high: 4, step: 5}", "0 < step <= high - low must hold, but got 0 to 4 in steps of 5"),
        ("{type: uniform, low: 0, high: 1, default: 2}", "default must lie in 0.0 to 1.0, but got 2.0"),
        (
            "{type: uniform, low: 0, high: 1, step: 0.5, default: 0.2}",
            "default must lie in 0.0 to 1.0 in steps of 0.5, but got 0.2",
        ),
        ("{type: int, low: 0, high: 4, default: 1.0}", "default must be a whole number, but got 1.0"),
        ("{type: categorical, values: []}", "values must be a list with at least one value, but got []"),
        ("{type: categorical, values: abc}", "values must be a list with at least one value, but got 'abc'"),
        ("{type: categorical, values: [1, 2, 1.0]}", "values must differ from each other, but got [1, 2, 1.0]"),
        ("{type: categorical, values: [1, 2], default: 3}", "default must be one of [1, 2], but got 3"),
        (
            "{type: categorical, values: [1, [2]]}",
            "each of values must be text, true, false or a finite number, but got [2]",
        ),
        ("[1, 2]", "value must be text, true, false or a finite number, but got [1, 2]"),
        (".nan", "value must be text, true, false or a finite number, but got nan"),
        ("", "value must be text, true, false or a finite number, but got None"),
    ],
)
def test_a_faulty_value(root, value, fault):
    write(root, "spaces/mine", f"# mine\nmodel:\n  embedding_size: 64\n  reg_weight: {value}\n")
    assert message(root=root, space="mine") == f"spaces/mine.yaml:4: reg_weight: {fault}"
    assert message(f"reg_weight={value}") == f"--set reg_weight={value}: reg_weight: {fault}"


@pytest.mark.filterwarnings("error")
def test_a_step_of_exactly_the_range():
    space = load("reg_weight={type: uniform, low: 0.1, high: 0.3, step: 0.2}", "alpha=1.0", "beta=0.1", "interval=1")
    assert [point["reg_weight"] for point in space.grid()] == [0.1, 0.3]


# --- faults of names, files and places


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("model:\n  embeding_size: 1", ":2: GRCN has no parameter 'embeding_size'; did you mean 'embedding_size'?"),
        ("strategy:\n  alhpa: 1", ":2: mg has no parameter 'alhpa'; did you mean 'alpha'?"),
        (
            "train:\n  lr: 1",
            ":2: training has no parameter 'lr'; "
            "known: batch_size, clip_norm, initial_accumulator, learning_rate, lr_decay, lr_decay_epochs, momentum, "
            "optimizer, precision, weight_decay",
        ),
        ("train:\n  reg_weight: 1", ":2: 'reg_weight' belongs in section 'model', not 'train'"),
        ("train: {}\nmodle: {}", ":2: unknown section 'modle'; did you mean 'model'?"),
        ("alpha: 1", ":1: unknown section 'alpha'; known: model, strategy, train"),
        ("- 1", ": expected a mapping of names to values, but got [1]"),
        ("model: [1]", ":1: model: expected a mapping of names to values, but got [1]"),
        (
            "model:\n  a: 1\n  a: 2",
            ":3: not valid YAML: while constructing a mapping, "
            'found duplicate key "a" with value "2" (original value: "1")',
        ),
        ("model: {a", ":1: not valid YAML: while parsing a flow mapping, expected ',' or '}', but got '<stream end>'"),
    ],
)
def test_a_faulty_file(root, text, fault):
    write(root, "spaces/mine", text)
    assert message(root=root, space="mine") == f"spaces/mine.yaml{fault}"


@pytest.mark.parametrize(
    ("override", "fault"),
    [
        ("reg_weigth=1", "no parameter 'reg_weigth'; did you mean 'reg_weight'?"),
        ("model.reg_weigth=1", "GRCN has no parameter 'reg_weigth'; did you mean 'reg_weight'?"),
        ("train.reg_weight=1", "'reg_weight' belongs in section 'model', not 'train'"),
        ("modle.reg_weight=1", "unknown section 'modle'; did you mean 'model'?"),
        ("reg_weight", "expected NAME=VALUE, for example --set reg_weight=1e-3"),
        ("=1", "expected NAME=VALUE, for example --set reg_weight=1e-3"),
        (
            "alpha={type: uniform",
            "not valid YAML: while parsing a flow mapping, expected ',' or '}', but got '<stream end>'",
        ),
    ],
)
def test_a_faulty_set(override, fault):
    assert message(override) == f"--set {override}: {fault}"


def test_what_is_not_there(root):
    assert message(space="paper-gird") == (
        "--space paper-gird: neither a built-in space nor a file; did you mean 'paper-grid'?"
    )
    write(root, "models/VBPR", "")
    options = {"known": known_parameters("GRCN", "mg"), "root": root}
    with pytest.raises(SpaceError, match=r"^models/grcn\.yaml: no such search space; did you mean 'GRCN'\?$"):
        load_space("grcn", "mg", "clothing", **options)
    with pytest.raises(SpaceError, match=r"^strategies/sam\.yaml: no such search space; known: mg$"):
        load_space("GRCN", "sam", "clothing", **options)
    with pytest.raises(SpaceError, match=r"^models/\.\./models/GRCN\.yaml: no such search space; known: GRCN, VBPR$"):
        load_space("../models/GRCN", "mg", "clothing", **options)


def test_a_knob_in_a_model_file(root):
    write(root, "models/GRCN", "strategy: {alpha: 1}")
    assert message(root=root) == "models/GRCN.yaml:1: unknown section 'strategy'; known: model, train"


def test_a_name_that_two_sections_claim():
    clash = {**known_parameters("GRCN", "mg"), "model": ("embedding_size", "optimizer")}
    fault = "parameter 'optimizer' must belong to one section, but is in train and model"
    with pytest.raises(SpaceError, match=f"^{fault}$"):
        load_space("GRCN", "mg", "clothing", known=clash)
