"""`run_search.py analyze flatness SEARCH ...`: whether the sharpness of trials predicts what noise costs them."""

import shlex
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from recmodels.errors import UserError
from tuning.cli.analyze_landscape import SCOPES, add_fixed_arguments, check_least
from tuning.cli.analyze_robustness import settings
from tuning.cli.analyze_sharpness import NAMES, listed
from tuning.cli.arguments import Given, Parser
from tuning.reports.tables import say

DESCRIPTION = (
    "Measure sharpness and robustness of all trials of searches whose best weights are kept, on the same batches and "
    "draws, and correlate them. Of an experiment its runs on fresh seeds are measured."
)
SHARPNESS = "adaptive,average,gradient,power,trace"
PLACES = ("searches", "output", "output_dir", "data_dir", "cache_dir")
"""Arguments that are no part of the command line in the results: names first, then folders of this machine."""


def add_arguments(parser: Parser) -> None:
    """Add the options of this kind."""
    add_fixed_arguments(parser, batches=1, first="trial")
    text = f"measures of sharpness, with commas: {', '.join(NAMES)} ({SHARPNESS})"
    parser.add_argument("--sharpness", metavar="NAMES", default=SHARPNESS, help=text)
    text = "weights that move: all (default), ids (the tables of users and items), without-features (trained features)"
    parser.add_argument("--scope", choices=SCOPES, default="all", help=text)
    text = (
        "perturbations, as of analyze robustness (embedding,mix,noise); the first that reaches a model is its main one"
    )
    parser.add_argument("--measures", metavar="NAMES", default="embedding,mix,noise", help=text)
    parser.add_argument("--levels", metavar="NUMBERS", default="0.5,1", help="of all perturbations (0.5,1)")
    parser.add_argument("--repeats", metavar="N", type=int, default=3, help="draws at each level (3)")
    parser.add_argument("--metric", metavar="NAME", help="whose drop is measured (that of the first search)")
    text = "on which noise is measured (valid); test: only for trials whose test metrics may be seen"
    parser.add_argument("--split", choices=("valid", "test"), default="valid", help=text)


def main(given: Given, console: Console) -> None:
    """Measure the trials. UserError for bad input."""
    check_least(given)
    names = listed(given, "sharpness", NAMES)

    from recmodels.files import write_whole
    from tuning.analyses.fixed import Fixed
    from tuning.analyses.flatness import Asked, measure_flatness, tasks_at_one_level
    from tuning.analyses.flatness_correlations import correlations
    from tuning.analyses.flatness_figure import write_figure
    from tuning.analyses.flatness_files import Flatness, write_tables
    from tuning.analyses.flatness_numbers import summaries
    from tuning.analyses.flatness_page import flatness_page, strategies_table
    from tuning.analyses.points import PointStore
    from tuning.analyses.results import Results
    from tuning.analyses.runs import read_runs
    from tuning.cli.analyzed import analysis_folder, publish, show
    from tuning.cli.datasets import load_data
    from tuning.execution.trial import fallback
    from tuning.pages.html import html_of
    from tuning.records.environment import DataFacts
    from tuning.spec import SearchSpec

    searches = Path(given.get("output_dir") or SearchSpec.model_fields["output_dir"].default)
    found = read_runs(given["searches"], searches)
    first = found.runs[0]
    noise = settings({"metric": first.spec.training.metric, **given})
    if noise.split == "test" and (sealed := [run.label for run in found.runs if not run.test]):
        raise UserError(f"--split test: the test metrics of {len(sealed)} trials are sealed: {', '.join(sealed)}")
    data = load_data(first.spec.dataset, {"data_dir": first.spec.data_dir, "cache_dir": first.spec.cache_dir} | given)
    if data.fingerprint != found.fingerprint:
        both = f"{found.fingerprint[:8]}, but got {data.fingerprint[:8]}"
        raise UserError(f"{data.name}: expected the data of the searches, {both}")
    for measure, _ in noise.measures:
        measure.check(data)
    own_size: int = first.plan.params["train"]["batch_size"]
    fixed = Fixed(given["batches"], given.get("batch_size", own_size), given["seed"])
    asked = Asked(fixed, given["scope"], tasks_at_one_level(names), noise)
    for line in filter(None, {fallback(run.plan.device) for run in found.runs}):
        say(console, line)
    with analysis_folder(given, found.origin.labels) as folder:
        with Progress(console=console) as progress:
            task = progress.add_task(f"{len(found.runs)} trials", total=len(found.runs) * asked.n_parts)
            results, points = Results(folder / "flatness.jsonl"), PointStore(folder / "points")
            rows = measure_flatness(found.runs, data, asked, results, points, lambda: progress.advance(task))
        own = correlations(asked, rows), summaries(asked, rows)
        facts = DataFacts.of(data)
        flatness = Flatness(asked, tuple(rows), tuple(own[0]), tuple(own[1]), found, facts, command(given))
        write_tables(folder, flatness)
        write_figure(folder / "flatness", flatness)
        write_whole(folder / "flatness.html", html_of(flatness_page(flatness)))
        numbers = strategies_table(flatness)
        show(strategies_table(flatness, short=True), console)
        for line in (*found.left_out, *flatness.verdicts):
            say(console, line)
        say(console, f"flatness: {folder / 'flatness.html'}; .md, .png, .pdf, .json and .csv beside it")
        publish("flatness", " ".join(flatness.verdicts), numbers, found.origin, folder, console)


def command(given: Given) -> str:
    """Return the command line that makes the analysis again, without the folders of this machine."""
    words = ["python", "run_search.py", "analyze", "flatness", *(Path(name).name for name in given["searches"])]
    for name, value in given.items():
        if name not in PLACES:
            words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)
