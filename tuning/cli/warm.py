"""--warm-start, and the points that a search begins with."""

from collections.abc import Collection

from rich.console import Console

from recmodels.data.dataset import RecDataset
from tuning.cli.arguments import Given
from tuning.proposals import choose_sampler, first_points, planned_trials
from tuning.reports.tables import plain_columns, say, shown, table
from tuning.spec import SearchSpec
from tuning.warm_start import Source, find_sources, warm_start


def sources_of(spec: SearchSpec, given: Given, strategies: Collection[str] = ()) -> tuple[list[Source], list[str]]:
    """Return the sources that --warm-start names, and what of them could not be read; see `find_sources`.

    `strategies`: those that are compared, the spec's one among them. UserError for a source that is not there.
    """
    return find_sources(given.get("warm_start", ()), spec, strategies or (spec.strategy,))


def warmed(spec: SearchSpec, given: Given, data: RecDataset, strategies: Collection[str] = ()) -> SearchSpec:
    """Return the spec with what the search takes over by --warm-start; unchanged without the option."""
    if "warm_start" not in given:
        return spec
    sources, unreadable = sources_of(spec, given, strategies)
    found = warm_start(spec, data.fingerprint, sources)
    return spec.model_copy(update={"warm_start": found.model_copy(update={"said": (*found.said, *unreadable)})})


def say_start(spec: SearchSpec, console: Console) -> None:
    """Print what the search takes over, and which of its space's first points are left out."""
    for line in spec.warm_start.said:
        say(console, f"warm start: {line}")
    _, left_out = spec.space.starts()
    if left_out and not _is_grid(spec):
        say(console, f"{len(left_out)} of {len(spec.space.first)} first points are not in this space: {left_out[0]}")


def show_first(spec: SearchSpec, console: Console) -> None:
    """Print the points that a search begins with and where they come from, as a table."""
    if not spec.space.dimensions or _is_grid(spec):
        return
    first = first_points(spec.space, spec.warm_start)[: planned_trials(spec)]
    rows = [(start.source, *map(shown, start.point.values())) for start in first]
    if rows:
        say(console, "first trials, before those of the sampler:")
        console.print(table(plain_columns("from", *spec.space.dimensions, format=str), rows))
    if told := spec.warm_start.told:
        say(console, f"values that the sampler is told: {told}")


def _is_grid(spec: SearchSpec) -> bool:
    """Return whether every point is trained, so that none comes first."""
    return choose_sampler(spec.space, spec.budget.trials, spec.sampler) == "grid"
