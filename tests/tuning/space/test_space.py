"""A space as a value: its dimensions, its points and corners, its grid, and plain data and back."""

import itertools
import json
import subprocess
import sys

import optuna
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tuning.proposals.study import optuna_distributions
from tuning.space import Space, SpaceError
from tuning.yaml_document import parse_yaml, to_yaml

MG = {
    "alpha": {"type": "uniform", "low": 0.6, "high": 2.0, "default": 1.0},
    "beta": {"type": "fraction", "of": "alpha", "low": 0.02, "high": 0.8, "default": 0.2},
    "interval": {"type": "categorical", "values": [1, 3, 5, 7], "default": 3},
}
KINDS = ("uniform", "loguniform")
EVERY_TYPE = {
    "strategy": MG,
    "train": {
        "learning_rate": {"type": "loguniform", "low": 1e-4, "high": 0.1, "default": 1e-3},
        "optimizer": {"type": "categorical", "values": ["adam", "sgd"], "default": "adam"},
        "nesterov": False,
        "warm_up": {"type": "fixed", "value": 0.25, "of": "learning_rate"},
    },
    "model": {
        "n_layers": {"type": "int", "low": 1, "high": 4, "default": 2},
        "width": {"type": "int", "low": 8, "high": 512, "log": True, "default": 64},
        "dropout": {"type": "uniform", "low": 0.0, "high": 0.5, "step": 0.1, "default": 0.3},
        "name": "plain text",
    },
}


def strategy(**values):
    return Space.from_data({"strategy": values})


def share(of, low=0.1, high=0.5):
    return {"type": "fraction", "of": of, "low": low, "high": high}


def sampled(space, sampler, trials):
    study = optuna.create_study(sampler=sampler)
    distributions = optuna_distributions(space)
    for index in range(trials):
        trial = study.ask(distributions)
        study.tell(trial, index % 7)
        yield space.resolve(trial.params)


@pytest.fixture(autouse=True)
def quiet():
    optuna.logging.set_verbosity(optuna.logging.ERROR)


# --- beta < alpha


@pytest.mark.parametrize(
    ("sampler", "trials"),
    [(optuna.samplers.RandomSampler(seed=0), 300), (optuna.samplers.TPESampler(seed=0, n_startup_trials=5), 30)],
    ids=["random", "tpe"],
)
def test_no_sampler_leaves_the_valid_region(sampler, trials):
    for params in sampled(strategy(**MG), sampler, trials):
        alpha, beta, interval = (params["strategy"][name] for name in ("alpha", "beta", "interval"))
        assert 0.6 <= alpha <= 2.0
        assert 0 < beta < alpha
        assert interval in (1, 3, 5, 7)


@settings(derandomize=True, deadline=None, max_examples=50)
@given(low=st.floats(1e-3, 10), width=st.floats(1e-3, 10), high=st.floats(1e-3, 0.999), kind=st.sampled_from(KINDS))
def test_a_share_of_alpha_stays_below_alpha(low, width, high, kind):
    alpha = {"type": kind, "low": low, "high": low + width}
    space = strategy(alpha=alpha, beta=share("alpha", low=0, high=high))
    corners = itertools.product((low, low + width), (0, high))
    trials = [space.resolve({"alpha": a, "beta/alpha": b}) for a, b in corners]
    for params in [*trials, *sampled(space, optuna.samplers.RandomSampler(seed=0), 3)]:
        assert 0 <= params["strategy"]["beta"] < params["strategy"]["alpha"]


# --- shares


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"a": share("a")}, "a: is a fraction of itself"),
        (
            {"a": share("bb"), "bbb": 1},
            "a: is a fraction of 'bb', but the space has no such parameter; did you mean 'bbb'?",
        ),
        (
            {"a": share("b"), "b": share("c"), "c": 1},
            "a: is a fraction of b, which must not be a fraction itself, but is one of c",
        ),
        ({"a": share("b"), "b": "adam"}, "a/b: a value must be a finite number, but got 'adam'"),
        ({"a": share(3)}, "a: of must be the name of a parameter, but got 3"),
        (
            {"a": share("b", high=1), "b": 1},
            "a: a fraction must stay in 0 <= fraction < 1, but got uniform, 0.1 to 1.0",
        ),
        (
            {"a": share("b", low=-1), "b": 1},
            "a: a fraction must stay in 0 <= fraction < 1, but got uniform, -1.0 to 0.5",
        ),
    ],
)
def test_a_share_of_the_wrong_thing(values, message):
    with pytest.raises(SpaceError) as error:
        Space.from_data({"train": values})
    assert str(error.value) == f"space: {message}"


def test_a_share_may_cross_sections():
    space = Space.from_data({"model": {"b": share("a")}, "train": {"a": 4.0}})
    assert space.resolve({"b/a": 0.5}) == {"strategy": {}, "train": {"a": 4.0}, "model": {"b": 2.0}}


# --- corners


def test_corners_are_the_ends_of_ranges_and_every_choice():
    space = strategy(**MG)
    alphas, intervals = (0.6, 2.0), (1, 3, 5, 7)
    assert list(space.corners("strategy", ["alpha", "interval"])) == [
        {"alpha": a, "interval": i} for a, i in itertools.product(alphas, intervals)
    ]
    assert list(space.corners("strategy", ["beta"])) == [
        {"beta": share * a} for a, share in itertools.product(alphas, (0.02, 0.8))
    ]
    assert list(space.corners("model", ["alpha"])) == [{}]


# --- points


def test_the_sampler_sees_the_ratio_and_the_trial_gets_beta():
    space = strategy(**MG)
    assert list(space.dimensions) == ["alpha", "beta/alpha", "interval"]
    assert space.default_point() == {"alpha": 1.0, "beta/alpha": 0.2, "interval": 3}
    point = {"alpha": 2.0, "beta/alpha": 0.25, "interval": 5}
    assert space.resolve(point)["strategy"] == {"alpha": 2.0, "beta": 0.5, "interval": 5}


@pytest.mark.parametrize("point", [{"alpha": 1.0}, {"alpha": 1.0, "beta": 0.2, "interval": 3}])
def test_a_point_must_name_each_dimension(point):
    with pytest.raises(ValueError, match="expected a value for each of"):
        strategy(**MG).resolve(point)


def test_no_first_point_without_every_default():
    del (alpha := dict(MG["alpha"]))["default"]
    assert strategy(**{**MG, "alpha": alpha}).default_point() is None


def test_a_whole_of_another_parameter_is_tied_to_it():
    values = {"batch_size": {"type": "categorical", "values": [64, 256], "default": 64}}
    tied = {"reg_batch_size": {"type": "fixed", "value": 1, "of": "batch_size"}}
    space = Space.from_data({"train": values, "model": tied})
    assert list(space.dimensions) == ["batch_size"]
    assert [space.resolve(point)["model"] for point in space.grid()] == [{"reg_batch_size": n} for n in (64, 256)]
    assert [type(space.resolve(point)["model"]["reg_batch_size"]) for point in space.grid()] == [int, int]
    with pytest.raises(SpaceError, match=r"a fraction must stay in 0 <= fraction < 1, but got 2$"):
        Space.from_data({"train": values, "model": {"a": tied["reg_batch_size"] | {"value": 2}}})


def test_nothing_to_search():
    space = Space.from_data({"train": {"learning_rate": 0.1}})
    assert (space.dimensions, space.default_point(), space.grid_size(), list(space.grid())) == ({}, {}, 1, [{}])
    assert space.resolve({})["train"] == space.fixed == {"learning_rate": 0.1}


def test_grid_is_every_combination_in_order():
    space = Space.from_data(
        {
            "strategy": {"a": {"type": "uniform", "low": 0.1, "high": 0.3, "step": 0.1}},
            "model": {
                "b": {"type": "int", "low": 1, "high": 8, "step": 3},
                "c": {"type": "categorical", "values": ["x"]},
            },
        }
    )
    points = [{"a": a, "b": b, "c": "x"} for a in (0.1, 0.2, 0.3) for b in (1, 4, 7)]
    assert list(space.grid()) == points
    assert space.grid_size() == 9


def test_a_continuous_space_has_no_grid():
    assert strategy(**MG).grid() is None
    assert strategy(**MG).grid_size() is None


def test_a_huge_grid_costs_nothing_until_it_is_walked():
    space = Space.from_data({"model": {name: {"type": "int", "low": 0, "high": 10**9} for name in "abc"}})
    assert space.grid_size() == (10**9 + 1) ** 3
    assert list(itertools.islice(space.grid(), 2)) == [{"a": 0, "b": 0, "c": 0}, {"a": 0, "b": 0, "c": 1}]


# --- Optuna


def test_optuna_sees_the_same_values():
    assert optuna_distributions(Space.from_data(EVERY_TYPE)) == {
        "alpha": optuna.distributions.FloatDistribution(0.6, 2.0),
        "beta/alpha": optuna.distributions.FloatDistribution(0.02, 0.8),
        "interval": optuna.distributions.CategoricalDistribution((1, 3, 5, 7)),
        "learning_rate": optuna.distributions.FloatDistribution(1e-4, 0.1, log=True),
        "optimizer": optuna.distributions.CategoricalDistribution(("adam", "sgd")),
        "n_layers": optuna.distributions.IntDistribution(1, 4),
        "width": optuna.distributions.IntDistribution(8, 512, log=True),
        "dropout": optuna.distributions.FloatDistribution(0.0, 0.5, step=0.1),
    }


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("step", "last"), [(0.1, 0.7), (0.15, 0.6), (0.25, 0.55)])
def test_a_step_that_does_not_divide_ends_below_high_as_in_optuna(step, last):
    space = Space.from_data({"model": {"a": {"type": "uniform", "low": 0.3, "high": 0.7, "step": step}}})
    assert optuna_distributions(space)["a"].high == [*space.grid()][-1]["a"] == last


def test_optuna_is_loaded_only_for_its_distributions():
    code = "import sys, tuning.space.layers; sys.exit('optuna' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=900).returncode == 0


# --- plain data


def through_json(data):
    return json.loads(json.dumps(data))


def through_yaml(data):
    return parse_yaml(to_yaml(data), "text").data


@pytest.mark.parametrize("through", [through_json, through_yaml])
def test_plain_data_and_back(through):
    space = Space.from_data(EVERY_TYPE)
    again = Space.from_data(through(space.to_data()))
    assert again == space
    assert again.dimensions == space.dimensions
    assert again.resolve(again.default_point()) == space.resolve(space.default_point())


def test_a_name_in_two_sections():
    with pytest.raises(SpaceError, match=r"^space: a: given in two sections$"):
        Space.from_data({"train": {"a": 1}, "model": {"a": 2}})


def test_description():
    assert Space.from_data(EVERY_TYPE).describe() == [
        ("strategy", "alpha", "uniform, 0.6 to 2.0, default 1.0", "space"),
        ("strategy", "beta", "uniform, 0.02 to 0.8, default 0.2 (times alpha)", "space"),
        ("strategy", "interval", "one of 1, 3, 5, 7, default 3", "space"),
        ("train", "learning_rate", "log uniform, 0.0001 to 0.1, default 0.001", "space"),
        ("train", "optimizer", "one of adam, sgd, default adam", "space"),
        ("train", "nesterov", "False", "space"),
        ("train", "warm_up", "0.25 (times learning_rate)", "space"),
        ("model", "n_layers", "integer, 1 to 4, default 2", "space"),
        ("model", "width", "log integer, 8 to 512, default 64", "space"),
        ("model", "dropout", "uniform, 0.0 to 0.5 in steps of 0.1, default 0.3", "space"),
        ("model", "name", "plain text", "space"),
    ]
