"""Search from the command line: options -> SearchSpec -> search -> result and next steps on the terminal."""

import os
import re
import signal
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError, did_you_mean
from recmodels.models import MODELS
from recmodels.training import STRATEGIES
from tuning.cli.arguments import Given
from tuning.cli.datasets import download, load_data
from tuning.cli.objectives import check_pick, for_objectives, show_front
from tuning.cli.options import refuse_changes, with_options
from tuning.cli.records import (
    URI,
    check_experiment,
    check_records,
    from_environment,
    going_on,
    known_runs,
    records_line,
    resumed_line,
)
from tuning.cli.register import register_winner
from tuning.cli.report import LiveTableAndReport, say_report
from tuning.cli.warm import say_start, show_first, sources_of, warmed
from tuning.commandlines import next_steps, resume_command
from tuning.proposals import planned_trials
from tuning.records import SearchFolder, baseline
from tuning.reports.front import searched_lines
from tuning.reports.published import origin_line, published_lines
from tuning.reports.resolution import expected_resolution, measured_resolution
from tuning.reports.search_report import baseline_gain, below_popularity, best_table
from tuning.reports.stages import Place, stages_of, what_comes
from tuning.reports.tables import plain_columns, say, table
from tuning.search import Outcome, Search
from tuning.space import SECTIONS_OF_TUNE, Parameter
from tuning.space.catalogue import check_begins, known_pair, known_strategy, search_space
from tuning.space.parameter import read_parameter
from tuning.spec import SearchSpec


def new(given: Given, argv: Sequence[str], console: Console) -> int:
    """Start a search; return the exit code."""
    spec = new_spec(given)
    sources_of(spec, given)
    if "dry_run" in given:
        return dry_run(spec, given, console)
    folder = SearchFolder.of(spec)
    if folder.exists():
        raise UserError(f"--name {spec.name}: this search exists in {folder.path.parent}; --resume {spec.name} goes on")
    check_experiment(spec, given)
    comes = what_comes(stages_of([spec], 0, 0), [spec.strategy])
    say(
        console,
        f"search {spec.name}: {comes} of {spec.model}, {spec.strategy}, on {spec.dataset}; kept in {folder.path}",
    )
    download(given)
    data = load_data(spec.dataset, dict(spec))
    spec = warmed(spec, given, data)
    say(console, f"{data}\n{expected_resolution(data, spec.training.metric)}")
    say(console, records_line(spec, given))
    if spec.pair:
        say(console, origin_line(spec.pair))
    for line in searched_lines(spec):
        say(console, line)
    say_start(spec, console)
    return search(spec, data, argv, console)


def resume(root: Path, given: Given, argv: Sequence[str], console: Console) -> int:
    """Resume a search in the folder `root`; return the exit code."""
    name, path = given["resume"], root / given["resume"]
    place = {"name": path.name, "output_dir": str(path.parent)}  # the folder may be a copy under another name
    folder = SearchFolder(path.resolve())
    if not folder.exists():
        kinds = ("spec", "experiment", "comparison", "overview")
        known = {path.parent.name for kind in kinds for path in root.glob(f"*/{kind}.yaml")}
        raise UserError(f"--resume {name}: no such search in {root}{did_you_mean(name, known)}")
    refuse_changes(given, "by --resume, start a new search instead")
    spec = with_options(going_on(folder.spec(), given), {**given, **place})
    check_pick(spec, folder, given)
    check_records(spec, given, f"{folder.path / 'spec.yaml'}: tracking.uri")
    data = load_data(spec.dataset, dict(spec))
    say(console, resumed_line(spec, given))
    return search(spec, data, argv, console)


def search(spec: SearchSpec, data: RecDataset, argv: Sequence[str], console: Console) -> int:
    """Run the remaining trials of a search and print its result; return the exit code."""
    try:
        outcome = run_search(spec, data, argv, console)
    except KeyboardInterrupt:
        return interrupted(spec.name, spec.output_dir, console) if SearchFolder.of(spec).exists() else 130
    code = show(spec, outcome, console)
    return code or int(not register_winner(spec, outcome.winner, data, console))


def interrupted(name: str, output_dir: str, console: Console) -> int:
    """Say how an interrupted search or experiment goes on; return the exit code."""
    say(console, f"interrupted; go on with: {resume_command(name, output_dir)}")
    return 130


def run_search(
    spec: SearchSpec, data: RecDataset, argv: Sequence[str], console: Console, place: Place | None = None
) -> Outcome:
    """Run the remaining trials of a search, with a live table; SIGTERM ends it as Ctrl-C does.

    `place`: of the search in its experiment.
    """
    signal.signal(signal.SIGTERM, interrupt)
    every, most = spec.training.flatness_every, spec.training.max_epochs
    if every and every > most:
        say(console, f"--flatness-every {every} measures nothing in a trial of at most {most} epochs (--max-epochs)")
    if (rarely := spec.training.eval_every) >= most > 1:
        once = f"--eval-every {rarely} validates a trial of at most {most} epochs (--max-epochs) once, at its end"
        say(console, f"{once}: neither the scheduler nor --patience ends it earlier")
    live = LiveTableAndReport(planned_trials(spec), spec, console=console, place=place)
    outcome = Search(spec, data, live, ["run_search.py", *argv]).run()
    if outcome.winner and outcome.winner.reason and spec.role == "search":
        say(console, f"trial {outcome.winner.trial} is the best, {outcome.winner.reason}")
    return outcome


def interrupt(*_: object) -> None:
    """Do what Ctrl-C does, to Ray's handler of it where that is in place, also where a shell has Ctrl-C ignored: those
    of scripts do for commands in the background. Takes what a handler of signals gets."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        raise KeyboardInterrupt
    os.kill(os.getpid(), signal.SIGINT)


def show(spec: SearchSpec, outcome: Outcome, console: Console) -> int:
    """Print the result and the next steps of a search; return the exit code."""
    metric, winner = spec.training.metric, outcome.winner
    console.print(best_table(spec, outcome.records, outcome.popularity, outcome.tests))
    show_front(spec, outcome, console)
    for line in published_lines(spec, SearchFolder.of(spec).environment()):
        say(console, line)
    if told := measured_resolution(SearchFolder.of(spec), outcome.records, metric):
        say(console, told)
    if gain := baseline_gain(winner, baseline(outcome.records), metric, outcome.tests):
        say(console, gain)
    scores = {"valid": winner.valid, "test": outcome.tests.get(winner.trial, {})} if winner else {}
    if warning := below_popularity(scores, outcome.popularity, metric):
        say(console, warning)
    again = resume_command(spec.name, spec.output_dir)
    finished = {record.trial for record in outcome.records if record.status == "finished"}
    if finished - outcome.tests.keys():
        say(console, f"test metrics of trials that were not chosen are sealed; opened by: {again} --show-test")
    if lost := SearchFolder.of(spec).out_of_memory():
        say(console, f"out of memory, without a result: {', '.join(lost)}; tried again by: {again}")
    code = interrupted(spec.name, spec.output_dir, console) if outcome.interrupted else 0
    if outcome.export is None:
        failed = next((record.reason for record in outcome.records if record.status == "failed"), None)
        failed = failed or next(iter(lost.values()), None)
        rarely = (
            f"; --eval-every {every}: no trial came to a validation" if (every := spec.training.eval_every) > 1 else ""
        )
        say(console, "no trial has a result" + (f"; the first failed with: {failed}" if failed else rarely))
        return code or 1
    steps = next_steps(spec, outcome.export, known_runs(spec), outcome.records)
    say(console, "\n  ".join(["next:", *steps]) + f"\nbest configuration: {outcome.export}")
    say_report(SearchFolder.of(spec).report, spec, console)
    return code


def dry_run(spec: SearchSpec, given: Given, console: Console, strategies: Collection[str] = ()) -> int:
    """Print a search, its space and its first points, and start nothing. `strategies`: those that are compared."""
    if "warm_start" in given:
        spec = warmed(spec, given, load_data(spec.dataset, dict(spec)), strategies)
    print(spec.to_yaml(), end="")
    console.print(table(plain_columns("section", "parameter", "values", "from", left=4), spec.space.describe()))
    if spec.pair:
        say(console, origin_line(spec.pair))
    for line in searched_lines(spec):
        say(console, line)
    points = spec.space.grid_size()
    if spec.space.points:
        print(f"points: {points:,}, of which {planned_trials(spec):,} are tried, in their order")
    else:
        print(f"grid points: {'not finite, a parameter is continuous' if points is None else f'{points:,}'}")
    show_first(spec, console)
    say_start(spec, console)
    return 0


def new_spec(given: Given) -> SearchSpec:
    """Make the spec of a search from the options and the space files. UserError for one that is missing or wrong."""
    for needed in ("model", "dataset"):
        if needed not in given:
            raise UserError(f"--{needed}: missing, expected a name (see --list-{needed}s)")
    model, dataset = given["model"], given["dataset"]
    if model not in MODELS:
        raise UserError(f"--model: there is no model {model!r}{did_you_mean(model, MODELS)}")
    named = known_strategy(given["strategy"]) if "strategy" in given else None
    strategy, tune = what_to_tune(given.get("tune", "strategy"), named)
    if not MODELS[model].trains:  # no strategy changes anything
        strategy, tune = named or "plain", "base"
    space = search_space(
        model,
        strategy,
        dataset,
        tune=tune,
        space=given.get("space"),
        overrides=overrides(given),
        points=given.get("points"),
    )
    name = stamped(f"{model}-{dataset}-{strategy}", 80)
    records = from_environment(given)
    pair = known_pair(model, dataset)
    content = {"name": name, "strategy": strategy, "space": space, "pair": pair, "tracking": records}
    content |= for_objectives(given)
    if space.points:
        content["budget"] = {"trials": len(space.points)}
    spec = with_options(content, given)
    check_begins(space, strategy, spec.training.max_epochs)
    check_records(spec, given, URI if "uri" in records else "--tracking-uri")
    return spec


def overrides(given: Given) -> list[str | Parameter]:
    """Return the overrides of the space: of --optimizer, then of --set, which win."""
    names = [name.strip() for name in given.get("optimizer", "").split(",")]
    if names == [""]:
        return given.get("set", [])
    value = names[0] if len(names) == 1 else {"type": "categorical", "values": names}
    return [read_parameter("train", "optimizer", value, f"--optimizer {given['optimizer']}"), *given.get("set", [])]


def what_to_tune(tune: str, strategy: str | None) -> tuple[str, str]:
    """Return the strategy, and the part of the space that is searched. UserError.

    `tune`: the value of --tune. `strategy`: that of --strategy, None if it was not given.
    """
    if tune in SECTIONS_OF_TUNE:
        return strategy or ("plain" if tune == "base" else "mg"), tune
    if "+" not in tune and tune not in STRATEGIES:
        raise UserError(f"--tune: there is no {tune!r} to search{did_you_mean(tune, [*SECTIONS_OF_TUNE, *STRATEGIES])}")
    named = known_strategy(tune, "--tune")
    if strategy not in (None, named):
        raise UserError(f"--tune {tune}: expected the strategy that --strategy names, {strategy}")
    return named, "strategy"


def file_name(text: str) -> str:
    """Return the text as a file name: `-` stands for all but letters, digits and `._-`."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", text)


def stamped(text: str, length: int) -> str:
    """Return the text as a file name of at most `length` characters, followed by the local time."""
    return f"{file_name(text)[:length]}-{datetime.now():%Y%m%d-%H%M%S}"
