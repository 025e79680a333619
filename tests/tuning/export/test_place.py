"""Of two exports the better one stays, and whatever is kept or replaced is said."""

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from recmodels.errors import UserError
from tests.tuning.export.test_winner import TEST, WINNER, a_spec
from tests.tuning.factories import ENVIRONMENT, made_confirmation
from tuning.export import Export, export_best
from tuning.export.winner import check_export_dir
from tuning.records.folder import SearchFolder
from tuning.records.trials import TrialRecord
from tuning.spec import Training


class Ending:
    """The end of a search: where its winner was exported to, and what was said.

    `value`: of its winner; `seeds`: its mean on fresh seeds, if it was confirmed.
    """

    def __init__(
        self,
        root: Path,
        name: str,
        value: float,
        data: str = "f1n9e2aa77",
        place: str = "",
        seeds: float = 0,
        **fields: Any,
    ):
        metric = fields.get("training", Training()).metric
        self.spec = a_spec(name=name, export_dir=str(root / "best_configs"), **fields)
        self.folder = SearchFolder(root / "searches" / place / name)
        facts = replace(ENVIRONMENT.data, fingerprint=data)
        self.folder.write_environment(replace(ENVIRONMENT, data=facts))
        self.said: list[str] = []
        confirmation = made_confirmation(WINNER.trial, seeds, metric) if seeds else None
        self.path = export_best(self.spec, record(value, metric), TEST, self.folder, self.said.append, confirmation)

    @property
    def own(self) -> float:
        return value_in(self.folder.best)


def record(value: float, metric: str) -> TrialRecord:
    return replace(WINNER, valid={metric: value}, value=value)


def value_in(path: Path) -> float:
    export = Export.read(path)
    return export.metrics.valid[export.training.metric]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "best_configs" / "GRCN-tiktok-mg.yaml"


def test_the_last_search_to_end_replaces_no_better_export(tmp_path: Path, place: Path) -> None:
    assert Ending(tmp_path, "first", 0.4625).said == []
    second = Ending(tmp_path, "second", 0.375)
    assert (value_in(place), second.own, second.path) == (0.4625, 0.375, second.folder.best)
    assert second.said == [
        f"{place}: kept recall@20 0.4625 of the search first; recall@20 0.375 of the search second is worse, "
        "--export-anyway replaces it"
    ]


def test_a_better_export_replaces_and_both_values_are_said(tmp_path: Path, place: Path) -> None:
    Ending(tmp_path, "first", 0.375)
    second = Ending(tmp_path, "second", 0.4625, training=Training(seed=7, max_epochs=5))
    assert (value_in(place), second.path) == (0.4625, place)
    assert second.said == [
        f"{place}: recall@20 0.4625 of the search second replaces recall@20 0.375 of the search first"
    ]


def test_of_two_equal_exports_the_older_stays(tmp_path: Path, place: Path) -> None:
    Ending(tmp_path, "first", 0.375)
    (line,) = Ending(tmp_path, "second", 0.375).said
    assert Export.read(place).search.name == "first"
    assert "recall@20 0.375 of the search second is not better, --export-anyway" in line


def test_a_worse_export_replaces_where_that_is_wished(tmp_path: Path, place: Path) -> None:
    Ending(tmp_path, "first", 0.4625)
    second = Ending(tmp_path, "second", 0.375, export_anyway=True)
    assert (value_in(place), second.path) == (0.375, place)
    assert second.said == [
        f"{place}: recall@20 0.375 of the search second replaces recall@20 0.4625 of the search first"
    ]
    assert "export_anyway" not in second.spec.to_yaml()


@pytest.mark.parametrize("value", [0.5, 0.375])
def test_a_search_that_goes_on_replaces_its_own_export(tmp_path: Path, place: Path, value: float) -> None:
    """Also by a lower value: a trial that finishes takes the place of one that was cut short."""
    Ending(tmp_path, "first", 0.4625)
    assert Ending(tmp_path, "first", 0.4625).said == []
    again = Ending(tmp_path, "first", value)
    assert (value_in(place), again.own, again.path) == (value, value, place)
    assert len(again.said) == 1


def test_a_confirmed_export_stays_before_any_value_of_one_seed(tmp_path: Path, place: Path) -> None:
    Ending(tmp_path, "first", 0.375, seeds=0.25)
    second = Ending(tmp_path, "second", 0.4625)
    assert (Export.read(place).search.name, second.path) == ("first", second.folder.best)
    assert second.said == [
        f"{place}: kept recall@20 0.25 on 2 fresh seeds of the search first; recall@20 0.4625 of the search second is "
        "not confirmed, --export-anyway replaces it"
    ]


def test_of_confirmed_exports_the_larger_mean_stays(tmp_path: Path, place: Path) -> None:
    Ending(tmp_path, "first", 0.4625, seeds=0.25)
    worse = Ending(tmp_path, "second", 0.5, seeds=0.125)
    assert (Export.read(place).search.name, worse.path) == ("first", worse.folder.best)
    third = Ending(tmp_path, "third", 0.375, seeds=0.5)
    assert (Export.read(place).search.name, third.path) == ("third", place)
    assert third.said == [
        f"{place}: recall@20 0.5 on 2 fresh seeds of the search third replaces recall@20 0.25 on 2 fresh seeds of the "
        "search first"
    ]


def test_a_search_confirms_its_own_export_and_does_not_take_that_back(tmp_path: Path, place: Path) -> None:
    Ending(tmp_path, "first", 0.4625)
    Ending(tmp_path, "first", 0.375, seeds=0.25)
    assert Export.read(place).confirmation == made_confirmation(WINNER.trial, 0.25)
    extended = Ending(tmp_path, "first", 0.5)
    assert (Export.read(place).confirmation is None, extended.path) == (False, extended.folder.best)


def test_another_search_of_the_same_name_is_another(tmp_path: Path, place: Path) -> None:
    Ending(tmp_path, "first", 0.4625)
    Ending(tmp_path, "first", 0.375, place="elsewhere")
    assert value_in(place) == 0.4625


def test_a_search_that_goes_on_does_not_take_back_the_place_of_a_better_one(tmp_path: Path, place: Path) -> None:
    Ending(tmp_path, "first", 0.375)
    Ending(tmp_path, "second", 0.4625)
    first = Ending(tmp_path, "first", 0.4)
    assert (value_in(place), first.own) == (0.4625, 0.4)


@pytest.mark.parametrize(
    ("changes", "name", "differs"),
    [
        ({"training": Training(metric="ndcg@5")}, "GRCN-tiktok-mg-ndcg-5-f1n9e2aa.yaml", "metric"),
        ({"data": "0123456789"}, "GRCN-tiktok-mg-recall-20-01234567.yaml", "data set"),
    ],
)
def test_what_cannot_be_compared_has_its_own_file(
    tmp_path: Path, place: Path, changes: dict[str, Any], name: str, differs: str
) -> None:
    Ending(tmp_path, "first", 0.4625)
    second = Ending(tmp_path, "second", 0.1, **changes)
    assert second.path == place.with_name(name)
    assert (value_in(place), value_in(second.path)) == (0.4625, 0.1)
    assert second.said == [
        f"{place}: kept recall@20 0.4625 of the search first, of another {differs}; the new one goes beside it, "
        "--export-anyway replaces it"
    ]
    third = Ending(tmp_path, "third", 0.05, **changes)
    assert (third.path, value_in(second.path)) == (third.folder.best, 0.1)
    assert len(third.said) == 2
    assert Ending(tmp_path, "fourth", 0.2, **changes).path == second.path
    assert Ending(tmp_path, "fifth", 0.2, **changes, export_anyway=True).path == place


@pytest.mark.parametrize("content", ["", "my: notes\n", "model: [", "\0", "format: 2\n"])
def test_what_is_no_export_is_not_overwritten(tmp_path: Path, place: Path, content: str) -> None:
    place.parent.mkdir()
    place.write_text(content)
    first = Ending(tmp_path, "first", 0.4625, export_format="mmrec")
    assert (place.read_text(), first.own, first.path) == (content, 0.4625, first.folder.best)
    (line,) = first.said
    assert line.startswith(str(place))
    assert line.endswith("; it stays as it is, --export-anyway replaces it")
    assert [path.name for path in place.parent.glob("[!.]*")] == [place.name]
    second = Ending(tmp_path, "second", 0.4, export_anyway=True)
    assert (value_in(place), second.path) == (0.4, place)
    assert second.said[0].endswith("; it was replaced")


def test_an_export_without_the_value_it_was_chosen_by_is_not_overwritten(tmp_path: Path, place: Path) -> None:
    Ending(tmp_path, "first", 0.4625)
    damaged = place.read_text().replace("recall@20: 0.4625", "recall@10: 0.4625")
    place.write_text(damaged)
    (line,) = Ending(tmp_path, "second", 0.375).said
    assert place.read_text() == damaged
    assert line.startswith(f"{place}: metrics.valid: expected recall@20")


def test_a_folder_that_cannot_be_written_costs_a_line_and_no_result(tmp_path: Path, place: Path) -> None:
    place.parent.write_text("a file")
    first = Ending(tmp_path, "first", 0.4625)
    assert (first.own, first.path) == (0.4625, first.folder.best)
    (line,) = first.said
    assert line.startswith(f"{place}: cannot be written (")


@pytest.mark.parametrize("folder", ["notes.txt", "notes.txt/best"])
def test_a_file_in_the_place_of_the_folder_is_found_before_the_search(tmp_path: Path, folder: str) -> None:
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match=rf"^--export-dir .*{folder}: .*notes\.txt is not a folder to write to$"):
        check_export_dir(tmp_path / folder)
    check_export_dir(tmp_path / "new" / "folder")


def test_the_file_for_the_toolbox_is_of_the_export_beside_it(tmp_path: Path, place: Path) -> None:
    mmrec = place.with_name("GRCN-tiktok-mg-mmrec.yaml")
    Ending(tmp_path, "first", 0.4625)
    Ending(tmp_path, "second", 0.375, export_format="mmrec")
    assert "from the search first" in mmrec.read_text()
    Ending(tmp_path, "third", 0.5, export_format="mmrec")
    assert "from the search third" in mmrec.read_text()


def test_of_searches_that_end_together_the_best_one_stays(tmp_path: Path, place: Path) -> None:
    values = [0.1 + 0.01 * number for number in range(8)]
    ends = [threading.Thread(target=Ending, args=(tmp_path, f"s{value:.2f}", value)) for value in values]
    for end in ends:
        end.start()
    for end in ends:
        end.join()
    assert value_in(place) == max(values)
