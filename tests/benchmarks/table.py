"""Tables in Markdown that grow row by row, and the same rows in a file to keep."""

import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from recmodels.errors import UserError
from recmodels.files import write_whole
from tests.benchmarks.measure import Job

Measured = TypeVar("Measured")

MEANS = "geometric mean"
"""The name of the row below the models'."""


class Growing:
    """Prints each row as soon as it is measured, and keeps it in `output`, so that a run that is stopped has its rows.

    `about`: what the file says besides its rows. `failed`: whether a model did.
    """

    def __init__(self, columns: Sequence[str], jobs: Sequence[Job], about: Mapping[str, Any], output: Path | None):
        self.jobs, self.about, self.output, self.failed = jobs, about, output, False
        self.rows: list[Mapping[str, Any]] = []
        self.widths = [
            max(len(name) for name in (columns[0], MEANS, *(job.model for job in jobs))),
            *map(len, columns[1:]),
        ]
        self.line(columns)
        self.line(["-" * self.widths[0], *("-" * (width - 1) + ":" for width in self.widths[1:])])

    def each(self, measure: Callable[[Job], Measured | None]) -> Iterator[tuple[Job, Measured]]:
        """Measure one model after the other; those that fail are rows that say so."""
        for count, job in enumerate(self.jobs, start=1):
            print(f"{job.model}, {count} of {len(self.jobs)}", file=sys.stderr, flush=True)
            try:
                measured = measure(job)
            except RuntimeError as error:
                self.failed = True
                self.add([job.model, f"failed: {error}"], {"model": job.model, "failed": str(error)})
                continue
            if measured is None:
                print(f"{job.model} has nothing to train", file=sys.stderr)
            else:
                yield job, measured

    def add(self, cells: Sequence[str], row: Mapping[str, Any]) -> None:
        """Print a row and keep it."""
        self.line(cells)
        self.rows.append(row)
        if self.output:
            keep(self.output, self.about, self.rows)

    def line(self, cells: Sequence[str]) -> None:
        """Print a row that is not kept."""
        print(table_row(cells, self.widths), flush=True)


def table_row(texts: Sequence[str], widths: Sequence[int]) -> str:
    """A line of Markdown with the first cell flush left; a row may end early."""
    first, *others = texts
    padded = [first.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(others, widths[1:], strict=False))]
    return f"| {' | '.join(padded)} |"


def number(value: float) -> str:
    """Three digits, or more before the point."""
    return f"{value:,.0f}" if value >= 100 else f"{value:#.3g}"


def output_path(text: str) -> Path:
    """The path of a file to keep rows in. UserError for a name that does not end in .json, and for no folder."""
    path = Path(text)
    if path.suffix != ".json":
        raise UserError(f"--output {text}: expected a name that ends in .json")
    if not path.parent.is_dir():
        raise UserError(f"--output {text}: expected a folder {path.parent}, but there is none")
    return path


def keep(path: Path, about: Mapping[str, Any], rows: Sequence[Mapping[str, Any]]) -> None:
    """Write the rows so far, unrounded, with what they are `about`, as JSON."""
    write_whole(path, json.dumps({**about, "rows": rows}, indent=1) + "\n")
