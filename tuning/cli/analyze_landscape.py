"""`run_search.py analyze landscape EXPORT.yaml ...`: the training loss on planes through the trained weights."""

from rich.console import Console
from rich.progress import Progress

from recmodels.errors import UserError
from tuning.cli.arguments import Given, Parser, flag
from tuning.reports.tables import say

DESCRIPTION = (
    "Draw the training loss of exported configurations on the same random planes through their trained weights, and on "
    "the lines between the first one's minimum and the others."
)
SCOPES, NORMALISATIONS = ("all", "ids", "without-features"), ("row", "layer", "raw")
REACH = {"row": 1.0, "layer": 1.0, "raw": 100.0}
"""Normalisation -> largest m and n."""


def add_fixed_arguments(parser: Parser, batches: int = 10, first: str = "export") -> None:
    """Add the options of the loss that is analysed. `first`: whose batch size is the default."""
    text = f"training batches, the same for all ({batches})"
    parser.add_argument("--batches", metavar="N", type=int, default=batches, help=text)
    parser.add_argument("--batch-size", metavar="N", type=int, help=f"of these batches (that of the first {first})")
    parser.add_argument("--seed", metavar="N", type=int, default=999, help="of batches, draws and directions (999)")


def check_least(given: Given, **least: int) -> None:
    """Raise UserError for a number below the least one that its option may have."""
    for name, lowest in {"batches": 1, "batch_size": 1, "seed": 0, **least}.items():
        if given.get(name, lowest) < lowest:
            raise UserError(f"{flag(name)}: expected at least {lowest}, but got {given[name]}")


def add_arguments(parser: Parser) -> None:
    """Add the options of this kind."""
    add_fixed_arguments(parser)
    parser.add_argument("--points", metavar="N", type=int, default=21, help="of each axis (21; the paper has 20)")
    parser.add_argument("--pairs", metavar="N", type=int, default=3, help="pairs of directions, a plane each (3)")
    text = "length of directions: row (default) by row as the weights, layer by layer, or raw"
    parser.add_argument("--directions", choices=NORMALISATIONS, default="row", help=text)
    parser.add_argument("--reach", metavar="X", type=float, help="largest m and n (1; raw: 100)")
    text = "weights that move: all (default), ids (the tables of users and items), without-features (trained features)"
    parser.add_argument("--scope", choices=SCOPES, default="all", help=text)


def main(given: Given, console: Console) -> None:
    """Draw the landscapes. UserError for bad input."""
    check_least(given, pairs=1, points=2)
    reach = given.get("reach", REACH[given["directions"]])
    if not 0 < reach < float("inf"):
        raise UserError(f"--reach: expected more than 0, but got {reach:g}")

    from recmodels.files import write_whole
    from tuning.analyses.landscape import Planes, count_parts, draw_landscape
    from tuning.analyses.landscape_figure import write_figure
    from tuning.analyses.landscape_files import write_tables
    from tuning.analyses.landscape_page import landscape_page, numbers_table, verdict
    from tuning.analyses.results import Results
    from tuning.cli.analyzed import analysis_folder, fixed_of, load_analyzed, publish, read_analyzed, show
    from tuning.pages.html import html_of

    subjects, data = read_analyzed(given)
    planes = Planes(given["scope"], given["directions"], given["pairs"], given["points"], reach)
    with analysis_folder(given, [subject.label for subject in subjects]) as folder:
        analyzed = load_analyzed(given, subjects, data, folder, console)
        fixed = fixed_of(given, analyzed)
        with Progress(console=console) as progress:
            task = progress.add_task("landscape", total=count_parts(analyzed, planes))
            results = Results(folder / "landscape.jsonl")
            landscape = draw_landscape(analyzed, fixed, planes, results, lambda: progress.advance(task))
        write_tables(folder, landscape, analyzed)
        write_figure(folder / "landscape", landscape, analyzed)
        write_whole(folder / "landscape.html", html_of(landscape_page(landscape, analyzed)))
        numbers, said = numbers_table(landscape, analyzed, short=True), verdict(landscape, analyzed)
        show(numbers, console)
        for line in landscape.lines:
            if line.reason:
                first, other = subjects[0].label, subjects[line.number].label
                say(console, f"no line from {first} to {other}: {line.reason}")
        say(console, said)
        say(console, f"landscape: {folder / 'landscape.html'}; .png, .pdf, .json and .csv beside it")
        publish("landscape", said, numbers, analyzed.origin, folder, console)
