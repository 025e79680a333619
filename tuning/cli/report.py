"""`run_search.py report NAME`: write the results of a search or an experiment as a page to look at.

A search writes it by itself at its end. Plotly, Optuna and the templates are loaded when a page is made.
"""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console

from recmodels.errors import UserError, did_you_mean
from tuning.cli.arguments import Given, Parser
from tuning.cli.options import seconds
from tuning.records import SearchFolder
from tuning.records.holder import is_held
from tuning.reports.live import LiveTable
from tuning.reports.tables import say
from tuning.spec import SearchSpec

DESCRIPTION = (
    "Write the results of a search or an experiment, running or ended, as one HTML file that needs no network: the "
    "verdict, figures, all trials, and the commands to repeat it."
)
KINDS = ("spec", "experiment", "comparison", "overview")
"""Files, one of which a folder with a page has."""
LOCK = ".lock"
"""The file that who runs a search or an experiment holds."""
INTERVAL = 30.0
"""Seconds between two looks of --watch."""


class LiveTableAndReport(LiveTable):
    """The live table of a search that makes its page as well, once its result is known."""

    def __init__(self, total: int, spec: SearchSpec, **options: Any):
        super().__init__(total, spec, **options)
        self._spec = spec

    def concluded(self, folder: SearchFolder) -> None:
        waits = self._spec.awaits_confirmation and not folder.confirmation.exists()  # it is concluded once more
        if self._spec.role == "search" and not waits:
            write_report(folder.path, self._spec, self.say)


def write_report(path: Path, spec: SearchSpec, say_line: Callable[[str], None]) -> None:
    """Write the page of a folder at the end of a search; a page that cannot be made is one line and no end of it."""
    if spec.no_report:
        return
    from tuning.pages import write_page

    try:
        write_page(path)
    except Exception as error:  # whatever it is, the result of hours must not wait for its picture
        cause = " ".join(str(error).split()) or type(error).__name__
        say_line(f"report: {SearchFolder(path).report.name} was not made: {cause}")


def say_report(file: Path, spec: SearchSpec, console: Console) -> None:
    """Say where the page is, if there is one."""
    if file.exists() and not spec.no_report:
        say(console, f"report: {file}")


def main(argv: Sequence[str], console: Console) -> None:
    """Write the page. UserError for an unknown name and a damaged folder."""
    given = parser().parse(argv)
    path = folder_of(given)
    output = Path(given["output"]) if "output" in given else SearchFolder(path).report
    if given.get("interval", INTERVAL) <= 0:
        raise UserError(f"--interval: expected more than 0 s, but got {given['interval']:g}")
    if "interval" in given and "watch" not in given:
        raise UserError("--interval: only with --watch")
    if output.is_dir() or not output.resolve().parent.is_dir():
        raise UserError(f"--output {output}: expected the name of a file in a folder that exists")
    try:
        if "watch" in given:
            watch(path, output, given.get("interval", INTERVAL), console)
        else:
            from tuning.pages import write_page

            write_page(path, output, running=is_held(path / LOCK))
    except OSError as error:
        raise UserError(f"--output {output}: cannot be written ({error.strerror or error})") from None
    say(console, f"report: {output}")


def parser() -> Parser:
    """Return the parser of the command's arguments."""
    parser = Parser("report", DESCRIPTION)
    parser.add_argument("name", metavar="NAME", help="of a search or an experiment")
    default = SearchSpec.model_fields["output_dir"].default
    parser.add_argument("--output-dir", metavar="DIR", help=f"folder that holds the folders of searches ({default})")
    parser.add_argument("--output", metavar="FILE", help="where the page goes (report.html in the folder of NAME)")
    parser.add_argument("--watch", action="store_true", help="renew the page while the search runs, until it ends")
    parser.add_argument(
        "--interval", metavar="TIME", type=seconds, help=f"between two looks of --watch ({INTERVAL:g}s)"
    )
    return parser


def folder_of(given: Given) -> Path:
    """Return the folder of NAME. UserError, with the nearest right name, if there is no such search or experiment."""
    root = Path(given.get("output_dir", SearchSpec.model_fields["output_dir"].default))
    path = root / given["name"]
    if not any((path / f"{kind}.yaml").exists() for kind in KINDS):
        known = {found.parent.name for kind in KINDS for found in root.glob(f"*/{kind}.yaml")}
        raise UserError(f"{given['name']}: no such search in {root}{did_you_mean(given['name'], known)}")
    return path


def watch(path: Path, output: Path, interval: float, console: Console) -> None:
    """Write the page now and whenever the folder has changed, until the search has ended or the user interrupts."""
    from tuning.pages import write_page

    seen = None
    try:
        while is_held(path / LOCK):
            if (found := traces(path)) != seen:
                write_page(path, output, running=True, renewed=interval)
                if seen is None:
                    say(console, f"report: {output}, renewed every {interval:g} s; Ctrl-C ends that, not the search")
                seen = found
            time.sleep(interval)
    except KeyboardInterrupt:
        pass
    write_page(path, output, running=is_held(path / LOCK))  # the last one no longer loads itself again


def traces(path: Path) -> frozenset[tuple[str, int, int]]:
    """Return name, time and size of all records of a folder and of those that belong to it, which bear its name."""
    found = set()
    for folder in [path, *path.parent.glob(f"{path.name}-*")]:
        for pattern in ("*.yaml", "*.json*", "trials/*/epochs.jsonl"):
            for file in folder.glob(pattern):
                state = file.stat()
                found.add((str(file), state.st_mtime_ns, state.st_size))
    return frozenset(found)
