"""The page of a search: verdict, winner, figures, trials, and where they come from."""

from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import get_args

from tuning.experiments import REFERENCE
from tuning.pages import search_sections as sections
from tuning.pages.analyses_section import analyses_sections
from tuning.pages.content import Page, Section, Text, Tile
from tuning.pages.front_section import front_sections
from tuning.pages.look import series
from tuning.pages.origins import commands_section, data_section, spec_section, versions_section
from tuning.pages.scores import Line
from tuning.pages.trials import SearchTrials
from tuning.proposals import planned_trials
from tuning.records import Status
from tuning.records.confirmation import SEEDS
from tuning.reports.resolution import measured_resolution
from tuning.reports.search_report import baseline_gain, below_popularity
from tuning.reports.tables import shown
from tuning.spec import SearchSpec


def search_page(path: Path, running: bool) -> Page:
    """Return the page of the search in a folder, whether it has ended or not. UserError for a damaged file."""
    found = SearchTrials.read(path)
    spec = found.spec
    verdict, evidence = _verdict(found, running)
    chosen_by_itself = spec.role == "search"
    body = [
        *([sections.winner(found), *front_sections(found)] if chosen_by_itself else []),
        sections.best_against_cost([Line(spec.strategy, series(0), records=found.tried)], found.metric),
        *(sections.knobs(found) if chosen_by_itself else []),
        sections.curves(found),
        *([sections.seeds(found)] if chosen_by_itself else []),
        sections.all_trials(found),
        _confirmed(found),
        *analyses_sections([found.folder], path),
        *origins(found),
    ]
    return Page(
        title=f"{spec.model} on {spec.dataset}, {spec.strategy}",
        subtitle=f"Search {spec.name}, chosen by {', '.join(spec.objectives) or found.metric} on validation",
        verdict=verdict,
        evidence=evidence,
        tiles=_tiles(found),
        sections=tuple(body),
        made=made_at(),
    )


def origins(found: SearchTrials) -> list[Section]:
    """Return the sections of where a search comes from."""
    spec, best = found.spec, found.folder.best
    return [
        spec_section([spec]),
        versions_section(found.environment),
        data_section(spec, found.environment),
        commands_section(
            spec, spec.name, found.environment, best if best.exists() else None, extend=spec.role == "search"
        ),
    ]


def made_at() -> str:
    """Return the time at which a page is made, UTC."""
    return f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"


def progress(spec: SearchSpec, found: SearchTrials | None) -> str:
    """Return how far a search has come, in a few words."""
    counts = Counter(record.status for record in found.tried) if found else Counter()
    ended = ", ".join(f"{counts[status]} {status}" for status in get_args(Status) if counts[status])
    return f"{counts.total()} of {planned_trials(spec)} trials ended{f' ({ended})' if ended else ''}"


def _verdict(found: SearchTrials, running: bool) -> tuple[str, tuple[str, ...]]:
    spec, best, metric = found.spec, found.best, found.metric
    if spec.role == "confirmation":
        of = spec.name.removesuffix(SEEDS)
        return "Configurations on fresh seeds.", (
            f"What was chosen by them is on the page of {of} and of its experiment.",
        )
    if found.confirmation:
        return found.confirmation.verdict, (found.confirmation.choice + ".",)
    evidence = []
    if best is None:
        verdict = "No verdict yet: no trial has a score." if running else "No verdict: no trial has a score."
    elif running:
        verdict = (
            f"No verdict yet: the search is running, its best {metric} on validation is {shown(best.value)} so far."
        )
    else:
        verdict = (
            f"Best {metric} on validation: {shown(best.value)}, of trial {best.trial}; no verdict yet, on one seed."
        )
        evidence.append(_lacks(spec))
    told = measured_resolution(found.folder, found.records, metric)
    gain = baseline_gain(best, found.plain, metric, found.tests)
    scores = {"valid": best.valid, "test": found.tests.get(best.trial, {})} if best else {}
    evidence += filter(None, (gain, below_popularity(scores, found.popularity, metric), told))
    evidence += [f"Warm start: {line}" for line in spec.warm_start.said]
    return verdict, tuple(evidence)


def _lacks(spec: SearchSpec) -> str:
    """Return what a search alone lacks for a verdict."""
    if spec.awaits_confirmation:
        return "Its best configurations are still to be trained on fresh seeds; the verdict comes with that."
    reference = "" if spec.strategy == REFERENCE else f"{REFERENCE} training, tuned as well, to compare with, and "
    return (
        f"A verdict needs {reference}fresh seeds, since the best of many trials on one seed flatters itself. Searches "
        "have both by default: --tune-base 0 and --confirm-top 0 leave them out."
    )


def _tiles(found: SearchTrials) -> tuple[Tile, ...]:
    best, metric = found.best, found.metric
    passes, seconds = (sum(getattr(record, cost) for record in found.records) for cost in ("passes", "seconds"))
    test = found.tests.get(best.trial, {}).get(metric) if best else None
    return (
        Tile(f"best {metric}", shown(best.value if best else None), "on validation"),
        Tile(f"test {metric}", shown(test) if test is not None else "sealed", "of that trial"),
        Tile("trials", str(len(found.tried)), progress(found.spec, found)),
        Tile("cost", f"{passes:,}", f"passes, {duration(seconds)} of training"),
    )


def duration(seconds: float) -> str:
    """Return a time in its two largest units: `2 h 5 min`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{rest} s"


def _confirmed(found: SearchTrials) -> Section:
    confirmation, title = found.confirmation, "Confirmed configurations"
    if confirmation is None:
        why = "its runs are these" if found.spec.role == "confirmation" else "nothing was trained on fresh seeds"
        return Section(
            "confirmed", title, (Text(f"None yet: {why}." if found.spec.awaits_confirmation else f"None: {why}."),)
        )
    where = f"The page of the experiment {confirmation.experiment} has all of them side by side."
    return Section("confirmed", title, (Text(confirmation.choice + "."), Text(where)))
