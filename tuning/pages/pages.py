"""The page of a folder, whatever it is of, and its file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from recmodels.errors import UserError
from recmodels.files import write_whole
from tuning.experiments import Experiment
from tuning.overview import Overview
from tuning.pages.content import Page
from tuning.pages.experiment_page import experiment_page
from tuning.pages.html import html_of
from tuning.pages.overview_page import overview_page
from tuning.pages.search_page import search_page
from tuning.records import SearchFolder


def is_search(path: Path) -> bool:
    """Return whether a folder has a search."""
    return SearchFolder(path).exists()


PAGES: tuple[tuple[Callable[[Path], bool], Callable[[Path, bool], Page]], ...] = (
    (Overview.is_in, overview_page),
    (Experiment.is_in, experiment_page),
    (is_search, search_page),
)
"""What recognises a kind of folder, and what makes its page of the folder and of whether it runs now."""


def page_of(path: Path, running: bool = False) -> Page:
    """Return the page of a search or an experiment. UserError if the folder has neither, or a damaged file.

    `running`: whether it runs now, which the folder's records do not say.
    """
    for recognises, page in PAGES:
        if recognises(path):
            return page(path, running)
    raise UserError(f"{path}: expected the folder of a search or an experiment")


def write_page(path: Path, output: Path | None = None, *, running: bool = False, renewed: float | None = None) -> None:
    """Write the page of a folder, whole, as report.html in it, or as `output`. UserError as of `page_of`.

    `renewed`: seconds after which the page loads itself again, if it does.
    """
    page = page_of(path, running)
    write_whole(output or SearchFolder(path).report, html_of(replace(page, renewed=renewed)))
