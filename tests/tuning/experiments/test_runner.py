"""The searches of a comparison run one after the other; an interrupted comparison goes on where it was."""

import pytest

from tests.recmodels.factories import checkerboard
from tests.tuning.experiments.factories import Driver, made_comparison
from tuning.experiments.comparison import Comparison
from tuning.experiments.runner import run_comparison

pytestmark = pytest.mark.usefixtures("here")


def test_an_interrupted_comparison_goes_on_where_it_was() -> None:
    data, asked = checkerboard(), made_comparison(compare="mg")
    assert not run_comparison(asked, Driver(data, stop_in="c-mg"))
    again = Comparison.read(asked.folder / "comparison.yaml")
    assert again == asked
    driver = Driver(data)
    assert run_comparison(again, driver)
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
