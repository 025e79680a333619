"""Models side by side: the same draws, curves that go on where they were killed, the calibrated noise, and words."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from recmodels.models import Recommender
from tests.tuning.analyses.robust_factories import BOARD, DATA, analysis, exports, made, perfect, settings, trained
from tuning.analyses.points import PointStore
from tuning.analyses.robustness import Trained, measure_robustness
from tuning.analyses.robustness_files import csv_text, json_text
from tuning.analyses.robustness_words import lines, verdicts


def told_until(n: int) -> Callable[[str], None]:
    count = iter(range(n))

    def told(what: str) -> None:
        if next(count, None) is None:
            raise KeyboardInterrupt

    return told


def never() -> Recommender:
    raise AssertionError("nothing is left to measure")


def test_all_models_meet_the_same_draws(tmp_path: Path) -> None:
    """The same model under two names has the same values, of every draw."""
    twins = [trained(name, made("GRCN")) for name in ("one", "other")]
    found = measure_robustness(twins, DATA, settings("embedding", "noise"), PointStore(tmp_path))
    for comparison in found.comparisons:
        one, other = comparison.curves
        assert [point.metrics for point in one.points] == [point.metrics for point in other.points]
        assert not comparison.intervals.against.any()
        assert one.points[2].metrics[0] != one.points[2].metrics[1]


def test_level_0_drops_nothing_and_a_drop_is_that_of_the_mean(tmp_path: Path) -> None:
    (grcn, _), *_ = [each.curves for each in analysis(tmp_path).comparisons]
    assert grcn.drop(0) == 0.0
    clean, values = grcn.clean, [each["recall@5"] for each in grcn.points[2].metrics]
    assert clean > 0
    assert grcn.drop(2) == pytest.approx(100 * (clean - np.mean(values)) / clean)
    assert grcn.deviation(2) == pytest.approx(100 * np.std(values, ddof=1) / clean)


def test_an_analysis_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    whole = analysis(tmp_path / "whole")
    models = [trained(name, made(name)) for name in ("GRCN", "BM3")]
    for n in (2, 5, 9):
        with pytest.raises(KeyboardInterrupt):
            measure_robustness(models, DATA, settings(), PointStore(tmp_path / "killed"), told_until(n))
    files = {path: path.stat().st_mtime_ns for path in (tmp_path / "killed").iterdir()}
    assert len(files) == 9
    found = measure_robustness(models, DATA, settings(), PointStore(tmp_path / "killed"))
    assert {path: path.stat().st_mtime_ns for path in files} == files
    again = measure_robustness(
        [Trained(each.label, each.digest, never) for each in models], DATA, settings(), PointStore(tmp_path / "killed")
    )
    for comparison, same in ((whole, found), (found, again)):
        for one, other in zip(comparison.comparisons, same.comparisons, strict=True):
            np.testing.assert_array_equal(one.intervals.drops, other.intervals.drops)
            for a, b in zip(one.curves, other.curves, strict=True):
                assert [point.metrics for point in a.points] == [point.metrics for point in b.points]
                assert [point.edited for point in a.points] == [point.edited for point in b.points]


@pytest.mark.parametrize("damage", [b"", b"PK", b"no archive"])
def test_a_damaged_point_is_measured_again(tmp_path: Path, damage: bytes) -> None:
    before = analysis(tmp_path)
    path = min(tmp_path.iterdir())
    whole = path.read_bytes()
    path.write_bytes(damage)
    after = analysis(tmp_path)
    assert len(path.read_bytes()) == pytest.approx(len(whole), abs=20)  # the seconds differ
    assert [each.curves[0].value(2) for each in before.comparisons] == [
        each.curves[0].value(2) for each in after.comparisons
    ]


@pytest.mark.parametrize("change", [{"repeats": 3}, {"seed": 10}, {"split": "valid"}])
def test_what_a_point_follows_from_is_measured_again_if_it_changes(tmp_path: Path, change: dict[str, object]) -> None:
    before = analysis(tmp_path)
    n = len(list(tmp_path.iterdir()))
    after = analysis(tmp_path, **change)
    assert len(list(tmp_path.iterdir())) == 2 * n
    one, other = (found.comparisons[0].curves[0].points[2].metrics for found in (before, after))
    assert one != other


def test_a_further_level_leaves_the_others_as_they_are(tmp_path: Path) -> None:
    one = analysis(tmp_path).comparisons[0].curves[0]
    more = settings("embedding")
    ((name, levels),) = more.measures
    wider = settings("embedding").__class__(**{**vars(more), "measures": ((name, (*levels, 2.0)),)})
    models = [Trained("GRCN", "digest of GRCN", lambda: made("GRCN"))]
    found = measure_robustness(models, DATA, wider, PointStore(tmp_path)).comparisons[0].curves[0]
    assert [point.metrics for point in found.points[:3]] == [point.metrics for point in one.points]


def test_all_are_compared_at_the_noise_by_which_the_first_loses_as_much_as_the_papers(tmp_path: Path) -> None:
    """Relative noise does not see that the second model is the first one, ten times as large; absolute noise does."""
    models = [trained("plain", perfect()), trained("large", perfect(size=10))]
    found = measure_robustness(models, BOARD, settings("embedding", repeats=10, target=16.9), PointStore(tmp_path))
    made_up = found.calibration
    assert made_up is not None
    assert made_up.relative is not None
    assert made_up.absolute is not None
    assert made_up.level is not None
    assert made_up.sigma == pytest.approx(made_up.level * 0.5**0.5)  # the table's root mean square
    first, second = made_up.relative.curves
    assert first.clean == 1.0
    assert first.drop(1) == pytest.approx(16.9, abs=2)  # 30 users, of whom one more or less loses a third of a percent
    assert second.drop(1) == pytest.approx(first.drop(1))
    assert made_up.absolute.curves[0].drop(1) == pytest.approx(first.drop(1))
    assert made_up.absolute.curves[1].drop(1) == 0.0
    assert "plain loses as much as the paper's plain BM3 (16.9 %)" in verdicts(found)[-1]


def test_a_drop_that_no_noise_reaches_is_said(tmp_path: Path) -> None:
    found = analysis(tmp_path, models=("DualGNN", "GRCN"), target=16.9)
    assert found.calibration is not None
    assert found.calibration.level is None
    assert verdicts(found)[-1] == "No noise was found by which DualGNN loses 16.9 % of its recall@5."


def test_rb_11_not_applicable_is_said_and_drops_exactly_0(tmp_path: Path) -> None:
    found = analysis(tmp_path)
    mix = found.comparisons[1]
    assert [curve.applies for curve in mix.curves] == [True, False]
    assert [mix.curves[1].drop(place) for place in range(3)] == [0.0, 0.0, 0.0]
    assert "not applicable to BM3, whose scores do not depend on it" in verdicts(found)[1]
    only = analysis(tmp_path, models=("BM3",))
    assert verdicts(only)[1] == "mix at 0.2: not applicable, as the scores of BM3 do not depend on it."
    assert not any(line.wins for line in lines(only))


def test_how_much_features_matter_at_all_stands_beside_their_measures(tmp_path: Path) -> None:
    models = [trained(name, made(name)) for name in ("GRCN", "BM3")]
    found = measure_robustness(models, DATA, settings("mix", "missing"), PointStore(tmp_path))
    grcn = found.comparisons[1].curves[0].drop(2)
    said = f"How much features matter at all, with those of every item missing: GRCN {grcn:.2f} %; BM3 0.00 %"
    assert verdicts(found)[-1].startswith(said)


def test_the_highest_metric_wins_and_not_the_smallest_drop(tmp_path: Path) -> None:
    """A model that ranks at random loses nothing, and wins nothing."""
    models = [trained("good", perfect()), trained("bad", made("BPR", BOARD, seed=1))]
    found = measure_robustness(models, BOARD, settings("embedding", repeats=4), PointStore(tmp_path))
    good, bad = lines(found)
    assert good.wins
    assert not bad.wins
    assert "good has the highest recall@5" in verdicts(found)[0]
    assert "does not tell them apart" not in verdicts(found)[0]


def test_csv_has_a_row_for_each_draw_and_json_everything(tmp_path: Path) -> None:
    found, own = analysis(tmp_path), exports("GRCN", "BM3")
    rows = csv_text(found, own, ["a", "b"]).splitlines()
    assert len(rows) == 1 + 2 * 2 * 3 * 2  # exports, measures, levels, draws
    heads = rows[0].split(",")
    first = dict(zip(heads, rows[1].split(","), strict=True))
    assert (first["export"], first["model"], first["weights"], first["mode"]) == ("GRCN", "GRCN", "a", "relative")
    assert float(first["clean recall@5"]) == float(first["perturbed recall@5"])
    assert first["drop recall@5"] == "0.0"
    content = json.loads(json_text(found, own, ["a", "b"], ["the search s", "a file"]))
    assert [each["name"] for each in content["comparisons"]] == ["embedding", "mix"]
    level = content["comparisons"][1]["curves"][0]["levels"][1]
    assert level["altered"] == [12, 12]  # a fifth of 60 items
    assert level["edited"]["touched"]["users"] + level["edited"]["others"]["users"] > 0
    assert content["exports"][1]["weights"] == {"digest": "b", "source": "a file"}
