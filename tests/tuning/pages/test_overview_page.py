"""The page of an overview: the mean gain first, every pair in the table, failed ones with their reason."""

import json
from pathlib import Path

from tests.tuning.pages.factories import made_experiment
from tuning.experiments import Experiment
from tuning.overview import Overview, PlannedPair
from tuning.pages import page_of, write_page
from tuning.pages.content import Links, Notes, Table


def made_overview(searches: Path, fault: str | None = None) -> Path:
    """The folder of an overview of two pairs, of which one has a result."""
    made = made_experiment(searches, "o-LightGCN-demo", trials=4)
    experiment = Experiment.in_folder(made)
    specs = [
        spec.model_copy(update={"name": spec.name.replace("demo", "tiktok"), "dataset": "<b>tiktok</b>"})
        for spec in experiment.searches
    ]
    other = experiment.model_copy(update={"name": "o-LightGCN-tiktok", "searches": specs})
    pairs = [PlannedPair(options={}, experiment=each) for each in (experiment, other)]
    overview = Overview(name="o", options={}, pairs=pairs)
    overview.write()
    rows = [{"pair": "o-LightGCN-demo", "fault": None}] + [{"pair": "o-LightGCN-tiktok", "fault": fault}] * bool(fault)
    (overview.folder / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    return overview.folder


def test_the_mean_gain_comes_first_and_every_pair_is_in_the_table(tmp_path: Path) -> None:
    page = page_of(made_overview(tmp_path))
    assert page.verdict == "mg: mean gain +12.3 % in recall@20 over 1 of 2 pairs; better than plain in 1."
    table, notes = page.sections[0].parts
    assert isinstance(table, Table)
    assert isinstance(notes, Notes)
    assert table.headings[2].text == "demo recall@20"
    assert [row[1] for row in table.rows[:3]] == ["plain", "mg", "mg gain"]
    assert any("not run" in cell for cell in table.rows[0])
    assert any(line.startswith("Not run yet") for line in notes.lines)
    assert [figure.name for figure in page.figures] == ["gains"]
    (links,) = [part for section in page.sections for part in section.parts if isinstance(part, Links)]
    assert links.links == (("LightGCN on demo", "../o-LightGCN-demo/report.html"),)


def test_a_pair_that_failed_stands_in_it_with_its_reason(tmp_path: Path) -> None:
    page = page_of(made_overview(tmp_path, fault="the disk is full"))
    notes = page.sections[0].parts[1]
    assert isinstance(notes, Notes)
    assert any("the disk is full" in line for line in notes.lines)
    assert page.tiles[0].note == "1 failed"


def test_names_of_data_sets_are_text(tmp_path: Path) -> None:
    path = made_overview(tmp_path)
    write_page(path)
    assert "<b>tiktok" not in (path / "report.html").read_text()


def test_without_a_result_there_is_no_verdict(tmp_path: Path) -> None:
    path = made_overview(tmp_path)
    (tmp_path / "o-LightGCN-demo/result.json").unlink()
    page = page_of(path, running=True)
    assert page.verdict == "No verdict yet: 0 of 2 pairs have a result, and none of them a gain over plain."
    assert page.figures == []
