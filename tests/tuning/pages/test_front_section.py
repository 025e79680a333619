"""The front on a page: all trials, the front, what was picked, and the means over fresh seeds."""

from dataclasses import replace
from pathlib import Path

from tests.tuning.factories import made_confirmation
from tests.tuning.pages.factories import SEALED, made_search, made_spec
from tests.tuning.pages.test_search_page import section, texts
from tuning.pages import page_of
from tuning.pages.content import Figure
from tuning.records import SearchFolder, Spread
from tuning.records.confirmation import FrontPoint
from tuning.records.front import front_of

NAMES = ("recall@20", "robustness")


def made_front(tmp_path: Path, names: tuple[str, ...] = NAMES) -> SearchFolder:
    """A search of six trials, the last of which failed; robustness falls while the metric rises."""
    spec = made_spec(tmp_path, "s", objectives=names, scheduler={"name": "none"})
    folder = SearchFolder(made_search(spec, trials=6, statuses=[*["finished"] * 5, "failed"]))
    records = list(folder.ledger().values())
    (folder.path / "ledger.jsonl").unlink()
    for number, record in enumerate(records):
        measured = {"robustness": 0.5 - 0.01 * number, "sharpness": 0.1 + number}
        folder.append_record(replace(record, measured=measured, measured_seconds=1.0))
    return folder


def test_the_page_draws_all_trials_the_front_and_the_pick(tmp_path: Path) -> None:
    folder = made_front(tmp_path)
    front = front_of(NAMES, folder.ledger().values())
    assert len(front.points) == 5
    shown = section(page_of(folder.path), "front")
    figure = next(part for part in shown.parts if isinstance(part, Figure))
    every, line, picked = figure.plot.data
    assert (len(every.x), every.name, line.mode) == (5, "all trials", "lines+markers")
    assert sorted(zip(line.x, line.y, strict=True)) == sorted(
        (each.measured["robustness"], each.value) for each in front.points
    )
    assert picked.name == f"picked: {front.picked('knee').trial}"  # type: ignore[union-attr]
    said = "\n".join(texts(shown))
    assert "not compared: 0005 (failed: the loss became nan" in said
    assert "No point of the front has been trained on fresh seeds" in said
    assert str(SEALED) not in said


def test_of_three_objectives_there_is_a_figure_for_each_behind_the_first(tmp_path: Path) -> None:
    page = page_of(made_front(tmp_path, ("recall@20", "robustness", "sharpness")).path)
    assert [figure.name for figure in page.figures][:2] == ["front-robustness", "front-sharpness"]
    assert {trace.mode for figure in page.figures[:2] for trace in figure.plot.data} == {"markers"}


def test_the_means_of_confirmed_points_have_their_intervals(tmp_path: Path) -> None:
    folder = made_front(tmp_path)
    spread = Spread(values=(0.4, 0.6), mean=0.5, deviation=0.1, low=0.25, high=0.75)
    points = (
        FrontPoint(trial="0004", values=dict.fromkeys(NAMES, spread), stays=True, alike=("0000",)),
        FrontPoint(trial="0000", values={}, stays=False),
    )
    confirmed = made_confirmation("0004").model_copy(update={"front": points})
    folder.confirmation.write_text(confirmed.to_yaml())
    shown = section(page_of(folder.path), "front")
    means = next(part for part in shown.parts if isinstance(part, Figure)).plot.data[-1]
    assert (list(means.x), list(means.y), list(means.error_y.array)) == ([0.5], [0.5], [0.25])
    assert means.text == ("0004, on the front of the means",)
    assert "0.5 ± 0.1" in "\n".join(texts(shown))


def test_a_search_by_its_metric_has_no_such_section(tmp_path: Path) -> None:
    page = page_of(made_search(made_spec(tmp_path, "s"), trials=3))
    assert "front" not in [each.name for each in page.sections]
