"""The searches of an experiment run one after the other; an interrupted experiment goes on where it was."""

import pytest

from tests.recmodels.factories import checkerboard
from tests.tuning.experiments.factories import Driver, made_experiment
from tuning.experiments.experiment import Experiment
from tuning.experiments.runner import run_experiment

pytestmark = pytest.mark.usefixtures("here")


def test_an_interrupted_experiment_goes_on_where_it_was() -> None:
    data, asked = checkerboard(), made_experiment(compare="mg")
    assert not run_experiment(asked, Driver(data, stop_in="c-mg"))
    again = Experiment.in_folder(asked.folder)
    assert again == asked
    driver = Driver(data)
    assert run_experiment(again, driver)
    assert driver.ran == ["c-mg", "c-mg-seeds"]


def test_searches_that_ended_are_resumed_once_to_open_their_test_metrics() -> None:
    data, asked = checkerboard(), made_comparison(compare="mg")
    assert run_comparison(asked, Driver(data))
    shown = made_comparison(compare="mg", show_test=True)
    again = Driver(data)
    assert run_comparison(shown, again)
    assert again.ran == ["c-plain", "c-plain-seeds", "c-mg", "c-mg-seeds"]
    assert run_comparison(shown, idle := Driver(data))
    assert idle.ran == []
