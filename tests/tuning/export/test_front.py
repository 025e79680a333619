"""Each point of a front has a file of its own, and none stays behind."""

from dataclasses import replace
from pathlib import Path

from tests.tuning.export.test_winner import TEST, WINNER, a_spec
from tests.tuning.factories import ENVIRONMENT
from tuning.export import Export, export_best, export_name, read_trainable
from tuning.export.front import export_front, front_file
from tuning.records.folder import SearchFolder
from tuning.records.trials import TrialRecord

NAMES = ("recall@20", "robustness")


def point(trial: str, value: float, robustness: float) -> TrialRecord:
    measured = {"robustness": robustness}
    return replace(WINNER, trial=trial, value=value, valid={"recall@20": value}, measured=measured)


A, B, C = point("0001", 0.25, 0.5), point("0002", 0.5, 0.25), point("0003", 0.1, 0.1)


def test_the_points_are_exported_and_those_that_left_the_front_removed(tmp_path: Path) -> None:
    spec = a_spec(objectives=NAMES, scheduler={"name": "none"}, export_dir=str(tmp_path / "best"))
    folder, said = SearchFolder(tmp_path / "s"), list[str]()
    folder.write_environment(ENVIRONMENT)
    files = export_front(spec, [A, C], {}, folder, said.append)
    assert files == (tmp_path / "best" / "s-front-0001.yaml",)

    files = export_front(spec, [A, B, C], {"0002": TEST}, folder, said.append)
    assert [path.name for path in files] == ["s-front-0002.yaml", "s-front-0001.yaml"]
    first, second = map(Export.read, files)
    assert first.objectives == {"recall@20": 0.5, "robustness": 0.25}
    assert (first.metrics.test, second.metrics.test) == (TEST, {})  # that of the second is sealed
    assert read_trainable(files[1]).parameters == WINNER.params
    assert "A point of the front of the search s" in files[0].read_text()

    other = front_file(spec, "0009")
    other.write_text("notes of somebody else")
    better = point("0004", 0.9, 0.9)
    assert [path.name for path in export_front(spec, [A, B, better], {}, folder, said.append)] == ["s-front-0004.yaml"]
    assert sorted(path.name for path in (tmp_path / "best").iterdir()) == ["s-front-0004.yaml", other.name]
    assert said == []


def test_a_file_of_something_else_stays(tmp_path: Path) -> None:
    spec = a_spec(objectives=NAMES, scheduler={"name": "none"}, export_dir=str(tmp_path))
    folder, said = SearchFolder(tmp_path / "s"), list[str]()
    folder.write_environment(ENVIRONMENT)
    path = front_file(spec, "0001")
    path.write_text("mine")
    assert export_front(spec, [A], {}, folder, said.append) == ()
    assert path.read_text() == "mine"
    (line,) = said
    assert line.startswith(f"{path}: kept, as it is no export of the search s")


def test_winners_of_other_objectives_have_other_files(tmp_path: Path) -> None:
    spec = a_spec(objectives=NAMES, scheduler={"name": "none"}, export_dir=str(tmp_path / "best"))
    assert (export_name(spec), export_name(a_spec())) == ("GRCN-tiktok-mg-robustness.yaml", "GRCN-tiktok-mg.yaml")
    folder = SearchFolder(tmp_path / "s")
    folder.write_environment(ENVIRONMENT)
    assert Export.read(export_best(spec, A, TEST, folder)).objectives == {"recall@20": 0.25, "robustness": 0.5}
