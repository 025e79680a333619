"""The page of a folder, whatever it is of, and its file."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from recmodels.errors import UserError
from recmodels.files import write_whole
from tuning.experiments import Experiment
from tuning.pages.content import Page
from tuning.pages.experiment_page import experiment_page
from tuning.pages.html import html_of
from tuning.pages.search_page import search_page
from tuning.records import SearchFolder

FILE = "report.html"


def is_search(path: Path) -> bool:
    """Return whether a folder has a search."""
    return SearchFolder(path).exists()


PAGES: tuple[tuple[Callable[[Path], bool], Callable[[Path, bool], Page]], ...] = (
    (Experiment.is_in, experiment_page),
    (is_search, search_page),
)
"""What recognises a kind of folder, and what makes its page of the folder and of whether it runs now."""


def page_of(path: Path, running: bool = False) -> Page:
    """Return the page of a search or an experiment. UserError if the folder has neither, or a damaged file."""
    for recognises, page in PAGES:
        if recognises(path):
            return page(path, running)
    raise UserError(f"{path}: expected the folder of a search or an experiment")


def write_page(path: Path, output: Path | None = None, renewed: float | None = None) -> Path:
    """Write the page of a folder, whole, as report.html in it, or as `output`; return its file.

    `renewed`: it runs, and the page loads itself again after so many seconds. UserError as of `page_of`.
    """
    file = output or path / FILE
    write_whole(file, html_of(replace(page_of(path, renewed is not None), renewed=renewed)))
    return file
