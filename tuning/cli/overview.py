"""An overview from the command line: an experiment for each of many pairs, one after the other in one Ray."""

from collections.abc import Sequence
from functools import partial
from importlib import import_module
from pathlib import Path

from rich.console import Console

from recmodels.data import is_prepared
from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from tuning.cli import experiment
from tuning.cli.arguments import Given
from tuning.cli.datasets import directory, download, load_data
from tuning.cli.new_experiments import warmed_experiment
from tuning.cli.new_overviews import grown, new_overview
from tuning.cli.options import OPTIONS
from tuning.cli.records import check_experiment, records_line
from tuning.cli.report import say_report, write_report
from tuning.cli.search import interrupted
from tuning.commandlines import resume_command
from tuning.execution.ray_tune.settings import prepare
from tuning.experiments import Experiment
from tuning.overview import Overview, OverviewTable, PlannedPair, read_table, run_overview, terminal_table, write_tables
from tuning.overview.remarks import remarks
from tuning.overview.runner import remaining_pairs, reopen
from tuning.proposals import planned_trials
from tuning.records import SearchFolder
from tuning.reports.tables import plain_columns, say, table
from tuning.spec import SearchSpec

OWN = ("pairs", "share_budget", "table_metrics")
"""Options of an overview that no search and no experiment has."""
AGAIN = {option.name for option in OPTIONS["records and results"] if option.resumable} - {"output_dir", "table_metrics"}
"""Options for which pairs that have ended are opened once more, as other things are shown or recorded of them."""


def new(given: Given, argv: Sequence[str], console: Console) -> int:
    """Start an overview; return the exit code."""
    overview = new_overview(given)
    if "dry_run" in given:
        return _dry_run(overview, console)
    if overview.folder.exists():
        raise UserError(f"--name {overview.name}: {overview.folder} exists, and it is no overview")
    _refuse_taken(overview.pairs)
    check_experiment(overview.pairs[0].experiment.searches[0], given)
    return run(overview, argv, console, again=False)


def go_on(folder: Path, given: Given, argv: Sequence[str], console: Console) -> int:
    """Go on with the overview in a folder, and with pairs that the options add to it; return the exit code."""
    before = Overview.in_folder(folder)
    overview = grown(before, given)
    if "dry_run" in given:
        return _dry_run(overview, console)
    _refuse_taken(overview.pairs[len(before.pairs) :])
    again = any(given[name] != before.options.get(name) for name in AGAIN & given.keys())
    return run(overview, argv, console, again)


def run(overview: Overview, argv: Sequence[str], console: Console, again: bool) -> int:
    """Run the remaining pairs of an overview and print its table; return the exit code, 1 if a pair failed.

    `again`: open those that have ended once more.
    """
    remaining = overview.pairs if again else remaining_pairs(overview)
    say(console, f"overview {overview.name}: {len(overview.pairs)} pairs, {len(remaining)} to run")
    for line in _not_prepared(remaining):
        say(console, line)

    def told(pair: PlannedPair) -> None:
        write_tables(overview, read_table(overview))

    with SearchFolder(overview.folder.resolve()).locked():
        complete = True
        if remaining:
            first = remaining[0].experiment.searches[0]
            address = prepare(first.resources.ray_address)
            from tuning.execution.ray_tune.cluster import cluster  # imports ray, which reads what `prepare` sets

            # Optuna keeps the frames that imported it first: those of a search would hold the first data for good.
            import_module("tuning.execution.ray_tune.tuner")
            run_pair = partial(_run_pair, argv, console)
            try:
                with cluster(address, first, partial(say, console)):
                    if again:
                        reopen(overview)
                    complete = run_overview(overview, _load, run_pair, told)
            except KeyboardInterrupt:
                complete = False
        overview.write()
        made = read_table(overview)
        write_tables(overview, made)
        spec = overview.pairs[0].experiment.searches[0]
        write_report(overview.folder, spec, partial(say, console))
    _show(overview, made, console)
    if not complete:
        return interrupted(overview.name, overview.output_dir, console)
    return _end(overview, made, console)


def _run_pair(argv: Sequence[str], console: Console, pair: PlannedPair, data: RecDataset) -> bool:
    """Start or resume the experiment of a pair; return False if the user interrupted it."""
    planned = pair.experiment
    say(console, f"\n{pair}")
    if Experiment.is_in(planned.folder):
        begun, now = Experiment.in_folder(planned.folder), {spec.name: spec for spec in planned.searches}
        searches = [now[spec.name].model_copy(update={"warm_start": spec.warm_start}) for spec in begun.searches]
        planned = begun.model_copy(update={"searches": searches})
    elif "warm_start" in pair.options:
        planned = warmed_experiment(planned, pair.options, data)
    line = records_line(planned.searches[0], pair.options)
    return experiment.run(planned, argv, console, line, data) != 130


def _load(pair: PlannedPair) -> RecDataset:
    """Load the data of a pair, prepared first if that is asked for."""
    spec = pair.experiment.searches[0]
    places = {name: getattr(spec, name) for name in ("data_dir", "cache_dir") if getattr(spec, name)}
    if "download" in pair.options:
        download({"dataset": pair.dataset, "download": True, **places})
    return load_data(pair.dataset, places)


def _show(overview: Overview, made: OverviewTable, console: Console) -> None:
    console.print()
    console.print(terminal_table(made))
    for remark in remarks(made):
        say(console, remark)
    files = ", ".join(f"overview.{kind}" for kind in ("md", "tex", "csv", "json"))
    say(console, f"table: {files} in {overview.folder}")
    say_report(SearchFolder(overview.folder).report, overview.pairs[0].experiment.searches[0], console)


def _end(overview: Overview, made: OverviewTable, console: Console) -> int:
    if made.failed:
        again = resume_command(overview.name, overview.output_dir)
        say(console, f"{len(made.failed)} of {len(made.states)} pairs failed; tried again by: {again}")
    return 1 if made.failed else 0


def _not_prepared(pairs: Sequence[PlannedPair]) -> list[str]:
    """Return a line for each data set that is not there yet, so that nobody finds out hours later."""
    missing: dict[str, list[str]] = {}
    for pair in pairs:
        spec = pair.experiment.searches[0]
        if "download" not in pair.options and not is_prepared(pair.dataset, directory(dict(spec), "data_dir")):
            missing.setdefault(pair.dataset, []).append(pair.model)
    return [
        f"{dataset}: not prepared yet; without it the pairs of {', '.join(models)} fail when their turn comes"
        for dataset, models in missing.items()
    ]


def _refuse_taken(pairs: Sequence[PlannedPair]) -> None:
    """Raise UserError that names the folders that other searches have."""
    folders = [folder for pair in pairs for folder in (pair.experiment.folder, *pair.experiment.search_folders())]
    if taken := [str(folder) for folder in folders if folder.exists()]:
        raise UserError(f"--name: expected a name of which no other search is left, but there are {', '.join(taken)}")


def _dry_run(overview: Overview, console: Console) -> int:
    """Print the pairs with their budgets and numbers of trainings, and start nothing."""
    rows, total, remaining = [], 0, {pair.name for pair in remaining_pairs(overview)}
    for group in overview.by_data(overview.pairs):
        for pair in group:
            made = pair.experiment
            trials = sum(map(planned_trials, made.searches))
            again = sum(min(made.confirm.top, planned_trials(spec)) * made.confirm.seeds for spec in made.searches)
            searches = "; ".join(f"{spec.strategy}: {_budget(spec)}" for spec in made.searches)
            state = "to run" if pair.name in remaining else "done"
            rows.append((pair.name, pair.model, pair.dataset, searches, state, trials, again))
            total += (trials + again) * (state == "to run")
    headings = ("name", "model", "data set", "searches", "", "trials", "confirmation")
    console.print(table(plain_columns(*headings, left=5), rows))
    say(console, f"overview {overview.name}: {len(rows)} pairs, at most {total} trainings to run")
    for line in _not_prepared(overview.pairs):
        say(console, line)
    return 0


def _budget(spec: SearchSpec) -> str:
    limits = [f"{planned_trials(spec)} trials"]
    limits += [f"{limit:g} {part}" for part, limit in dict(spec.budget).items() if part != "trials" and limit]
    return ", ".join(limits)
