"""Which values are told to the sampler, which points are trained first, and which stay behind."""

from typing import Any

import pytest

from tuning.proposals import first_points
from tuning.proposals.queue import GP_LIMIT
from tuning.space.catalogue import search_space
from tuning.spec import SearchSpec, WarmStart
from tuning.warm_start import Source, warm_start
from tuning.warm_start.sources import Configuration
from tuning.warm_start.transfer import MOST

DATA = "f1n9e2"
RULE = {"metric": "recall@20", "max_epochs": 1000, "patience": 20, "eval_every": 1}


def spec(model: str = "LightGCN", tune: str = "strategy", **changes: Any) -> SearchSpec:
    overrides = changes.pop("overrides", [])
    space = search_space(model, "mg", "demo", tune=tune, overrides=overrides)
    return SearchSpec.model_validate(
        {"name": "new", "model": model, "dataset": "demo", "strategy": "mg", "space": space, **changes}
    )


def source(*knobs: tuple[float, float, int], name: str = "old", model: str = "LightGCN", **changes: Any) -> Source:
    """A source whose configurations are alpha, beta, interval on the default base, best first: .9, .8, ..."""
    overrides = changes.pop("overrides", [])
    base = search_space(model, "mg", "demo", overrides=overrides)
    found = []
    for number, (alpha, beta, interval) in enumerate(knobs):
        params = base.resolve(base.default_point() or {})
        params["strategy"] |= {"alpha": alpha, "beta": beta, "interval": interval}
        found.append(Configuration(params, 0.9 - number / 10, f"{name}/{number:04}"))
    usual = {"name": name, "model": model, "strategy": "mg", "fingerprint": DATA, "training": RULE}
    return Source(**(usual | changes), configurations=tuple(found))


def told(found: WarmStart) -> list[tuple[Any, float]]:
    return [(each.point["alpha"], each.value) for each in found.points if each.value is not None]


def trained(found: WarmStart) -> list[str]:
    """The sources of the points to train."""
    return [each.source for each in found.points if each.value is None]


APART = ((0.7, 0.07, 1), (0.8, 0.4, 5), (1.5, 0.15, 7), (1.9, 1.4, 5), (1.2, 0.9, 7), (1.9, 0.1, 1), (0.7, 0.5, 3))
"""Points of which no two are near, nor near the authors'."""


def test_the_same_search_gives_all_its_values_and_its_best_point() -> None:
    found = warm_start(spec(), DATA, [source(*APART)])
    assert told(found) == [(alpha, pytest.approx(0.9 - n / 10)) for n, (alpha, _, _) in enumerate(APART)]
    assert trained(found) == ["old/0000"]
    assert found.said == ("old: 7 of 7 values told to the sampler",)
    assert spec().space.resolve(found.points[0].point)["strategy"]["beta"] == 0.07


@pytest.mark.parametrize(
    ("ours", "theirs", "why"),
    [
        ({}, {"fingerprint": "other"}, "of other data"),
        ({"model": "VBPR"}, {}, "of LightGCN"),
        ({"training": {"metric": "ndcg@20"}}, {}, "of metric recall@20, here ndcg@20"),
        ({"training": {"max_epochs": 50}}, {}, "of max_epochs 1000, here 50"),
        ({"training": {"patience": 5}}, {}, "of patience 20, here 5"),
        ({"training": {"eval_every": 5}}, {}, "of eval_every 1, here 5"),
        ({"overrides": ["reg_weight=0.5"]}, {}, "of another base"),
        ({"overrides": ["learning_rate=0.01"]}, {}, "of another base"),
        ({"overrides": ["clip_norm=1.0"]}, {}, "of another base"),
        ({}, {"overrides": ["clip_norm=1.0"]}, "of another base"),
        ({"sampler": "random"}, {}, "nothing to random"),
        ({"sampler": "cmaes"}, {}, "nothing to cmaes"),
    ],
)
def test_another_searchs_values_are_not_told_but_its_best_points_are_trained(
    ours: dict[str, Any], theirs: dict[str, Any], why: str
) -> None:
    found = warm_start(spec(**ours), DATA, [source(*APART, **theirs)])
    assert told(found) == []
    assert trained(found) == [f"old/{number:04}" for number in range(MOST)]
    assert found.said == (f"old: 5 of 7 points trained first; no values, they are {why}",)


def test_another_seed_or_another_budget_measures_the_same() -> None:
    changed = spec(training={"seed": 1}, budget={"trials": 7}, scheduler={"name": "none"})
    assert len(told(warm_start(changed, DATA, [source(*APART)]))) == 7


def test_the_best_of_each_source_come_first_and_near_sources_before_far_ones() -> None:
    sources = [
        source(*APART[:2], name="a", model="VBPR", fingerprint="other"),
        source(*APART[2:4], name="b", model="VBPR"),
        source(*APART[4:], name="c", fingerprint="other"),
    ]
    found = warm_start(spec(), DATA, sources)
    assert trained(found) == ["c/0000", "b/0000", "a/0000", "c/0001", "b/0001"]
    assert [line.partition(" points")[0] for line in found.said] == ["a: 1 of 2", "b: 2 of 2", "c: 2 of 3"]


def test_points_near_one_that_is_trained_stay_behind() -> None:
    close = [(1.0, 0.25, 3), (1.1, 0.22, 3), (1.5, 0.15, 7), (1.52, 0.16, 7), (1.5, 0.15, 5)]
    found = warm_start(spec(), DATA, [source(*close, fingerprint="other")])
    assert trained(found) == ["old/0002", "old/0004"]
    assert "2 of 5 points trained first, 3 near another" in found.said[0]


def test_a_point_whose_value_is_told_is_not_trained_again_but_the_best() -> None:
    found = warm_start(spec(), DATA, [source((1.0, 0.3, 3), (1.0, 0.2, 3))])
    first = first_points(spec().space, found)
    assert [start.point["beta/alpha"] for start in first] == [0.1, 0.3]
    assert first[1].source == "old/0000"


def test_a_measurement_is_told_once_though_an_export_repeats_it() -> None:
    found = warm_start(spec(), DATA, [source(*APART[:2]), source(APART[0], name="best_configs/x.yaml")])
    assert told(found) == [(0.7, 0.9), (0.8, 0.8)]


def test_the_base_of_another_model_is_not_taken() -> None:
    (point,) = warm_start(spec(tune="all"), DATA, [source(APART[0], model="VBPR")]).points
    default = spec(tune="all").space.default_point() or {}
    assert point.point == default | {"alpha": 0.7, "beta/alpha": pytest.approx(0.1), "interval": 1}


def test_the_base_of_the_same_model_is_taken_where_it_is_searched() -> None:
    other = source(APART[0], fingerprint="other", overrides=["reg_weight=5e-5", "learning_rate=0.01", "n_layers=4"])
    (point,) = warm_start(spec(tune="all", overrides=["n_layers=2"]), DATA, [other]).points
    assert (point.point["reg_weight"], point.point["learning_rate"]) == (5e-5, 0.01)


def test_a_point_outside_of_the_space_stays_behind_and_is_named() -> None:
    narrow = spec(overrides=["alpha={type: uniform, low: 0.5, high: 1.0, default: 0.6}"])
    found = warm_start(narrow, DATA, [source(*APART)])
    assert told(found) == [(0.7, 0.9), (0.8, pytest.approx(0.8)), (0.7, pytest.approx(0.3))]
    (line,) = found.said
    assert (
        line == "old: 3 of 7 values told to the sampler; 4 not in this space: alpha: expected uniform, 0.5 to 1.0, "
        "but got 1.5"
    )


def test_a_fixed_knob_that_differs_makes_another_strategy() -> None:
    found = warm_start(spec(overrides=["compose=combined"]), DATA, [source(*APART)])
    assert found.points == ()
    assert found.said == ("nothing from old (7 not in this space: compose: expected combined, but got 'two_step')",)


@pytest.mark.parametrize(
    ("changes", "sources", "line"),
    [
        ({}, [], "nothing is taken over: no earlier search or export of mg"),
        ({}, [source()], "nothing from old (no finished trial)"),
        (
            {"overrides": ["alpha=1.0", "beta=0.1"]},
            [source(*APART)],
            "nothing is taken over: a grid trains every point",
        ),
    ],
)
def test_why_nothing_is_taken_over(changes: dict[str, Any], sources: list[Source], line: str) -> None:
    found = warm_start(spec(**changes), DATA, sources)
    assert (found.points, found.said) == ((), (line,))


def test_a_space_in_which_nothing_of_the_source_is_searched() -> None:
    base = spec("VBPR", tune="base", overrides=["alpha=1.0", "beta=0.1", "interval=3"])
    found = warm_start(base, DATA, [source((1.0, 0.1, 3))])
    assert found.said == ("nothing from old (1 not in this space: it gives no value to what is searched here)",)


def test_many_values_are_for_tpe_which_learns_from_them_too() -> None:
    many = source(*[(0.6 + n / 1000, 0.3, 3) for n in range(GP_LIMIT)])
    assert len(told(warm_start(spec(), DATA, [many]))) == GP_LIMIT
