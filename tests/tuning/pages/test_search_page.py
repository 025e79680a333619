"""The page of a search: in its order, at any time, with nothing that is sealed."""

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from recmodels.data import load_dataset
from recmodels.errors import UserError
from tests.tuning.factories import made_confirmation
from tests.tuning.pages.factories import SEALED, made_search, made_spec
from tuning.pages import origins, page_of, write_page
from tuning.pages.content import Figure, Listing, Notes, Page, Section, Table, Text
from tuning.records import SearchFolder
from tuning.records.environment import DataFacts

ORDER = (
    *("winner", "cost", "map", "values", "parallel", "importance", "curves", "seeds", "trials", "confirmed"),
    *("spec", "versions", "data", "commands"),
)


def section(page: Page, name: str) -> Section:
    return next(each for each in page.sections if each.name == name)


def words(page: Page) -> str:
    """All text of a page and of its figures."""
    return "\n".join(
        [page.verdict, *page.evidence, *map(str, page.tiles), *(text for s in page.sections for text in texts(s))]
    )


def texts(section: Section) -> Iterator[str]:
    for part in section.parts:
        if isinstance(part, Table):
            yield from (cell for row in part.rows for cell in row)
        elif isinstance(part, Figure):
            yield f"{part.title} {part.caption} {part.plot.to_json()}"
        elif isinstance(part, Text | Listing):
            yield part.text
        elif isinstance(part, Notes):
            yield from part.lines


def figures(page: Page) -> list[str]:
    return [figure.name for figure in page.figures]


def test_a_search_shows_everything_in_its_order(tmp_path: Path) -> None:
    page = page_of(made_search(made_spec(tmp_path, "s")))
    assert tuple(each.name for each in page.sections) == ORDER
    assert figures(page) == ["cost", "map", "values", "parallel", "importance", "curves"]
    assert all(figure.caption.endswith(".") for figure in page.figures)
    assert page.verdict.startswith("Best recall@20 on validation: 0.09464, of trial 0005; no verdict yet")
    assert "fresh seeds" in page.evidence[0]


def test_all_trials_are_in_the_table_with_those_that_run(tmp_path: Path) -> None:
    page = page_of(made_search(made_spec(tmp_path, "s"), trials=30, running=2), running=True)
    (table,) = section(page, "trials").parts
    assert isinstance(table, Table)
    assert table.sortable
    assert [row[0] for row in table.rows] == [*(f"{number:04}" for number in range(32)), "popularity"]
    assert table.rows[31][1] == "running"
    assert page.verdict.startswith("No verdict yet: the search is running")


def test_no_test_metric_is_seen_before_the_choice(tmp_path: Path) -> None:
    for name, changes in (("alone", {}), ("awaits", {"awaits_confirmation": True})):
        path = made_search(made_spec(tmp_path, name, **changes))
        assert str(SEALED) not in words(page_of(path))
        assert "sealed" in words(page_of(path))
    shown = made_search(made_spec(tmp_path, "shown", show_test=True))
    assert str(SEALED) in words(page_of(shown))


def test_a_confirmed_search_begins_with_its_sentence(tmp_path: Path) -> None:
    path = made_search(made_spec(tmp_path, "s", awaits_confirmation=True))
    SearchFolder(path).confirmation.write_text(made_confirmation("0004").to_yaml())
    page = page_of(path)
    assert page.verdict == "mg is not told apart from plain."
    assert section(page, "winner").title == "Winner: trial 0004"
    assert "seeds" in figures(page)
    rows = section(page, "trials").parts[0].rows  # type: ignore[union-attr]
    assert [row[0] for row in rows if row[-1].startswith("0.7531")] == ["0004"]  # chosen, and no other


def test_a_section_without_anything_to_show_says_why_in_a_sentence(tmp_path: Path) -> None:
    page = page_of(made_search(made_spec(tmp_path, "s"), trials=0))
    assert figures(page) == []
    for name in ORDER[:8]:
        (part,) = section(page, name).parts
        assert isinstance(part, Text)
        assert part.text.endswith(".")
    assert page.verdict == "No verdict: no trial has a score."


@pytest.mark.parametrize("statuses", [["failed"], ["pruned"]])
def test_a_search_in_which_nothing_finished_is_drawn_as_far_as_it_goes(tmp_path: Path, statuses: list[str]) -> None:
    page = page_of(made_search(made_spec(tmp_path, "s"), trials=5, statuses=statuses))  # type: ignore[arg-type]
    assert "map" in figures(page)
    assert {"parallel", "importance"}.isdisjoint(figures(page))
    assert "crosses failed" in section(page, "map").parts[0].caption  # type: ignore[union-attr]


@pytest.mark.parametrize(
    ("strategy", "title", "values"),
    [("sam", "Map of", True), ("ema", "Map of two knobs", False), ("plain", "Map of", True)],
)
def test_other_strategies_are_mapped_by_their_most_important_numbers(
    tmp_path: Path, strategy: str, title: str, values: bool
) -> None:
    page = page_of(made_search(made_spec(tmp_path, "s", strategy)))
    found = section(page, "map")
    assert found.title.startswith(title)
    assert ("map" in figures(page)) == (title == "Map of")
    assert "alpha" not in str(found.parts[0])
    if strategy == "ema":
        assert found.parts == (Text("A map needs two numeric knobs that are searched, but only decay is."),)


def test_a_confirmation_shows_its_runs_and_no_winner_among_them(tmp_path: Path) -> None:
    page = page_of(made_search(made_spec(tmp_path, "s-seeds", role="confirmation")))
    assert page.verdict == "Configurations on fresh seeds."
    assert [each.name for each in page.sections][:3] == ["cost", "curves", "trials"]
    assert str(SEALED) not in words(page)


def test_passwords_are_left_out(tmp_path: Path) -> None:
    uri = "https://me:secret-word@host/x"
    path = made_search(made_spec(tmp_path, "s", tracking={"uri": uri}))
    environment = SearchFolder(path).environment()
    assert environment is not None
    environment.starts[0].argv.extend(["--tracking-uri", uri])
    SearchFolder(path).write_environment(environment)
    assert "https://host/x" in words(page_of(path))
    assert "secret-word" not in words(page_of(path))


def test_the_data_card_says_when_the_data_are_others_now(tmp_path: Path) -> None:
    page = page_of(made_search(made_spec(tmp_path, "s")))  # of a made fingerprint
    assert Text("More is not known, as the data set of this name is another one now.") in section(page, "data").parts
    page = page_of(made_search(made_spec(tmp_path, "gone", dataset="gone")))
    assert any("the data set is not here now" in text for text in texts(section(page, "data")))


def test_the_data_card_reads_the_data_once_however_often_the_page_is_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = made_search(made_spec(tmp_path, "s"))
    environment = SearchFolder(path).environment()
    assert environment is not None
    here = replace(environment, data=DataFacts.of(load_dataset("demo")))
    SearchFolder(path).write_environment(here)
    card = section(page_of(path), "data")
    assert any(isinstance(part, Table) and part.caption == "Training interactions" for part in card.parts)
    monkeypatch.setattr(origins, "load_dataset", lambda *_: pytest.fail("it reads the data again"))
    assert section(page_of(path), "data") == card


def test_a_folder_that_was_copied_has_its_own_name_and_commands(tmp_path: Path) -> None:
    made_search(made_spec(tmp_path / "searches", "s"))
    shutil.copytree(tmp_path / "searches/s", tmp_path / "other/t")
    page = page_of(tmp_path / "other/t")
    assert "Search t" in page.subtitle
    commands = "\n".join(texts(section(page, "commands")))
    assert f"report t --output-dir {tmp_path / 'other'}" in commands


def test_the_file_is_whole_or_as_it_was(tmp_path: Path) -> None:
    path = made_search(made_spec(tmp_path, "s"))
    write_page(path)
    before = (path / "report.html").read_bytes()
    (path / "ledger.jsonl").write_text('{"format": 99}\n')
    with pytest.raises(UserError, match=r"ledger\.jsonl"):
        write_page(path)
    assert (path / "report.html").read_bytes() == before
    assert [each.name for each in path.glob("*report*")] == ["report.html"]


def test_a_folder_of_nothing_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected the folder of a search or an experiment"):
        page_of(tmp_path)
