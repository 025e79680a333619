"""What fresh seeds make of a front: noise is not mistaken for one."""

from pathlib import Path
from typing import Any

import pytest

from tests.recmodels.factories import checkerboard
from tests.tuning.experiments.factories import GIVEN, Driver
from tuning.cli.new_experiments import new_experiment
from tuning.cli.objectives import check_pick
from tuning.experiments import conclude, read_results, run_experiment
from tuning.experiments.conclusion import confirmation_of
from tuning.experiments.experiment import Experiment
from tuning.experiments.experiment_report import confirmed_columns, confirmed_rows, write_result
from tuning.experiments.front_of_means import front_of_means
from tuning.experiments.results import saved_results
from tuning.objectives import objectives_of
from tuning.records import Confirmation, SearchFolder
from tuning.records.front import front_of

TWO = objectives_of(["recall@20", "sharpness"])  # of sharpness less is better
TRIALS = ("0000", "0001", "0002")


def seeds(*values: float) -> dict[int, float]:
    return dict(enumerate(values, start=1000))


def found(*configurations: tuple[dict[int, float], dict[int, float]], pick: str = "knee") -> Any:
    return front_of_means(TWO, configurations, TRIALS[: len(configurations)], pick)


EXACT = (seeds(0.9, 0.9, 0.9), seeds(5.0, 5.1, 4.9))
OTHER = (seeds(0.5, 0.5, 0.5), seeds(1.0, 1.1, 0.9))
WORSE = (seeds(0.4, 0.4, 0.4), seeds(2.0, 2.1, 1.9))


def test_points_that_differ_more_than_the_seeds_stay_or_fall_behind() -> None:
    front = found(EXACT, OTHER, WORSE)
    assert (front.stays, front.beaten, front.incomplete) == ((0, 1), {2: 1}, ())
    assert front.alike == {0: (), 1: (), 2: ()}


def test_points_whose_differences_lie_within_the_noise_of_the_seeds_are_not_told_apart() -> None:
    """The first two differ by less than the seeds do in both objectives; the third differs in sharpness alone."""
    noisy = (seeds(0.5, 0.7, 0.6), seeds(1.0, 1.4, 1.2))
    alike = (seeds(0.7, 0.5, 0.62), seeds(1.3, 1.1, 1.35))
    apart = (seeds(0.7, 0.5, 0.61), seeds(9.3, 9.0, 9.2))
    front = found(noisy, alike, apart)
    assert front.alike == {0: (1,), 1: (0,), 2: ()}
    assert front.stays == (0, 1)


def test_one_seed_tells_nothing_apart() -> None:
    front = found((seeds(0.9), seeds(5.0)), (seeds(0.1), seeds(6.0)))
    assert front.alike == {0: (1,), 1: (0,)}
    assert (front.stays, front.beaten) == ((0,), {1: 0})


def test_who_lacks_a_seed_or_an_objective_is_off_the_front() -> None:
    short = (seeds(2.0, 2.0, 2.0), seeds(0.1, 0.1))
    front = found(short, OTHER)
    assert (front.stays, front.incomplete, front.chosen) == ((1,), (0,), 1)
    assert found(({}, {}), ({}, {})).stays == ()


@pytest.mark.parametrize(
    ("pick", "chosen"), [("recall@20", 0), ("sharpness", 1), ("0002", 2), ("0009", 0), ("knee", 0)]
)
def test_a_pick_is_of_the_means_unless_it_names_a_trial(pick: str, chosen: int) -> None:
    assert found(EXACT, OTHER, WORSE, pick=pick).chosen == chosen


@pytest.fixture
def experiment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Experiment:
    """A search of three trials by two objectives, and up to two points of its front on three fresh seeds."""
    monkeypatch.chdir(tmp_path)
    given = {"objectives": ("recall@1", "robustness"), "confirm_top": 2, "confirm_seeds": 3, "trials": "3"}
    made = new_experiment({name: value for name, value in GIVEN.items() if name != "metric"} | given)
    assert made is not None
    assert [spec.strategy for spec in made.searches] == ["mg"]
    assert run_experiment(made, Driver(checkerboard(), corners=True))
    return made


def test_the_points_of_a_front_are_confirmed_and_one_of_them_is_picked(experiment: Experiment) -> None:
    (spec,), data = experiment.searches, checkerboard()
    front = [each.trial for each in front_of(spec.objectives, SearchFolder.of(spec).ledger().values()).points]
    runs = SearchFolder(SearchFolder.of(spec).path.with_name("c-mg-seeds")).ledger().values()
    assert len(runs) == 3 * min(2, len(front))
    assert all(run.measured.keys() == {"robustness"} for run in runs)

    results = read_results(experiment, data)
    write_result(experiment, results, None)
    assert saved_results(experiment) == results
    (result,) = results
    confirmation = confirmation_of(experiment, results, result)
    assert confirmation is not None
    assert {point.trial for point in confirmation.front} <= set(front)
    assert any(point.stays for point in confirmation.front)
    assert all(len(point.values["robustness"].values) == 3 for point in confirmation.front)
    assert "on the front of the means" in confirmation.choice
    headings = [column.heading for column in confirmed_columns(experiment)]
    assert headings[4:6] == ["on fresh seeds", "robustness"]
    assert [row.taken.startswith("chosen, on the front") for row in confirmed_rows(results)].count(True) == 1


def test_another_pick_is_another_choice_among_what_was_confirmed(experiment: Experiment) -> None:
    data = checkerboard()
    (first,) = read_results(experiment, data)
    assert first.confirmed is not None
    for configuration in first.confirmed.configurations:
        spec = experiment.searches[0].model_copy(update={"pick": configuration.found.trial})
        again = experiment.model_copy(update={"searches": [spec]})
        check_pick(spec, SearchFolder.of(spec), {"pick": spec.pick}, "c")
        results = read_results(again, data)
        ended: list[str] = []
        conclude(again, results, lambda each, ended=ended: ended.append(each.pick))  # type: ignore[misc]
        assert ended == [spec.pick, spec.pick]
        found = Confirmation.read(SearchFolder.of(spec).confirmation)
        assert found.trial == spec.pick
        assert found.choice.endswith(f"{spec.pick} is taken, as it was asked for")
