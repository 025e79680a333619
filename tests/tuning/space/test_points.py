"""A list of points from a file: what it may say, and the space that it makes."""

from pathlib import Path
from typing import Any

import pytest

from recmodels.errors import UserError
from tests.recmodels.factories import checkerboard
from tests.tuning.factories import made_spec
from tests.tuning.proposals.test_study import record
from tuning.proposals.queue import choose_sampler, planned_trials
from tuning.proposals.study import Study
from tuning.records.folder import SearchFolder
from tuning.search import Search
from tuning.space import Fixed, Space, SpaceError
from tuning.space.catalogue import search_space
from tuning.spec import SearchSpec
from tuning.yaml_document import parse_yaml


def space_of(tmp_path: Path, text: str, suffix: str = "csv", **options: Any) -> Space:
    """The space of a file's points, for VBPR with mg."""
    path = tmp_path / f"points.{suffix}"
    path.write_bytes(text.encode("latin-1"))
    return search_space("VBPR", "mg", "demo", points=str(path), **options)


def trials(space: Space, *names: str) -> list[tuple[Any, ...]]:
    """The values of these parameters in each trial."""
    params = [{**resolved["strategy"], **resolved["train"], **resolved["model"]} for resolved in resolve_all(space)]
    return [tuple(each[name] for name in names) for each in params]


def resolve_all(space: Space) -> list[dict[str, dict[str, Any]]]:
    return [space.resolve(point) for point in space.grid() or ()]


MG = search_space("VBPR", "mg", "demo")
USUAL = MG.resolve(MG.default_point() or {})
"""What a point that names nothing is."""


def test_the_full_grid_has_the_28_valid_points() -> None:
    space = search_space("LightGCN", "mg", "demo", points="full-grid")
    expected = [
        (alpha, beta, interval)
        for alpha in (0.5, 1.0)
        for beta in (0.1, 0.2, 0.4, 0.8)
        for interval in (1, 3, 5, 7)
        if beta < alpha
    ]
    assert len(expected) == space.grid_size() == 28
    assert trials(space, "alpha", "beta", "interval") == expected


def test_the_authors_points_are_their_grid() -> None:
    by_points, by_space = (
        search_space("VBPR", "mg", "demo", **how) for how in ({"points": "authors"}, {"space": "paper-grid"})
    )
    names = ("alpha", "beta", "interval", "reg_weight")
    assert trials(by_points, *names) == trials(by_space, *names)


def test_what_a_point_does_not_name_is_at_its_default(tmp_path: Path) -> None:
    """Of beta that is a share of the point's alpha; a cell may be empty, and a name may have its section."""
    text = "\ufeffalpha, model.reg_weight ,interval\r\n2.0,,1\r\n\r\n0.5,1e-1,\r\n".encode().decode("latin-1")
    space = space_of(tmp_path, text)
    assert trials(space, "alpha", "beta", "interval", "reg_weight", "learning_rate") == [
        (2.0, 0.4, 1, USUAL["model"]["reg_weight"], USUAL["train"]["learning_rate"]),
        (0.5, 0.1, 3, 0.1, USUAL["train"]["learning_rate"]),
    ]
    assert list(space.dimensions) == ["alpha", "interval", "reg_weight"]
    assert space.base_defaults() == {section: USUAL[section] for section in ("train", "model")}


def test_yaml_is_a_list_of_mappings(tmp_path: Path) -> None:
    space = space_of(tmp_path, "- {alpha: 1, beta: 0.5}\n- train.learning_rate: 0.07\n- {}\n", "yaml")
    rate = USUAL["train"]["learning_rate"]
    assert trials(space, "alpha", "beta", "learning_rate") == [(1, 0.5, rate), (1.0, 0.2, 0.07), (1.0, 0.2, rate)]


def test_values_need_not_lie_in_the_range(tmp_path: Path) -> None:
    assert trials(space_of(tmp_path, "alpha,interval\n9,2\n0.1,4\n"), "alpha", "interval") == [(9, 2), (0.1, 4)]


def test_an_optimiser_of_all_points_brings_its_settings(tmp_path: Path) -> None:
    by_points = space_of(tmp_path, "optimizer,alpha\nsgd,1\nsgd,2\n")
    by_set = search_space("VBPR", "mg", "demo", overrides=["optimizer=sgd"])
    assert resolve_all(by_points)[0]["train"] == by_set.resolve(by_set.default_point() or {})["train"]


def test_one_point_is_one_trial(tmp_path: Path) -> None:
    space = space_of(tmp_path, "alpha\n1.25\n")
    assert all(isinstance(each.distribution, Fixed) for each in space.parameters)
    assert trials(space, "alpha") == [(1.25,)]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": holds no points, expected at least one"),
        ("alpha,beta\n", ": holds no points, expected at least one"),
        ("alpha,\n1,\n", ":1: column 2 has no name, expected a parameter's"),
        ("alpha,alpha\n1,1\n", ":1: alpha: given twice"),
        ("alpha,strategy.alpha\n1,1\n", ":2: alpha: given twice"),
        ("alhpa\n1\n", ":1: no parameter 'alhpa'; did you mean 'alpha'?"),
        ("strtegy.alpha\n1\n", ":1: unknown section 'strtegy'; did you mean 'strategy'?"),
        ("alpha;beta\n1;0.2\n", ":1: no parameter 'alpha;beta'; did you mean 'alpha'?"),
        ("beta/alpha\n0.2\n", ":1: no parameter 'beta/alpha'; did you mean 'alpha'?"),
        ("train.alpha\n1\n", ":1: 'alpha' belongs in section 'strategy', not 'train'"),
        ("alpha\n1\n\n2,3\n", ":4: expected 1 cells as in the header, but got 2"),
        ('alpha\n"1\n', ":2: not valid CSV: unexpected end of data"),
        ('alpha\n"{type: uniform, low: 1, high: 2}"\n', ":2: alpha: expected one value, but got {'type': "),
        ("alpha\n[1]\n", ":2: alpha: value must be text, true, false or a finite number, but got [1]"),
        ("alpha\n[1\n", ":2: not valid YAML: "),
        ("alpha\n.inf\n", ":2: alpha: value must be text, true, false or a finite number, but got inf"),
        ("alpha\ntext\n", ":2: strategies/mg.yaml:8: beta/alpha: a value must be a finite number, but got 'text'"),
        ("alpha,beta\ntext,0.1\n", ":2: alpha must be a finite number, but got 'text'"),
        ("interval\n3\n1.5\n", ":3: interval must be a whole number, but got 1.5"),
        ("batch_size\n64\n0\n", ":3: batch_size"),
        ("optimizer\nadma\n", ":2: optimizer must be one of adam"),
        ("alpha,beta\n1,0.1\n0.5,0.8\n", ":3: 0 <= beta < alpha must hold, but got alpha=0.5, beta=0.8"),
        ("alpha,beta\n1,0.1\n0.5,0.1\n1.0,1e-1\n", ":4: the same point as "),
        ("clip_norm,alpha\n5,1\n,2\n", ":3: clip_norm is missing and has no default, but "),
        ("alpha\n\xff\n", ": not UTF-8 text"),
        ("alpha\n1\x00\n", ":2: not valid YAML: unacceptable character"),
    ],
)
def test_a_fault_of_a_csv_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        space_of(tmp_path, text)
    assert str(error.value).startswith(f"{tmp_path}/points.csv{message}")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": holds no points, expected at least one"),
        ("[]\n", ": holds no points, expected at least one"),
        ("alpha: 1\n", ": expected a list of points (- alpha: 1.0), but got a mapping with 'alpha'"),
        ("text\n", ": expected a list of points (- alpha: 1.0), but got 'text'"),
        ("# two\n- alpha: 1\n- 3\n", ":3: expected a mapping of names to values, but got 3"),
        ("- alpha: 1\n-\n", ":2: expected a mapping of names to values, but got None"),
        ("- alpha: 1\n- {alpha: }\n", ":2: alpha: value must be text, true, false or a finite number, but got None"),
        ("- alpha: 1\n  alpha: 2\n", ":2: not valid YAML: "),
        ("- {strategy: {alpha: 1}}\n", ":1: no parameter 'strategy'"),
        ("- {beta: 0.1}\n- {beta: 0.2}\n- {beta: 0.10}\n", ":3: the same point as "),
        ("- {}\n- {alpha: 1.0}\n", ":2: the same point as "),
    ],
)
def test_a_fault_of_a_yaml_file_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(UserError) as error:
        space_of(tmp_path, text, "yaml")
    assert str(error.value).startswith(f"{tmp_path}/points.yaml{message}")


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"points\.txt: expected a file that ends in \.csv, \.yaml, \.yml$"):
        space_of(tmp_path, "alpha\n1\n", "txt")
    with pytest.raises(
        SpaceError, match="full-gird: neither a built-in list of points nor a file; did you mean 'full-g"
    ):
        search_space("VBPR", "mg", "demo", points="full-gird")


def test_a_parameter_is_given_by_the_points_or_by_set(tmp_path: Path) -> None:
    with pytest.raises(SpaceError, match=r"^--set alpha=1: .*points\.csv:2 gives alpha too$"):
        space_of(tmp_path, "alpha\n1\n2\n", overrides=["alpha=1"])
    assert trials(space_of(tmp_path, "alpha\n1\n2\n", overrides=["interval=5"]), "interval") == [(5,), (5,)]


def test_a_range_without_a_default_has_no_value_for_a_point(tmp_path: Path) -> None:
    with pytest.raises(
        SpaceError, match=r"points\.csv:2: reg_weight is missing and has no default in --set reg_weight="
    ):
        space_of(tmp_path, "alpha\n1\n2\n", overrides=["reg_weight={type: uniform, low: 0.1, high: 1}"])


GRID = search_space("VBPR", "mg", "demo", points="full-grid")


def test_points_are_kept_in_the_spec() -> None:
    spec = made_spec(model="VBPR", space=GRID)
    again = SearchSpec.model_validate(parse_yaml(spec.to_yaml(), "spec.yaml").data)
    assert resolve_all(again.space) == resolve_all(GRID)


@pytest.mark.parametrize(
    ("points", "message"),
    [
        ({"alpha": 1.0}, "expected a list of points, but got "),
        ([{"alpha": 1.0}], "point 1: expected a value for each of "),
        ([*map(dict, GRID.points), 5], "point 29: expected a value for each of "),
        ([{**GRID.points[0], "alpha": 0.6}], "point 1: alpha: expected one of 0.5, 1.0, default 1.0, but got 0.6"),
    ],
)
def test_points_that_were_changed_by_hand_are_refused(points: Any, message: str) -> None:
    with pytest.raises(SpaceError) as error:
        Space.from_data({**GRID.to_data(), "points": points})
    assert message in str(error.value)


def test_each_point_is_checked_again_at_every_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    data = GRID.to_data()
    data["points"][3] = {"alpha": 0.5, "beta": 0.8, "interval": 1}
    with pytest.raises(SpaceError, match=r"0 <= beta < alpha must hold, but got alpha=0.5, beta=0.8"):
        Search(made_spec(model="VBPR", space=data), checkerboard())


@pytest.mark.parametrize(("budget", "planned"), [(10, 10), (28, 28), (100, 28)])
def test_a_budget_tries_the_first_points_and_no_more_than_all(budget: int, planned: int) -> None:
    spec = made_spec(model="VBPR", space=GRID, budget={"trials": budget})
    assert (choose_sampler(GRID, budget), planned_trials(spec)) == ("grid", planned)


def test_points_are_proposed_in_their_order_across_a_resume(tmp_path: Path) -> None:
    proposed = []
    for start in (range(3), range(3, 29)):
        study = Study(SearchFolder(tmp_path), GRID, "grid", seed=7)
        for index in start:
            proposed.append(study.ask(f"{index:04}", index))
            if proposed[-1]:
                study.tell(record(f"{index:04}", index / 100))
    assert proposed == [*GRID.points, None]


def test_a_sampler_cannot_leave_the_points(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"^--sampler gp: the points of --points run in their order: expected auto"):
        Search(made_spec(model="VBPR", space=GRID, sampler="gp"), checkerboard())
