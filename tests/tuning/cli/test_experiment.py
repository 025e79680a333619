"""An experiment from the command line: its searches and their confirmation, and what is refused."""

from pathlib import Path
from typing import Any

import pytest

import run_search
from recmodels.errors import UserError
from tests.tuning.cli.helpers import BARE, NEW, refused
from tests.tuning.experiments.factories import made_experiment
from tests.tuning.factories import earlier_search, made_folder
from tuning.cli.experiment import new_experiment
from tuning.cli.options import parser
from tuning.experiments.experiment import Confirm, Experiment
from tuning.proposals.queue import planned_trials

pytestmark = pytest.mark.usefixtures("here")
FIXED = ("--set", "reg_weight=0.1", "--set", "learning_rate=0.1")


@pytest.mark.parametrize("options", [(), ("--compare", "mg"), ("--strategy", "plain")])
def test_an_experiment_that_cannot_go_on(capsys: Any, here: Path, options: tuple[str, ...]) -> None:
    arguments = (*NEW, *options, "--name", "c")
    experiment = new_experiment(parser().parse(arguments))
    assert experiment is not None
    experiment.write()
    assert refused(capsys, *arguments).startswith("--name c: it exists in searches; --resume c")
    for option in ("--trials", "--tune-base", "--confirm-top", "--confirm-seeds"):
        line = refused(capsys, "--resume", "c", option, "9")
        assert line == f"{option}: cannot be changed when an experiment goes on, start a new one instead"
    assert refused(capsys, "--resume", "c", "--max-concurrent", "0").startswith("--max-concurrent: Input should be")


def test_every_strategy_has_the_same_search_but_for_its_knobs() -> None:
    asked = made_experiment(compare="sam,mg", controls=True, set=["rho=0.1", "strategy.interval=5", "reg_weight=0.1"])
    assert [spec.strategy for spec in asked.searches] == ["plain", "sam", "mg", "plain_lr", "plain_repeat"]
    assert len({spec.name for spec in asked.searches}) == 5
    alike = [spec.model_dump(exclude={"name", "strategy", "space"}) for spec in asked.searches]
    assert all(each == alike[0] for each in alike)
    bases = [{part: spec.space.to_data()[part] for part in ("train", "model")} for spec in asked.searches]
    assert all(base == bases[0] for base in bases)
    assert bases[0]["model"]["reg_weight"] == 0.1
    knobs = {spec.strategy: spec.space.to_data()["strategy"] for spec in asked.searches}
    assert knobs["plain"] == {}
    assert knobs["sam"]["rho"] == 0.1
    assert (knobs["mg"]["interval"], knobs["plain_repeat"]["interval"]) == (5, 5)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"compare": "mg,smg"}, "--compare smg: there is no strategy 'smg'"),
        ({"compare": "sam+asam"}, "--compare sam+asam: sam+asam: sam and asam are each a whole oracle"),
        ({"strategy": "mg"}, "--strategy: has no meaning with --compare"),
        ({"tune": "mg"}, "--tune mg: expected one of strategy, base, all with --compare"),
        ({"set": ["rhoo=0.1"]}, "--set rhoo=0.1: no parameter 'rhoo'"),
    ],
)
def test_what_cannot_be_compared(given: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError) as caught:
        made_experiment(**given)
    assert str(caught.value).startswith(message)
    assert "\n" not in str(caught.value)


def asked(*arguments: str) -> Experiment | None:
    """What the arguments of a new search come to."""
    return new_experiment(parser().parse([*NEW, "--name", "e", *arguments]))


def test_a_search_is_measured_against_plain_training_that_was_tuned_as_long() -> None:
    made = asked("--trials", "7")
    assert made is not None
    plain, mg = made.searches
    assert [(spec.name, spec.strategy, spec.budget.trials) for spec in made.searches] == [
        ("e-plain", "plain", 7),
        ("e-mg", "mg", 7),
    ]
    assert made.reference == plain
    assert (made.on_base, made.confirm) == (True, Confirm(top=3, seeds=5))
    assert set(plain.space.dimensions) == {"n_layers", "reg_weight", "learning_rate"}
    assert set(mg.space.dimensions) == {"alpha", "beta/alpha", "interval"}
    assert all(spec.awaits_confirmation for spec in made.searches)
    alike = [spec.model_dump(exclude={"name", "strategy", "space"}) for spec in made.searches]
    assert alike[0] == alike[1]


@pytest.mark.parametrize(
    ("arguments", "strategies", "trials", "on_base"),
    [
        (("--tune-base", "3"), ["plain", "mg"], [3, 40], True),
        (("--tune-base", "0"), ["plain", "mg"], [1, 40], False),
        (("--baseline",), ["plain", "mg"], [1, 40], False),
        (("--baseline", "--confirm-top", "0"), ["plain", "mg"], [1, 40], False),
        (("--confirm-top", "0"), ["plain", "mg"], [40, 40], True),
        (("--confirm-seeds", "0"), ["plain", "mg"], [40, 40], True),
        (("--tune", "all"), ["plain", "mg"], [40, 40], False),
        (("--tune", "all", "--tune-base", "3"), ["plain", "mg"], [3, 40], False),
        (("--tune", "base"), ["plain"], [40], False),
        (("--tune", "base", "--strategy", "sam"), ["sam"], [40], False),
        (("--tune", "base", "--strategy", "sam", "--baseline"), ["plain", "sam"], [1, 40], False),
        (("--strategy", "plain"), ["plain"], [1], False),
        (("--compare", "mg,sam"), ["plain", "mg", "sam"], [40, 40, 40], True),
        (("--compare", "mg", "--tune-base", "0"), ["plain", "mg"], [1, 40], False),
        (("--compare", "mg", "--tune", "base"), ["plain", "mg"], [40, 40], False),
        (
            ("--set", "n_layers=2", "--set", "reg_weight=0.1", "--set", "learning_rate=0.1"),
            ["plain", "mg"],
            [1, 40],
            False,
        ),
    ],
)
def test_the_reference_and_its_budget(
    arguments: tuple[str, ...], strategies: list[str], trials: list[int], on_base: bool
) -> None:
    made = asked(*arguments)
    assert made is not None
    assert [spec.strategy for spec in made.searches] == strategies
    assert [planned_trials(spec) for spec in made.searches] == trials
    assert made.on_base == on_base
    assert (made.reference is not None) == (len(strategies) > 1)


@pytest.mark.parametrize(
    "arguments",
    [
        BARE,
        ("--tune-base", "0", "--confirm-seeds", "0"),
        ("--strategy", "plain", "--confirm-top", "0"),
        ("--tune", "base", "--confirm-top", "0"),
        ("--tune", "all", *BARE),
        ("--model", "Popularity"),
        ("--model", "Popularity", *BARE),
    ],
)
def test_a_search_alone_is_no_experiment(arguments: tuple[str, ...]) -> None:
    assert asked(*arguments) is None


def test_the_reference_takes_of_a_space_what_is_not_the_strategys(here: Path) -> None:
    strategy, base = "strategy:\n  alpha: 1.5\n", "model:\n  reg_weight: {type: uniform, low: 0.25, high: 0.5}\n"
    for text, searched in ((strategy, {"learning_rate", "n_layers", "reg_weight"}), (strategy + base, {"reg_weight"})):
        Path("my.yaml").write_text(text)
        made = asked("--space", "my.yaml", "--set", "beta=0.5", "--set", "interval=3")
        assert made is not None
        assert set(made.searches[0].space.dimensions) >= searched
        assert made.searches[0].space.to_data()["strategy"] == {}
        assert made.searches[1].space.to_data()["strategy"]["alpha"] == 1.5
    assert made.searches[0].space.to_data()["model"]["reg_weight"]["low"] == 0.25


def test_a_grid_is_the_strategys_where_the_base_is_not_finite() -> None:
    made = asked("--space", "paper-grid", "--sampler", "grid")
    assert made is not None
    assert [spec.sampler for spec in made.searches] == ["auto", "grid"]
    made = asked("--space", "paper-grid", "--sampler", "grid", *FIXED)
    assert made is not None
    assert [spec.sampler for spec in made.searches] == ["grid", "grid"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--tune-base", "-1"), "--tune-base: expected a whole number of at least 0, but got '-1'"),
        (("--confirm-top", "1.5"), "--confirm-top: expected a whole number of at least 0, but got '1.5'"),
        (("--confirm-seeds", "many"), "--confirm-seeds: expected a whole number of at least 0, but got 'many'"),
        (
            ("--baseline", "--tune-base", "4"),
            "--baseline: is plain training that is not tuned, but --tune-base 4 tunes",
        ),
        (("--strategy", "plain", "--tune-base", "4"), "--tune-base: the search is one of plain training itself"),
        (("--strategy", "plain", "--baseline"), "--baseline: the search is one of plain training itself"),
        (("--tune", "base", "--strategy", "mg", "--tune-base", "4"), "--tune-base: --tune base searches it"),
        (("--model", "Popularity", "--confirm-top", "1"), "--confirm-top: Popularity has nothing to train"),
        (("--model", "EASE", "--compare", "mg"), "--compare: EASE has nothing to train, so that all strategies are"),
        (("--compare", "mg", "--baseline"), "--baseline: has no meaning with --compare"),
        (("--name", "x" * 90), "--name: String should match pattern"),
    ],
)
def test_a_reference_or_confirmation_that_does_not_fit(capsys: Any, arguments: tuple[str, ...], message: str) -> None:
    assert refused(capsys, *NEW, *arguments).startswith(message)


@pytest.mark.parametrize("taken", ["e-plain", "e-mg-seeds"])
def test_no_search_of_an_experiment_is_another_that_is_there(capsys: Any, here: Path, taken: str) -> None:
    made_folder(here, name=taken)
    line = refused(capsys, *NEW, "--name", "e")
    assert line == f"--name e: expected a name of which no other search is left, but searches/{taken} exists"


@pytest.mark.usefixtures("board")
@pytest.mark.parametrize("option", ["--output-dir", "--export-dir"])
def test_an_experiment_that_cannot_be_written_leaves_nothing(capsys: Any, option: str) -> None:
    Path("notes.txt").write_text("mine")
    assert "notes.txt" in refused(capsys, *NEW, option, "notes.txt")


def test_a_dry_run_says_what_comes_before_and_after(capsys: Any, here: Path) -> None:
    assert run_search.main([*NEW, "--name", "e", "--trials", "8", "--tune-base", "4", "--dry-run"]) == 0
    assert capsys.readouterr().out.splitlines()[-3:] == [
        "the base of the other searches: the one that e-plain finds",
        "experiment e: 12 trials in 2 searches",
        "confirmation: 30 trainings, the best 3 of each search on 5 fresh seeds",
    ]
    assert list(here.iterdir()) == []


def test_a_list_of_points_is_compared_with_plain_training_at_the_defaults(capsys: Any) -> None:
    """As what a point does not name is at its default."""
    experiment = new_experiment(parser().parse([*NEW, "--points", "authors"]))
    assert experiment is not None
    plain, mg = experiment.searches
    assert (planned_trials(plain), planned_trials(mg), experiment.on_base) == (1, 3, False)
    assert (plain.space.points, len(mg.space.points)) == ((), 3)
    line = refused(capsys, *NEW, "--points", "authors", "--tune-base", "4")
    assert line == "--points: what a point does not name is at its default, but --tune-base 4 tunes it"


def test_values_are_told_only_where_the_base_is_known(here: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A search on the base that the reference finds begins with the points of an earlier one."""
    started: list[Experiment] = []
    monkeypatch.setattr("tuning.cli.experiment.run", lambda experiment, *_: started.append(experiment) or 0)
    earlier_search(Path("searches"))
    for name, options in (("a", ()), ("b", ("--tune-base", "0"))):
        assert run_search.main([*NEW, "--warm-start", "old", "--name", name, *options]) == 0
    on_base, at_defaults = (experiment.searches[1].warm_start for experiment in started)
    assert (on_base.told, at_defaults.told) == (0, 2)
    assert [known.point for known in on_base.points] == [known.point for known in at_defaults.points]
    assert on_base.said[-1] == "points alone, as the base is the one that a-plain finds"
    assert started[0].searches[0].warm_start.points == ()
