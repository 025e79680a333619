"""Figures of scores: what they draw, and what they leave out of curves that are too long."""

import json
from pathlib import Path

import pytest

from tests.tuning.pages.factories import METRIC, made_search, made_spec
from tests.tuning.reports.factories import record
from tuning.pages.look import series
from tuning.pages.scores import POINTS, Line, best_so_far, learning_curves, over_seeds, thin
from tuning.pages.trials import Curve, SearchTrials


def curve(*values: float, name: str = "0000") -> Curve:
    epochs = tuple(range(1, len(values) + 1))
    return Curve(name, epochs, tuple(10 * epoch for epoch in epochs), values)


def test_the_best_so_far_never_falls_and_counts_every_pass() -> None:
    trials = [
        record("0000", 0.2, passes=10),
        record("0001", None, "failed", passes=5),
        record("0002", 0.1, passes=10),
        record("0003", 0.3, passes=1),
    ]
    figure, (passes, ended) = best_so_far([Line("mg", series(0), records=trials)], METRIC)
    assert list(figure.data[0].y) == [0.2, 0.2, 0.2, 0.3]
    assert (passes.x, ended.x) == ([[10, 15, 25, 26]], [[1, 2, 3, 4]])


def test_trials_before_the_first_score_count_as_cost_and_have_no_point() -> None:
    trials = [record("0000", None, "failed", passes=7), record("0001", 0.0, passes=3)]
    figure, (passes, ended) = best_so_far([Line("mg", series(0), records=trials)], METRIC)
    assert (list(figure.data[0].y), passes.x, ended.x) == ([0.0], [[10]], [[2]])


def test_a_thin_curve_keeps_its_first_its_last_and_its_best_point() -> None:
    values = [0.1] * 20
    values[13] = 0.9
    found = thin(curve(*values), every=5)
    assert found.epochs == (1, 6, 11, 14, 16, 20)
    assert found.passes == (10, 60, 110, 140, 160, 200)
    assert max(found.values) == 0.9
    assert thin(curve(*values), every=1) == curve(*values)


def test_long_curves_are_thinned_and_the_figure_says_how_much() -> None:
    lines = [Line("others", series(0), [curve(*([0.1] * 200)) for _ in range(500)])]
    figure, views, every = learning_curves(lines, METRIC)
    drawn = [value for value in figure.data[0].y if value is not None]
    assert every == 7
    assert len(drawn) < POINTS + 2 * 500
    assert {len(view.x[0]) for view in views} == {len(figure.data[0].y)}


def test_short_curves_are_whole_with_a_gap_between_two() -> None:
    lines = [Line("plain", series(0), [curve(0.1, 0.2), curve(0.3, 0.4, name="0001")])]
    figure, (passes, epochs), every = learning_curves(lines, METRIC)
    assert every == 1
    assert list(figure.data[0].y) == [0.1, 0.2, None, 0.3, 0.4]
    assert passes.x == [[10, 20, None, 10, 20]]
    assert epochs.x == [[1, 2, None, 1, 2]]


def test_the_spread_shows_every_seed_with_mean_and_interval() -> None:
    values = [("plain", series(0), [(1, 0.1), (2, 0.3)]), ("mg", series(1), [(1, 0.2)])]
    figure = over_seeds(values, METRIC)
    points, mean, _, alone = figure.data
    assert list(points.y) == [0.1, 0.3]
    assert mean.y == (pytest.approx(0.2),)
    assert mean.error_y.value == pytest.approx(12.706 * 0.1, rel=1e-3)  # Student's t with one degree of freedom
    assert alone.error_y.value is None


def test_names_are_text_and_no_html() -> None:
    """Plotly reads some HTML in the names of traces."""
    line = Line("<a href='x'>", series(0), [curve(0.1)], [record("0000", 0.2, passes=1)])
    figures = [best_so_far([line], METRIC)[0], learning_curves([line], METRIC)[0]]
    figures.append(over_seeds([("<a href='x'>", series(0), [(1, 0.1)])], METRIC))
    assert all("<a" not in json.dumps(figure.to_plotly_json()["data"], default=str) for figure in figures)


def test_a_curve_counts_the_passes_of_epochs_that_were_not_validated(tmp_path: Path) -> None:
    path = made_search(made_spec(tmp_path, "s"), trials=1, epochs=4, statuses=["finished"])
    file = path / "trials/0000/epochs.jsonl"
    rows = [json.loads(line) for line in file.read_text().splitlines()]
    rows[1]["valid"] = {}
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    found = SearchTrials.read(path).curve("0000")
    assert (found.epochs, found.passes) == ((1, 3, 4), (40, 120, 160))
