"""The points that a search begins with, and the point of a configuration that another search has tried."""

import re
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from recmodels.errors import UserError
from recmodels.training import STRATEGIES
from tuning.space import Space
from tuning.space.catalogue import search_space
from tuning.yaml_document import parse_yaml, to_yaml

MG = search_space("LightGCN", "mg", "demo")
ALL = search_space("LightGCN", "mg", "demo", tune="all")
STEPS = Space.from_data(
    {
        "strategy": {"a": {"type": "uniform", "low": 0.1, "high": 0.7, "step": 0.2, "default": 0.1}},
        "train": {
            "n": {"type": "int", "low": 1, "high": 9, "step": 4, "default": 5},
            "on": {"type": "categorical", "values": [True, "1", 2], "default": 2},
            "rate": {"type": "loguniform", "low": 1e-4, "high": 1.0},
        },
        "model": {"fixed": 0.3, "named": "x"},
    }
)


def values(space: Space, point: dict[str, Any]) -> dict[str, Any]:
    return {name: value for section in space.resolve(point).values() for name, value in section.items()}


def knobs(space: Space) -> list[dict[str, Any]]:
    """The strategy's parameters at each point that a search begins with."""
    points, left_out = space.starts()
    assert left_out == []
    return [space.resolve(start.point)["strategy"] for start in points]


def test_a_search_of_mirror_gradient_begins_with_the_authors_three_points() -> None:
    points = [(each["alpha"], each["beta"], each["interval"]) for each in knobs(MG)]
    assert sorted(points) == [(1.0, 0.1, 3), (1.0, 0.2, 3), (1.0, 0.3, 3)]
    assert MG.starts()[0][0].point == MG.default_point()
    paper = search_space("LightGCN", "mg", "demo", space="paper-grid")
    assert sorted(points) == [tuple(paper.resolve(point)["strategy"].values())[:3] for point in paper.grid() or ()]


def test_what_a_first_point_does_not_name_is_at_its_default() -> None:
    points, _ = ALL.starts()
    default = ALL.default_point() or {}
    assert [start.point for start in points] == [default | {"beta/alpha": share} for share in (0.2, 0.1, 0.3)]
    composed = search_space("VBPR", "sam+mg", "demo")
    assert [(each["rho"], each["beta"]) for each in knobs(composed)] == [(0.05, 0.2), (0.05, 0.1), (0.05, 0.3)]


@pytest.mark.parametrize("strategy", [*STRATEGIES, "ssam_f+mg", "amr+mg", "sam+ema"])
def test_the_first_points_of_every_strategy_are_in_its_space(strategy: str) -> None:
    space = search_space("VBPR", strategy, "demo")
    points, left_out = space.starts()
    assert left_out == []
    assert [start.source for start in points[:1]] == ["default"] * bool(space.dimensions)


def test_the_other_strategies_begin_with_what_their_authors_used() -> None:
    assert [each["rho"] for each in knobs(search_space("VBPR", "asam", "demo"))] == [0.5, 1.0]
    assert [each["rho"] for each in knobs(search_space("VBPR", "ssam_f", "demo"))] == [0.05, 0.1]
    assert [each["adv_warmup"] for each in knobs(search_space("VBPR", "amr", "demo"))] == [0, "converged"]


def test_a_first_point_outside_of_a_changed_space_is_left_out_and_named() -> None:
    points, left_out = search_space("LightGCN", "mg", "demo", overrides=["interval=5"]).starts()
    assert [start.source for start in points] == ["default"]
    assert len(left_out) == 3
    assert left_out[0].startswith("strategies/mg.yaml:")
    assert left_out[0].endswith("interval: expected 5, but got 3")


def test_a_space_file_has_first_points_of_its_own(tmp_path: Path) -> None:
    def first(text: str) -> list[tuple[Any, ...]]:
        file = tmp_path / "mine.yaml"
        file.write_text(text)
        space = search_space("LightGCN", "mg", "demo", space=str(file))
        return [(each["alpha"], each["beta"], each["interval"]) for each in knobs(space)]

    assert first("first:\n  - {alpha: 1.5, beta: 0.75}\n") == [(1.0, 0.2, 3), (1.5, 0.75, 3)]
    assert first("first: []\n") == [(1.0, 0.2, 3)]
    assert len(first("strategy: {sync_rng: true}\n")) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("strategy: {}\nfirst: 3\n", "mine.yaml:2: first: expected a list of points such as {alpha: 1.0}, but got 3"),
        ("first: {alpha: 1}\n", "mine.yaml:1: first: expected a list of points such as {alpha: 1.0}, but got {'alpha"),
        ("first: [alpha]\n", "mine.yaml:1: first: expected a point such as {alpha: 1.0}, but got 'alpha'"),
        ("first: [{}]\n", "mine.yaml:1: first: expected a point such as {alpha: 1.0}, but got {}"),
        ("first: [{alhpa: 1}]\n", "mine.yaml:1: first: no parameter 'alhpa'; did you mean 'alpha'?"),
        ("first: [{alpha: [1]}]\n", "mine.yaml:1: first: alpha: value must be text, true, false or a finite number"),
        ("first: [{alpha: .inf}]\n", "mine.yaml:1: first: alpha: value must be text, true, false or a finite number"),
        ("first:\n", "mine.yaml:1: first: expected a list of points such as {alpha: 1.0}, but got None"),
    ],
)
def test_first_points_that_are_wrong(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, message: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text(text)
    with pytest.raises(UserError) as error:
        search_space("LightGCN", "mg", "demo", space="mine.yaml")
    assert str(error.value).startswith(message)


def test_a_space_with_first_points_comes_back_from_its_text() -> None:
    again = Space.from_data(parse_yaml(to_yaml(ALL.to_data()), "text").data)
    assert again == ALL
    assert again.first
    assert [start.point for start in again.starts()[0]] == [start.point for start in ALL.starts()[0]]


@given(alpha=st.floats(0.6, 2.0), share=st.floats(0.02, 0.8), interval=st.sampled_from([1, 3, 5, 7]))
@settings(max_examples=200, deadline=None)
def test_the_point_of_a_configuration_gives_the_same_configuration(alpha: float, share: float, interval: int) -> None:
    params = values(MG, {"alpha": alpha, "beta/alpha": share, "interval": interval})
    point = MG.point_of(params)
    assert values(MG, point) == params
    assert point["beta/alpha"] == pytest.approx(share, rel=1e-14)


@pytest.mark.parametrize(
    ("given_values", "point"),
    [
        ({"a": 0.1 + 0.2, "rate": 1.0}, {"a": 0.3, "n": 5, "on": 2, "rate": 1.0}),
        ({"a": 0.7, "n": 1.0, "on": True, "rate": 1}, {"a": 0.7, "n": 1, "on": True, "rate": 1.0}),
        ({"on": "1", "rate": 1e-4, "fixed": 0.1 * 3, "named": "x"}, {"a": 0.1, "n": 5, "on": "1", "rate": 1e-4}),
    ],
)
def test_values_that_are_a_point(given_values: dict[str, Any], point: dict[str, Any]) -> None:
    found = STEPS.point_of(given_values)
    assert found == point
    assert [type(value) for value in found.values()] == [type(value) for value in point.values()]


@pytest.mark.parametrize(
    ("given_values", "message"),
    [
        ({"a": 0.4}, "a: expected uniform, 0.1 to 0.7 in steps of 0.2, but got 0.4"),
        ({"a": 0.9}, "a: expected uniform, 0.1 to 0.7 in steps of 0.2, but got 0.9"),
        ({"a": "0.3"}, "a: expected a number, but got '0.3'"),
        ({"a": True}, "a: expected a number, but got True"),
        ({"a": float("nan")}, "a: expected a number, but got nan"),
        ({"n": 3}, "n: expected integer, 1 to 9 in steps of 4, but got 3"),
        ({"n": 5.5}, "n: expected integer, 1 to 9 in steps of 4, but got 5.5"),
        ({"on": 1}, "on: expected one of True, 1, 2, but got 1"),
        ({"on": [2]}, "on: expected one of True, 1, 2, but got [2]"),
        ({"rate": 9e-5}, "rate: expected log uniform, 0.0001 to 1.0, but got 9e-05"),
        ({"rate": -1}, "rate: expected log uniform, 0.0001 to 1.0, but got -1"),
        ({"fixed": 0.31}, "fixed: expected 0.3, but got 0.31"),
        ({"named": 3}, "named: expected x, but got 3"),
        ({"b": 1}, "b: no parameter of this space"),
        ({}, "rate: neither a value nor a default"),
    ],
)
def test_values_that_are_no_point_of_the_space(given_values: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        STEPS.point_of(given_values if "rate" in given_values or not given_values else given_values | {"rate": 1.0})
    assert str(error.value) == message


@pytest.mark.parametrize("alpha", [0, "x", True])
def test_a_share_of_what_is_no_number_is_no_point(alpha: Any) -> None:
    ranges = {"beta": {"type": "fraction", "of": "alpha", "low": 0.0, "high": 0.5}}
    space = Space.from_data({"strategy": ranges | {"alpha": {"type": "uniform", "low": 0.0, "high": 2.0}}})
    with pytest.raises(ValueError, match=r"^beta/alpha: expected a number, and another but 0"):
        space.point_of({"beta": 0.1, "alpha": alpha})
