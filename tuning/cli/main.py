"""The door: arguments -> SearchSpec -> search; prints what to do next. `python run_search.py --help`."""

import logging
import os
import signal
import sys
import warnings
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.logging import RichHandler
from rich.table import Table

from recmodels.errors import UserError, did_you_mean
from tuning.cli.arguments import name_options
from tuning.cli.datasets import check_data, directory, download, load, load_data
from tuning.cli.options import RESUMABLE, new_spec, option, parser, with_options
from tuning.spec import SearchSpec

# Heavy imports (torch, ray, mlflow) wait until an argument needs them: --help answers at once.
if TYPE_CHECKING:
    from recmodels.data.dataset import RecDataset
    from tuning.experiments.comparison import Comparison, Line
    from tuning.records.folder import SearchFolder
    from tuning.search import Outcome
    from tuning.space.layers import Space

COMMANDS = {
    "prepare": "make a data set folder from the public sources, or from tables of your own",
    "inspect": "what a data set holds",
    "recommend": "the top-N of an exported configuration, in the data's own ids",
}
MODES = ("resume", "replay", "list_models", "list_datasets", "list_strategies")


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code: 0 done, 1 no trial succeeded or a replay differs, 2 bad input, 130 interrupted."""
    argv = list(sys.argv[1:] if argv is None else argv)
    # Where nobody looks at a terminal a table need not fit into 80 columns.
    console = Console(width=None if sys.stdout.isatty() else 120)
    logger = logging.getLogger("mirrortune")
    logger.addHandler(RichHandler(console=console, show_time=False, show_path=False, show_level=False))
    logger.setLevel(logging.INFO)
    warnings.filterwarnings("ignore", module=r"(ray|optuna|mlflow)\b")
    try:
        if argv and argv[0] in COMMANDS:
            return run_command(argv[0], argv[1:], console)
        return run(parser().parse(argv), argv, console)
    except UserError as error:
        print(f"run_search.py: {name_options(str(error))}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("run_search.py: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # whoever reads, as `head`, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141


def run_command(name: str, argv: Sequence[str], console: Console) -> int:
    """The exit code; UserError for bad input."""
    import importlib

    code: int = importlib.import_module(f"tuning.cli.{name}").main(argv, console)
    return code


def run(given: dict[str, Any], argv: Sequence[str], console: Console) -> int:
    modes = [mode for mode in MODES if mode in given]
    if len(modes) > 1:
        raise UserError(f"{' and '.join(map(option, modes))}: expected one of them, not several")
    if "replay" in given:
        return replay_export(given, console)
    if "resume" in given:
        return resume_search(given, argv, console)
    if modes:
        return list_names(modes[0], given)
    if "compare" in given:
        return new_comparison(given, argv, console)
    for needless in given.keys() & {"controls", "seeds"}:
        raise UserError(f"{option(needless)}: only with --compare")
    return new_search(given, argv, console)


def list_names(mode: str, given: dict[str, Any]) -> int:
    from recmodels.data import known_datasets
    from recmodels.models import MODELS
    from recmodels.training import STRATEGIES

    names: dict[str, Collection[str]] = {
        "list_models": MODELS,
        "list_datasets": known_datasets(directory(given, "data_dir")),
        "list_strategies": STRATEGIES,
    }
    print("\n".join(sorted(names[mode])))
    return 0


def new_search(given: dict[str, Any], argv: Sequence[str], console: Console) -> int:
    from tuning.records.folder import SearchFolder
    from tuning.space.layers import Space

    spec = new_spec(given)
    if "dry_run" in given:
        return dry_run(spec, Space.from_data(spec.space), console)
    folder = SearchFolder((Path(given["output_dir"]) / spec.name).resolve())
    if folder.exists():
        raise UserError(f"--name {spec.name}: this search exists in {folder.path.parent}; --resume {spec.name} goes on")
    download(given)
    data = load(spec)
    console.print(f"{data}\nsearch {spec.name}: {spec.model}, {spec.strategy}", markup=False, highlight=False)
    return search(spec, folder, data, argv, console)


def resume_search(given: dict[str, Any], argv: Sequence[str], console: Console) -> int:
    from tuning.records.folder import SearchFolder

    root, name = Path(given["output_dir"]), given["resume"]
    if (root / name / "comparison.yaml").exists():
        return resume_comparison(root / name, given, argv, console)
    folder = SearchFolder((root / name).resolve())
    if not folder.exists():
        known = [path.parent.name for path in root.glob("*/spec.yaml")]
        raise UserError(f"--resume {name}: no such search in {root}{did_you_mean(name, known)}")
    for fixed in given.keys() - RESUMABLE - {"resume"}:
        raise UserError(f"{option(fixed)}: cannot be changed by --resume, start a new search instead")
    spec = with_options(folder.spec().model_dump(), given)
    data = load(spec)
    check_data(spec, folder, data)
    return search(spec, folder, data, argv, console)


def new_comparison(given: dict[str, Any], argv: Sequence[str], console: Console) -> int:
    from tuning.cli import options
    from tuning.space.layers import Space

    comparison = options.new_comparison(given)
    if "dry_run" in given:
        return max(dry_run(spec, Space.from_data(spec.space), console) for spec in comparison.searches)
    if comparison.folder.exists():
        raise UserError(
            f"--name {comparison.name}: it exists in {comparison.folder.parent}; --resume {comparison.name}"
        )
    download(given)
    return compare(comparison, argv, console)


def resume_comparison(folder: Path, given: dict[str, Any], argv: Sequence[str], console: Console) -> int:
    from tuning.experiments.comparison import Comparison

    comparison = Comparison.read(folder)
    for fixed in given.keys() - (RESUMABLE - {"trials", "time_budget", "epoch_budget", "pass_budget"}) - {"resume"}:
        raise UserError(f"{option(fixed)}: cannot be changed when a comparison goes on, start a new one instead")
    changed = [with_options(spec.model_dump(), given) for spec in comparison.searches]
    return compare(comparison.model_copy(update={"searches": changed}), argv, console)


def compare(comparison: "Comparison", argv: Sequence[str], console: Console) -> int:
    from tuning.execution.ray_tune.settings import prepare
    from tuning.experiments.comparison import run_comparison

    address = comparison.searches[0].resources.ray_address
    prepare(address)
    from tuning.execution.ray_tune.tuner import cluster

    data = load(comparison.searches[0])
    console.print(f"{data}\ncomparison {comparison.name}", markup=False, highlight=False)

    def run_one(spec: SearchSpec, folder: "SearchFolder") -> "Outcome":
        check_data(spec, folder, data)
        console.print(f"\n{spec.name}: {spec.model}, {spec.strategy}", markup=False, highlight=False)
        return run_session(spec, folder, data, argv, console)

    try:
        with cluster(address):
            lines = run_comparison(comparison, data, run_one)
    except KeyboardInterrupt:
        lines = None
    from tuning.reports.search_report import resume_command

    if lines is None:
        again = resume_command(comparison.name, comparison.searches[0].output_dir)
        console.print(f"interrupted; go on with: {again}", markup=False, soft_wrap=True)
        return 130
    return show_comparison(comparison, lines, console)


def show_comparison(comparison: "Comparison", lines: "list[Line]", console: Console) -> int:
    from tuning.experiments.comparison import folder_of
    from tuning.experiments.comparison_report import remarks, result_table, write_result

    popularity = folder_of(comparison.searches[0]).environment().get("popularity")
    write_result(comparison, lines, popularity)
    console.print(result_table(lines, popularity, comparison.metric))
    for remark in remarks(comparison, lines, popularity):
        console.print(remark, markup=False, highlight=False, soft_wrap=True)
    console.print(f"result: {comparison.folder / 'result.md'}", markup=False, highlight=False, soft_wrap=True)
    return 0 if any(line.tested for line in lines) else 1


def search(spec: SearchSpec, folder: "SearchFolder", data: "RecDataset", argv: Sequence[str], console: Console) -> int:
    from tuning.reports.search_report import resume_command

    try:
        outcome = run_session(spec, folder, data, argv, console)
    except KeyboardInterrupt:
        if folder.exists():
            again = resume_command(spec.name, spec.output_dir)
            console.print(f"interrupted; go on with: {again}", markup=False, soft_wrap=True)
        return 130
    return show(spec, outcome, console)


def run_session(
    spec: SearchSpec, folder: "SearchFolder", data: "RecDataset", argv: Sequence[str], console: Console
) -> "Outcome":
    from tuning.execution.ray_tune.settings import prepare
    from tuning.reports.live import LiveTable

    prepare(spec.resources.ray_address)
    from tuning.search import Session

    # A polite kill ends a search as Ctrl-C does.
    signal.signal(signal.SIGTERM, lambda *_: os.kill(os.getpid(), signal.SIGINT))
    table = LiveTable(planned(spec), spec.training.metric, knobs=searched(spec), console=console)
    return Session(spec, folder, data, table, ["run_search.py", *argv]).run()


def planned(spec: SearchSpec) -> int:
    """How many trials there will be: a grid may have fewer points than the budget would pay for."""
    from tuning.proposals.study import choose_sampler
    from tuning.space.layers import Space

    space, trials = Space.from_data(spec.space), spec.budget.trials
    grid = choose_sampler(space, trials, spec.sampler) == "grid" and not spec.repeat_seeds
    points = space.grid_size() if grid else None
    return min(trials, points or trials)


def searched(spec: SearchSpec) -> list[str]:
    """The parameters that get a column: Mirror Gradient's, and what is searched besides."""
    from tuning.reports.search_report import KNOBS
    from tuning.space.layers import Space

    space = Space.from_data(spec.space)
    dimensions = {name.partition("/")[0] for name, _ in space.dimensions}
    return [p.name for p in space.parameters if p.name in dimensions or (p.section == "strategy" and p.name in KNOBS)]


def show(spec: SearchSpec, outcome: "Outcome", console: Console) -> int:
    from tuning.records.selection import baseline
    from tuning.reports import search_report as report

    def line(text: str) -> None:
        console.print(text, markup=False, highlight=False, soft_wrap=True)

    metric = spec.training.metric
    console.print(report.best_table(outcome.records, metric, outcome.popularity))
    if gain := report.baseline_gain(outcome.winner, baseline(outcome.records), metric):
        line(gain)
    scores = outcome.winner.scores if outcome.winner else {}
    if warning := report.below_popularity(scores, outcome.popularity, metric):
        line(warning)
    if outcome.interrupted:
        line(f"interrupted; go on with: {report.resume_command(spec.name, spec.output_dir)}")
    if outcome.export is None:
        failed = next((record.reason for record in outcome.records if record.status == "failed"), None)
        line("no trial has a result" + (f"; the first failed with: {failed}" if failed else ""))
        return 130 if outcome.interrupted else 1
    line("next:")
    for step in report.next_steps(spec, outcome.export):
        line(f"  {step}")
    line(f"best configuration: {outcome.export}")
    return 130 if outcome.interrupted else 0


def dry_run(spec: SearchSpec, space: "Space", console: Console) -> int:
    print(spec.to_yaml(), end="")
    table = Table("section", "parameter", "values")
    for row in space.describe():
        table.add_row(*row)
    console.print(table)
    points = space.grid_size()
    print(f"grid points: {'not finite, a parameter is continuous' if points is None else f'{points:,}'}")
    return 0


def replay_export(given: dict[str, Any], console: Console) -> int:
    from tuning.export.replay import replay
    from tuning.export.winner import read_trainable
    from tuning.reports.search_report import below_popularity

    extra = given.keys() - {"replay", "data_dir", "cache_dir", "output_dir"}
    if extra:
        raise UserError(f"{option(min(extra))}: has no meaning with --replay, whose file says everything")
    export = read_trainable(given["replay"])
    data = load_data(export.dataset, given)
    if data.fingerprint != export.data_fingerprint:
        console.print(f"warning: {export.dataset} is not the data of the export; other metrics are to be expected")
    replayed = replay(export, data, console)
    popularity = export.popularity.model_dump() if export.popularity else None
    table = Table("metric", "exported", "replayed", *(["popularity"] if popularity else []))
    same = True
    for split, exported in export.metrics.model_dump().items():
        for name, value in exported.items():
            values = [value, replayed[split][name], *([popularity[split][name]] if popularity else [])]
            table.add_row(f"{split} {name}", *(f"{each:.6f}" for each in values))
            same = same and value == replayed[split][name]
    console.print(table)
    if warning := below_popularity(replayed, popularity, export.training.metric):
        console.print(warning, markup=False, highlight=False, soft_wrap=True)
    print("the metrics are the same, digit by digit" if same else "the metrics differ")
    return 0 if same else 1
