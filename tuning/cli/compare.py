"""Compare strategies from the command line: --compare, and --resume of a comparison."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from pydantic import ValidationError
from rich.console import Console

from recmodels.errors import UserError
from recmodels.training.strategies.names import CONTROLS, knobs
from tuning.cli.arguments import Given, refuse
from tuning.cli.datasets import download, load_data
from tuning.cli.options import refuse_changes, with_options
from tuning.cli.records import check_experiment, check_records, going_on, records_line, resumed_line
from tuning.cli.search import dry_run, file_name, interrupted, new_spec, run_search, stamped
from tuning.cli.warm import say_start, sources_of, warmed
from tuning.execution.ray_tune.settings import prepare
from tuning.execution.trial import fallback
from tuning.experiments import REFERENCE, Comparison, StrategyResult, read_results, run_comparison
from tuning.experiments.comparison_report import remarks, result_table, write_result
from tuning.records import SearchFolder
from tuning.reports.published import origin_line, published_figures
from tuning.reports.resolution import expected_resolution
from tuning.reports.tables import say
from tuning.space import SECTIONS_OF_TUNE
from tuning.space.catalogue import known_strategy
from tuning.spec import SearchSpec, first_fault


def new(given: Given, argv: Sequence[str], console: Console) -> int:
    """Start a comparison; return the exit code."""
    comparison = new_comparison(given)
    name, strategies = comparison.name, [spec.strategy for spec in comparison.searches]
    for spec in comparison.searches:
        sources_of(spec, given, strategies)
    if "dry_run" in given:
        return max(dry_run(spec, given, console, strategies) for spec in comparison.searches)
    if comparison.folder.exists():
        raise UserError(f"--name {name}: it exists in {comparison.folder.parent}; --resume {name}")
    check_experiment(comparison.searches[0], given)
    download(given)
    if "warm_start" in given:
        data = load_data(given["dataset"], given)
        warm = [warmed(spec, given, data, strategies) for spec in comparison.searches]
        comparison = comparison.model_copy(update={"searches": warm})
    return compare(comparison, argv, console, records_line(comparison.searches[0], given))


def resume(folder: Path, given: Given, argv: Sequence[str], console: Console) -> int:
    """Resume the comparison in a folder; return the exit code."""
    comparison = Comparison.read(folder / "comparison.yaml")
    refuse_changes(given, "when a comparison goes on, start a new one instead", budget=False)
    given = {**given, "output_dir": str(folder.parent)}
    changed = [with_options(going_on(spec, given), given) for spec in comparison.searches]
    check_records(changed[0], "--tracking-uri" if "tracking_uri" in given else f"{folder}: tracking.uri")
    return compare(comparison.model_copy(update={"searches": changed}), argv, console, resumed_line(changed[0], given))


def compare(comparison: Comparison, argv: Sequence[str], console: Console, records: str) -> int:
    """Run the remaining searches of a comparison and print its result; return the exit code.

    `records`: the line that says where their records go.
    """
    first = comparison.searches[0]
    address = prepare(first.resources.ray_address)
    from tuning.execution.ray_tune.cluster import cluster  # imports ray, which reads what `prepare` sets

    data = load_data(first.dataset, dict(first))
    say(console, f"{data}\n{expected_resolution(data, comparison.metric)}\ncomparison {comparison.name}\n{records}")
    if first.pair:
        say(console, origin_line(first.pair))

    def run(spec: SearchSpec) -> bool:
        say(console, f"\n{spec.name}: {spec.model}, {spec.strategy}")
        say_start(spec, console)
        return not run_search(spec, data, argv, console).interrupted

    try:
        with cluster(address, first, partial(say, console)):
            complete = run_comparison(comparison, run)
    except KeyboardInterrupt:
        complete = False
    if not complete:
        return interrupted(comparison.name, first.output_dir, console)
    return show(comparison, read_results(comparison, data), console)


def show(comparison: Comparison, results: list[StrategyResult], console: Console) -> int:
    """Print and write the result of a comparison; return the exit code."""
    devices = {record.device for result in results for record in result.tested}
    for line in filter(None, map(fallback, devices)):
        say(console, line)
    popularity = SearchFolder.of(comparison.searches[0]).popularity()
    write_result(comparison, results, popularity)
    console.print(result_table(results, popularity, comparison.metric, published_figures(comparison.searches[0])))
    for remark in remarks(comparison, results, popularity):
        say(console, remark)
    say(console, f"result: {comparison.folder / 'result.md'}")
    return 0 if any(result.tested for result in results) else 1


def new_comparison(given: Given) -> Comparison:
    """Make the comparison from --compare and the options of its searches. UserError for an option that does not fit."""
    refuse(given, ("strategy", "baseline", "export_format"), "has no meaning with --compare")
    if given.get("tune", "strategy") not in SECTIONS_OF_TUNE:
        raise UserError(f"--tune {given['tune']}: expected one of {', '.join(SECTIONS_OF_TUNE)} with --compare")
    named = [REFERENCE, *given["compare"].split(","), *(CONTROLS if "controls" in given else ())]
    strategies = list(dict.fromkeys(known_strategy(name.strip(), "--compare") for name in named))
    all_knobs = {knob for strategy in strategies for knob in knobs(strategy)}
    name = given.get("name") or stamped(f"compare-{given.get('model')}-{given.get('dataset')}", 60)
    searches = []
    for strategy in strategies:
        # --set of a strategy's knob goes only to the strategies that have this knob.
        fits = [text for text in given.get("set", ()) if _parameter(text) not in all_knobs - set(knobs(strategy))]
        searches.append(new_spec({**given, "strategy": strategy, "name": file_name(f"{name}-{strategy}"), "set": fits}))
    seeds = {"seeds": given["seeds"]} if "seeds" in given else {}
    try:
        return Comparison(name=file_name(name), searches=searches, **seeds)
    except ValidationError as error:
        raise UserError(f"--seeds: {first_fault(error).partition(': ')[2]}") from None


def _parameter(override: str) -> str:
    """Return NAME of NAME=VALUE or SECTION.NAME=VALUE."""
    return override.partition("=")[0].strip().rpartition(".")[2]
