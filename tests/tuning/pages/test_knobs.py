"""Figures of knobs: the map of two, and the values of one."""

import json

from tests.tuning.reports.factories import PARAMS, record
from tuning.pages.knobs import Knob, by_value, knob_map
from tuning.records import TrialRecord

ALPHA, BETA, INTERVAL = (Knob(name, "strategy") for name in ("alpha", "beta", "interval"))
METRIC = "recall@20"


def at(
    trial: str, value: float | None, alpha: float, beta: float, interval: int, status: str = "finished"
) -> TrialRecord:
    strategy = {"alpha": alpha, "beta": beta, "interval": interval}
    return record(trial, value, status, params=PARAMS | {"strategy": strategy}, point={"alpha": alpha})


TRIALS = [
    at("0000", 0.2, 0.8, 0.1, 3),
    at("0001", 0.4, 1.6, 0.9, 1),
    at("0002", 0.3, 1.2, 0.2, 3, "pruned"),
    at("0003", None, 2.0, 0.3, 5, "failed"),
]


def drawn(figure: object) -> dict[str, list[tuple[object, object]]]:
    """Name of a trace -> its points, legend entries without points left out."""
    traces = figure.data  # type: ignore[attr-defined]
    return {trace.name: list(zip(trace.x, trace.y, strict=True)) for trace in traces if trace.x[0] is not None}


def test_the_map_has_each_trial_by_its_end_and_a_ring_around_the_best() -> None:
    found = drawn(knob_map(TRIALS, ALPHA, BETA, METRIC, TRIALS[1]))
    assert found["finished"] == [(0.8, 0.1), (1.6, 0.9)]
    assert found["pruned"] == [(1.2, 0.2)]
    assert found["failed"] == [(2.0, 0.3)]
    assert found["best: 0001"] == [(1.6, 0.9)]


def test_alpha_and_beta_have_the_line_on_which_both_are_the_same() -> None:
    assert drawn(knob_map(TRIALS, ALPHA, BETA, METRIC, None))["alpha = beta"] == [(0.8, 0.8), (2.0, 2.0)]
    assert "alpha = beta" not in drawn(knob_map(TRIALS, ALPHA, INTERVAL, METRIC, None))


def test_a_logarithmic_range_has_a_logarithmic_axis() -> None:
    figure = knob_map(TRIALS, Knob("alpha", "strategy", log=True), BETA, METRIC, None)
    assert (figure.layout.xaxis.type, figure.layout.yaxis.type) == ("log", None)


def test_each_value_of_a_knob_has_its_trials_and_the_best_that_finished() -> None:
    figure = by_value(TRIALS, INTERVAL, METRIC)
    found = drawn(figure)
    assert figure.layout.xaxis.ticktext == ("1", "3")  # nothing with interval 5 has a score
    assert [round(float(x)) for x, _ in found["finished"]] == [1, 0]
    assert found["best that finished"] == [(0, 0.4), (1, 0.2)]


def test_the_values_of_a_knob_are_text_and_no_html() -> None:
    hostile = record(
        "0000", 0.1, params=PARAMS | {"strategy": {"alpha": "<a href='x'>"}}, point={"alpha": "<a href='x'>"}
    )
    for figure in (by_value([hostile], ALPHA, METRIC), knob_map([hostile], ALPHA, ALPHA, METRIC, None)):
        text = json.dumps(
            [[trace.text, trace.name] for trace in figure.data] + [figure.layout.xaxis.ticktext], default=str
        )
        assert "<a" not in text
