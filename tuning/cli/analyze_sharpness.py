"""`run_search.py analyze sharpness EXPORT.yaml ...`: how fast the training loss rises around the trained weights."""

from rich.console import Console
from rich.progress import Progress

from recmodels.errors import UserError, did_you_mean
from tuning.cli.analyze_landscape import SCOPES, add_fixed_arguments, check_least
from tuning.cli.arguments import Given, Parser
from tuning.reports.tables import say

DESCRIPTION = (
    "Measure how sharp the minima of exported configurations are, on the same batches and draws: rises of the training "
    "loss within a radius, gradient, eigenvalues and trace of the Hessian."
)
NAMES = (
    "gradient",
    "one_step",
    "batch",
    "max",
    "adaptive",
    "average",
    "average_each_weight",
    "power",
    "lanczos",
    "trace",
)


def add_arguments(parser: Parser) -> None:
    """Add the options of this kind."""
    add_fixed_arguments(parser)
    text = f"what is measured, with commas: {', '.join(NAMES)} (all)"
    parser.add_argument("--measures", metavar="NAMES", default=",".join(NAMES), help=text)
    text = f"weights that move, with commas: {', '.join(SCOPES)} (all,ids)"
    parser.add_argument("--scopes", metavar="NAMES", default="all,ids", help=text)


def main(given: Given, console: Console) -> None:
    """Measure the sharpness. UserError for bad input."""
    check_least(given)
    names, scopes = listed(given, "measures", NAMES), listed(given, "scopes", SCOPES)

    from recmodels.analysis import fixed_loss
    from recmodels.analysis.flatness import tasks
    from recmodels.files import write_whole
    from tuning.analyses.results import Results
    from tuning.analyses.sharpness import measure_sharpness
    from tuning.analyses.sharpness_figure import write_figure
    from tuning.analyses.sharpness_files import write_tables
    from tuning.analyses.sharpness_page import sharpness_page, side_by_side, verdict
    from tuning.cli.analyzed import analysis_folder, fixed_of, load_analyzed, publish, read_analyzed, show
    from tuning.pages.html import html_of

    subjects, data = read_analyzed(given)
    wanted, moved = tasks(names), [scope for scope in fixed_loss.SCOPES if scope in scopes]
    with analysis_folder(given, [subject.label for subject in subjects]) as folder:
        analyzed = load_analyzed(given, subjects, data, folder, console)
        with Progress(console=console) as progress:
            task = progress.add_task("sharpness", total=len(subjects) * len(scopes) * len(wanted))
            results, advance = Results(folder / "sharpness.jsonl"), lambda: progress.advance(task)
            sharpness = measure_sharpness(analyzed, fixed_of(given, analyzed), moved, wanted, results, advance)
        write_tables(folder, sharpness, analyzed)
        write_figure(folder / "sharpness", sharpness, analyzed)
        write_whole(folder / "sharpness.html", html_of(sharpness_page(sharpness, analyzed)))
        numbers, said = side_by_side(sharpness, analyzed), verdict(sharpness, analyzed)
        show(numbers, console)
        for line in sharpness.left_out:
            say(console, line)
        say(console, said)
        say(console, f"sharpness: {folder / 'sharpness.html'}; .png, .pdf, .json and .csv beside it")
        publish("sharpness", said, numbers, analyzed.origin, folder, console)


def listed(given: Given, name: str, known: tuple[str, ...]) -> list[str]:
    """Return the names of an option, each once. UserError for an unknown one, and for none."""
    names = list(dict.fromkeys(filter(None, (each.strip() for each in given[name].split(",")))))
    for each in names:
        if each not in known:
            raise UserError(f"--{name} {each}: expected some of {', '.join(known)}{did_you_mean(each, known)}")
    if not names:
        raise UserError(f"--{name}: expected some of {', '.join(known)}")
    return names
