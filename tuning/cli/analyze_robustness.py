"""`run_search.py analyze robustness EXPORT.yaml ...`: what is left of exported configurations under noise and edits."""

import shlex
from collections.abc import Callable
from contextlib import contextmanager
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress

from recmodels.errors import UserError
from recmodels.files import write_whole
from recmodels.metric import Metric
from tuning.cli.arguments import Given, Parser

if TYPE_CHECKING:  # they load torch
    from collections.abc import Iterator

    from tuning.analyses.robustness import Settings

DESCRIPTION = (
    "Measure what is left of the metrics of exported configurations under noise in their embeddings (the paper's "
    "table 4) and edits of the item features (table 5), on the same draws for all; the first export is the reference."
)
REPEATS, METRIC, SEED = 10, "recall@5", 999
KINDS = ("csv", "json", "html")


def add_arguments(parser: Parser) -> None:
    """Add the options of this kind."""
    parser.add_argument("--measures", metavar="NAMES", help="separated by commas; see docs/analysis.md")
    parser.add_argument("--levels", metavar="NUMBERS", help="of all measures, separated by commas (default: their own)")
    parser.add_argument("--repeats", metavar="N", type=int, help=f"draws at each level ({REPEATS})")
    parser.add_argument("--metric", metavar="NAME", help=f"whose drop is measured ({METRIC})")
    parser.add_argument("--split", choices=("valid", "test"), help="on which all is measured (test)")
    parser.add_argument(
        "--weights", metavar="FILE", type=Path, action="append", help="best-....safetensors, one for each export"
    )
    parser.add_argument("--seed", metavar="N", type=int, help=f"of all draws ({SEED})")
    parser.add_argument(
        "--drop", metavar="PERCENT", type=float, help="of the first export, at whose noise all are compared"
    )


def main(given: Given, console: Console) -> None:
    """Measure, print a table and write the files. UserError for bad input."""
    from tuning.analyses.points import PointStore
    from tuning.analyses.robustness import measure_robustness
    from tuning.analyses.robustness_words import columns, lines, verdicts
    from tuning.cli.analyzed import analysis_folder, load_analyzed, publish, read_analyzed
    from tuning.pages.content import Table
    from tuning.reports.tables import say, table

    made = settings(given)
    subjects, data = read_analyzed(given)
    for measure, _ in made.measures:
        measure.check(data)
    with analysis_folder(given, [subject.label for subject in subjects]) as folder:
        analyzed = load_analyzed(given, subjects, data, folder, console)
        models = [analyzed.trained(number) for number in range(len(subjects))]
        with progress(console, made.n_points * len(models)) as told:
            found = measure_robustness(models, data, made, PointStore(folder / "points"), told)
        exports = [subject.export for subject in subjects]
        digests = [own.digest[:16] for own in analyzed.weights]
        sources = [own.source for own in analyzed.weights]
        short, told_of = columns(made.metric), verdicts(found)
        groups = [list(group) for _, group in groupby(lines(found), key=lambda line: line.measure)]
        console.print(table(short, *groups))
        for line in told_of:
            say(console, line)
        files = _write(folder, found, exports, digests, sources, command(given))
        say(console, f"robustness: {', '.join(path.name for path in files)} in {folder}")
        numbers = Table.of("At one level of each measure.", short, *groups)
        publish("robustness", told_of[0], numbers, analyzed.origin, folder, console)


def settings(given: Given) -> "Settings":
    """Return what is to be measured. UserError, one line, for an option that is wrong."""
    from recmodels.analysis.drops import PAPERS_DROP
    from recmodels.analysis.measures import DEFAULT, measure
    from tuning.analyses.robustness import Settings

    names = [name.strip() for name in given["measures"].split(",")] if "measures" in given else list(DEFAULT)
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"--measures: {twice[0]} is given twice")
    try:
        measures = [measure(name) for name in names]
    except UserError as error:
        raise UserError(f"--measures: {error}") from None
    levels = _levels(given["levels"]) if "levels" in given else None
    for each in measures:
        if levels and levels[-1] > each.limit:
            raise UserError(f"--levels: expected at most {each.limit:g} for {each.name}, but got {levels[-1]:g}")
    repeats, target, seed = given.get("repeats", REPEATS), given.get("drop", PAPERS_DROP), given.get("seed", SEED)
    for option, value, right, expected in (
        ("--repeats", repeats, repeats >= 1, "at least 1"),
        ("--drop", target, 0 < target < 100, "more than 0 and less than 100 percent"),
        ("--seed", seed, 0 <= seed < 2**31, "a whole number from 0 to 2147483647"),
    ):
        if not right:
            raise UserError(f"{option}: expected {expected}, but got {value:g}")
    try:
        metric = Metric(given.get("metric", METRIC))
    except ValueError as error:
        raise UserError(f"--metric: {error}") from None
    chosen = tuple((each, levels or each.levels) for each in measures)
    return Settings(chosen, repeats, metric, given.get("split", "test"), seed, target)


def _levels(text: str) -> tuple[float, ...]:
    """Return the levels, ascending; 0, by which the others are measured, is always among them."""
    try:
        found = {float(part) for part in text.split(",")}
    except ValueError:
        found = {-1.0}
    if not all(0 <= level < float("inf") for level in found) or found == {0.0}:
        raise UserError(f"--levels: expected numbers above 0, separated by commas, but got {text!r}")
    return tuple(sorted({0.0, *found}))


@contextmanager
def progress(console: Console, total: int) -> "Iterator[Callable[[str], None]]":
    """Show a bar of the points; give what is told before each."""
    with Progress(console=console) as bar:
        task = bar.add_task("", total=total)
        begun = 0

        def told(what: str) -> None:
            nonlocal begun
            # The calibration tries levels that nobody could count before.
            bar.update(task, description=what, completed=begun, total=max(total, begun + 1))
            begun += 1

        yield told
        bar.update(task, description="measured", completed=begun, total=begun)


def command(given: Given) -> str:
    """Return the command line that makes the analysis again."""
    words = ["python", "run_search.py", "analyze", "robustness", *map(str, given["exports"])]
    for name, value in given.items():
        if name != "exports":
            for each in value if isinstance(value, list) else [value]:
                words += [f"--{name.replace('_', '-')}", str(each)]
    return shlex.join(words)


def _write(folder: Path, found: Any, exports: Any, digests: Any, sources: Any, again: str) -> list[Path]:
    from tuning.analyses.robustness_figure import write_figures
    from tuning.analyses.robustness_files import csv_text, json_text
    from tuning.analyses.robustness_page import robustness_page
    from tuning.pages.html import html_of

    stem = folder / "robustness"
    texts = (
        csv_text(found, exports, digests),
        json_text(found, exports, digests, sources),
        html_of(robustness_page(found, exports, sources, again)),
    )
    files = [stem.with_suffix(f".{kind}") for kind in KINDS]
    for path, text in zip(files, texts, strict=True):
        write_whole(path, text)
    return [*files, *write_figures(found, stem)]
