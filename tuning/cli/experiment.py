"""An experiment from the command line: a search with its reference and its confirmation, or --compare of several."""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from rich.console import Console

from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from tuning.cli import search
from tuning.cli.arguments import Given, refuse
from tuning.cli.datasets import download, load_data
from tuning.cli.new_experiments import new_experiment, warmed_experiment
from tuning.cli.objectives import check_pick, show_front
from tuning.cli.options import refuse_changes, with_options
from tuning.cli.records import check_experiment, check_records, going_on, known_runs, records_line, resumed_line
from tuning.cli.register import register_best
from tuning.cli.report import LiveTableAndReport, say_report, write_report
from tuning.cli.search import dry_run, interrupted, run_search
from tuning.cli.warm import say_start, sources_of
from tuning.commandlines import next_steps, resume_command
from tuning.execution.ray_tune.settings import prepare
from tuning.execution.trial import fallback
from tuning.experiments import Experiment, StrategyResult, conclude, read_results, run_experiment
from tuning.experiments.experiment_report import confirmed_table, remarks, result_table, verdicts, write_result
from tuning.experiments.runner import is_done, searches
from tuning.proposals import planned_trials
from tuning.records import SearchFolder
from tuning.reports.front import searched_lines
from tuning.reports.published import origin_line, published_figures
from tuning.reports.resolution import expected_resolution, measured_resolution
from tuning.reports.search_report import best_table
from tuning.reports.stages import place_of, stages_of, what_comes
from tuning.reports.tables import say
from tuning.search import Outcome, Search
from tuning.spec import SearchSpec


def new(given: Given, argv: Sequence[str], console: Console) -> int:
    """Start an experiment, or a search alone where nothing else is wanted; return the exit code."""
    if "compare" not in given:
        refuse(given, ("controls",), "only with --compare")
    experiment = new_experiment(given)
    if experiment is None:
        return search.new(given, argv, console)
    name, strategies = experiment.name, [spec.strategy for spec in experiment.searches]
    for spec in experiment.searches:
        sources_of(spec, given, strategies)
    if "dry_run" in given:
        return _dry_run(experiment, given, console)
    if experiment.folder.exists():
        raise UserError(f"--name {name}: it exists in {experiment.folder.parent}; --resume {name} goes on")
    if taken := next((folder for folder in experiment.search_folders() if folder.exists()), None):
        raise UserError(f"--name {name}: expected a name of which no other search is left, but {taken} exists")
    check_experiment(experiment.searches[0], given)
    download(given)
    if "warm_start" in given:
        experiment = warmed_experiment(experiment, given, load_data(given["dataset"], given))
    return run(experiment, argv, console, records_line(experiment.searches[0], given))


def resume(folder: Path, given: Given, argv: Sequence[str], console: Console) -> int:
    """Resume the experiment in a folder; return the exit code."""
    experiment = Experiment.in_folder(folder)
    refuse_changes(given, "when an experiment goes on, start a new one instead", budget=False)
    experiment = gone_on(experiment, folder, given)
    return run(experiment, argv, console, resumed_line(experiment.searches[0], given))


def gone_on(experiment: Experiment, folder: Path, given: Given) -> Experiment:
    """Return the experiment in a folder with what the options change. UserError for a bad value."""
    given = {**given, "output_dir": str(folder.parent)}
    changed = [with_options(going_on(spec, given), given) for spec in experiment.searches]
    for spec in changed:
        check_pick(spec, SearchFolder.of(spec), given, experiment.name)
    check_records(changed[0], given, f"{folder}: tracking.uri")
    return experiment.model_copy(update={"searches": changed})


def run(
    experiment: Experiment, argv: Sequence[str], console: Console, records: str, data: RecDataset | None = None
) -> int:
    """Run the remaining searches of an experiment and print its result; return the exit code.

    `records`: the line that says where their records go. `data`: the data set, if it is loaded already.
    """
    first = experiment.searches[0]
    stages = stages_of(experiment.searches, experiment.confirm.top, experiment.confirm.seeds)
    comes = what_comes(stages, [spec.strategy for spec in experiment.searches])
    whole = f"{comes}; kept in {experiment.folder.resolve()}, result: result.md there"
    say(console, f"experiment {experiment.name}: {first.model} on {first.dataset}, {whole}")
    address = prepare(first.resources.ray_address)
    from tuning.execution.ray_tune.cluster import cluster  # imports ray, which reads what `prepare` sets

    data = data or load_data(first.dataset, dict(first))
    say(console, f"{data}\n{expected_resolution(data, experiment.metric)}\n{records}")
    if first.pair:
        say(console, origin_line(first.pair))
    for line in searched_lines(first):
        say(console, line)
    for spec in experiment.searches:
        Search(spec, data)  # refuses what cannot run, before anything is written

    def run_one(spec: SearchSpec) -> bool:
        say(console, f"\n{spec.name}: {spec.model}, {spec.strategy}{_purpose(spec)}")
        say_start(spec, console)
        outcome = run_search(spec, data, argv, console, place_of(spec.name, stages, experiment.folder.parent))
        if spec.role == "search":
            console.print(best_table(spec, outcome.records, outcome.popularity, outcome.tests))
            show_front(spec, outcome, console)
            if told := measured_resolution(SearchFolder.of(spec), outcome.records, experiment.metric):
                say(console, told)
        return not outcome.interrupted

    with SearchFolder(experiment.folder.resolve()).locked():
        try:
            if not all(is_done(experiment, spec) for spec in searches(experiment)):
                with cluster(address, first, partial(say, console)):
                    complete = run_experiment(experiment, run_one)
            else:
                if first.objectives:  # another point of the front may have been picked
                    experiment.write()
                complete = True
        except KeyboardInterrupt:
            complete = False
        if not complete:
            return interrupted(experiment.name, first.output_dir, console)
        results = read_results(experiment, data)
        show(experiment, results, console)
        return end(experiment, results, data, console)


def show(experiment: Experiment, results: Sequence[StrategyResult], console: Console) -> None:
    """Print and write the result of an experiment."""
    devices = {record.device for result in results for record in result.tested}
    for line in filter(None, map(fallback, devices)):
        say(console, line)
    popularity = SearchFolder.of(experiment.searches[0]).popularity()
    write_result(experiment, results, popularity)
    if any(result.confirmed for result in results):
        console.print(confirmed_table(experiment, results))
    console.print(result_table(results, popularity, experiment.metric, published_figures(experiment.searches[0])))
    for remark in remarks(experiment, results, popularity):
        say(console, remark)


def end(experiment: Experiment, results: Sequence[StrategyResult], data: RecDataset, console: Console) -> int:
    """Export what was chosen, register it if that is wanted, and print the next steps and the verdicts; return the exit
    code."""
    outcomes = conclude(experiment, results, partial(_end, data, console))
    write_report(experiment.folder, experiment.searches[0], partial(say, console))
    _say_next(experiment, results, outcomes, console)
    registered = register_best(experiment, results, data, console)
    for sentence in verdicts(experiment, results):
        say(console, sentence)
    return 0 if registered and any(result.tested for result in results) else 1


def _purpose(spec: SearchSpec) -> str:
    if spec.role == "search":
        return ""
    points = max(1, len(spec.confirmed))
    which = f"{points} of its front" if spec.objectives else f"its best {points}"
    return f", {which} on {spec.budget.trials // points} fresh seeds"


def _dry_run(experiment: Experiment, given: Given, console: Console) -> int:
    """Print the searches of an experiment, and what comes before and after them."""
    strategies = [spec.strategy for spec in experiment.searches]
    for spec in experiment.searches:
        dry_run(spec, given, console, strategies)
        print()
    first, confirm = experiment.searches[0], experiment.confirm
    if experiment.on_base:
        print(f"the base of the other searches: the one that {first.name} finds")
    trials = sum(planned_trials(spec) for spec in experiment.searches)
    again = sum(min(confirm.top, planned_trials(spec)) * confirm.seeds for spec in experiment.searches)
    which = f"at most {confirm.top} of the front" if first.objectives else f"the best {confirm.top} of each search"
    how = f"{again} trainings, {which} on {confirm.seeds} fresh seeds"
    print(f"experiment {experiment.name}: {trials} trials in {len(experiment.searches)} searches")
    print(f"confirmation: {how if confirm.runs else 'none'}")
    return 0


def _end(data: RecDataset, console: Console, spec: SearchSpec) -> Outcome:
    return Search(spec, data, LiveTableAndReport(planned_trials(spec), spec, console=console)).conclude()


def _say_next(
    experiment: Experiment, results: Sequence[StrategyResult], outcomes: Mapping[str, Outcome], console: Console
) -> None:
    """Print the next steps, and where the configurations are."""
    exports = []
    for spec, result in zip(experiment.searches, results, strict=True):
        path = outcomes[result.strategy].export if result.strategy in outcomes else SearchFolder.of(spec).best
        if path and path.exists():
            exports.append((result.strategy, path))
    last = experiment.searches[-1]
    records = SearchFolder.of(last).ledger().values()
    steps = next_steps(last, exports[-1][1] if exports else None, known_runs(last), records, extend=False)
    if lost := [spec for spec in searches(experiment) if not is_done(experiment, spec)]:
        steps.append(resume_command(experiment.name, lost[0].output_dir))
        say(console, f"out of memory, without a result: trials of {', '.join(spec.name for spec in lost)}")
    say(console, "\n  ".join(["next:", *steps]))
    for strategy, path in exports:
        say(console, f"best configuration of {strategy}: {path}")
        if front := outcomes[strategy].front if strategy in outcomes else ():
            say(console, f"the points of its front, to be trained again: {', '.join(map(str, front))}")
    say(console, f"result: {experiment.folder / 'result.md'}")
    say_report(SearchFolder(experiment.folder).report, experiment.searches[0], console)
