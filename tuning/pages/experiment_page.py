"""The page of an experiment: verdict, strategies side by side, and the search of one of them in full."""

from pathlib import Path
from statistics import fmean

from tuning.experiments import Experiment
from tuning.experiments.conclusion import spread
from tuning.experiments.experiment_report import (
    COLUMNS,
    confirmed_columns,
    confirmed_rows,
    remarks,
    verdicts,
)
from tuning.experiments.experiment_report import rows as result_rows
from tuning.experiments.results import saved_results
from tuning.experiments.verdict import decision
from tuning.pages import search_sections as sections
from tuning.pages.analyses_section import analyses_sections
from tuning.pages.content import Figure, Links, Notes, Page, Section, Table, Text, Tile
from tuning.pages.front_section import front_sections
from tuning.pages.look import REFERENCE, Series, series
from tuning.pages.origins import commands_section, data_section, spec_section, versions_section
from tuning.pages.scores import Line, over_seeds
from tuning.pages.search_page import duration, made_at, progress
from tuning.pages.trials import SearchTrials
from tuning.records import SearchFolder, TrialRecord
from tuning.records.confirmation import SEEDS
from tuning.reports.published import published_figures
from tuning.reports.tables import Column, plain_columns, shown

FEW = 4
"""Strategies up to which all learning curves are drawn at first."""


class ExperimentFolder:
    """An experiment as its folders have it now.

    `searches`: strategy -> its search, of those that have begun, the reference first. `results`: None before its end.
    `focus`: the strategy that is shown in full, mg or the one with the best score of those that have begun.
    """

    def __init__(self, path: Path):
        read = Experiment.in_folder(path)
        specs = [spec.model_copy(update={"output_dir": str(path.parent)}) for spec in read.searches]
        self.experiment = read.model_copy(update={"name": path.name, "searches": specs})
        folders = {spec.strategy: path.parent / spec.name for spec in specs}
        self.searches = {name: SearchTrials.read(each) for name, each in folders.items() if SearchFolder(each).exists()}
        self.results = saved_results(self.experiment)
        rivals = [name for name, found in self.searches.items() if found is not self.reference]
        self.focus = "mg" if "mg" in rivals else max(rivals, key=self._score, default=next(iter(self.searches), None))

    @property
    def reference(self) -> SearchTrials | None:
        """The search that the others are compared with; None if there is none or it has not begun."""
        spec = self.experiment.reference
        return self.searches.get(spec.strategy) if spec else None

    def _score(self, strategy: str) -> float:
        best = self.searches[strategy].best
        return best.value or 0.0 if best else 0.0

    def look(self, strategy: str) -> Series:
        """Return the look of a strategy's lines in all figures."""
        reference = self.experiment.reference
        if reference and strategy == reference.strategy:
            return REFERENCE
        return series([spec.strategy for spec in self.experiment.searches if spec is not reference].index(strategy))

    def confirmation(self, strategy: str) -> SearchFolder:
        """Return the folder of a strategy's runs on fresh seeds, which need not exist."""
        path = self.searches[strategy].folder.path
        return SearchFolder(path.with_name(path.name + SEEDS))

    def trained(self, strategy: str) -> tuple[SearchFolder, list[TrialRecord]]:
        """Return the folder and the trainings by which a strategy is compared: on fresh seeds, or the best so far."""
        found = self.searches[strategy]
        result = next((each for each in self.results or () if each.strategy == strategy), None)
        if result and result.tested:
            fresh = any(record.role == "confirmation" for record in result.tested)
            return (self.confirmation(strategy) if fresh else found.folder), result.tested
        return found.folder, [found.best] if found.best else []


def experiment_page(path: Path, running: bool) -> Page:
    """Return the page of the experiment in a folder, whether it has ended or not. UserError for a damaged file."""
    folder = ExperimentFolder(path)
    experiment, spec = folder.experiment, folder.experiment.searches[0]
    focus = folder.searches[folder.focus] if folder.focus else None
    lines = [Line(name, folder.look(name), records=found.tried) for name, found in folder.searches.items()]
    verdict, evidence = _verdict(folder, running)
    return Page(
        title=f"{spec.model} on {spec.dataset}",
        subtitle=f"Experiment {experiment.name}: {', '.join(each.strategy for each in experiment.searches)}",
        verdict=verdict,
        evidence=evidence,
        tiles=_tiles(folder),
        sections=(
            _strategies(folder),
            *([_whose(folder, sections.winner(focus)), *front_sections(focus)] if focus else []),
            sections.best_against_cost(lines, experiment.metric),
            *([_whose(folder, section) for section in sections.knobs(focus)] if focus else []),
            _curves(folder),
            _seeds(folder),
            _trials(folder),
            _confirmed(folder),
            *analyses_sections([found.folder for found in folder.searches.values()], path),
            spec_section([found.spec for found in folder.searches.values()] or experiment.searches),
            versions_section(focus.environment if focus else None),
            data_section(spec, focus.environment if focus else None),
            _commands(folder, focus),
        ),
        made=made_at(),
    )


def _verdict(folder: ExperimentFolder, running: bool) -> tuple[str, tuple[str, ...]]:
    experiment, results = folder.experiment, folder.results
    if results is None:
        begun = [f"{found.spec.strategy}: {progress(found.spec, found)}" for found in folder.searches.values()]
        state = "it is running" if running else "it has not come to its end; the first of the commands below goes on"
        return f"No verdict yet: {state}.", tuple(begun)
    said = verdicts(experiment, results)
    if experiment.reference is None:
        return " ".join(said), ()
    by_decision: dict[str, list[str]] = {}
    for result in results[1:]:
        by_decision.setdefault(decision(result, experiment.reference.strategy), []).append(result.strategy)
    return "; ".join(f"{', '.join(names)}: {what}" for what, names in by_decision.items()) + ".", tuple(
        sorted(said, key=lambda line: not line.startswith(f"{folder.focus} ("))
    )


def _tiles(folder: ExperimentFolder) -> tuple[Tile, ...]:
    metric, results = folder.experiment.metric, folder.results or []
    trials = [record for found in folder.searches.values() for record in found.records]
    for strategy in folder.searches:
        trials += folder.confirmation(strategy).ledger().values()
    own = next((result for result in results if result.strategy == folder.focus), None)
    values, gain = (own.test(metric) if own else []), None
    if own and values and folder.experiment.reference and own is not results[0] and (base := results[0].test(metric)):
        gain = fmean(values) / fmean(base) - 1 if fmean(base) else None
    return (
        Tile(
            f"test {metric}",
            shown(fmean(values) if values else None),
            f"{folder.focus or 'no strategy'}, {_over(len(values))}",
        ),
        Tile(
            "gain",
            "-" if gain is None else f"{gain:+.1%}".replace("%", " %"),
            f"over {results[0].strategy}" if gain is not None else "not known",
        ),
        Tile(
            "trainings",
            str(len(trials)),
            f"in {len(folder.searches)} of {len(folder.experiment.searches)} searches, and on fresh seeds",
        ),
        Tile(
            "cost",
            f"{sum(record.passes for record in trials):,}",
            f"passes, {duration(sum(record.seconds for record in trials))} of training",
        ),
    )


def _over(seeds: int) -> str:
    return "no result yet" if not seeds else "one seed" if seeds == 1 else f"mean of {seeds} seeds"


def _strategies(folder: ExperimentFolder) -> Section:
    experiment, results, title = folder.experiment, folder.results, "Strategies side by side"
    popularity = next((found.popularity for found in folder.searches.values() if found.popularity), None)
    links = tuple(
        (found.spec.name, f"../{found.spec.name}/{found.folder.report.name}") for found in folder.searches.values()
    )
    pages = Links("The search of each strategy has a page of its own beside this file:", links)
    if results is None:
        return Section(
            "strategies", title, (Text("The table comes with the end of the experiment."), *([pages] if links else []))
        )
    table = Table.of(
        f"{experiment.metric}; valid and test: mean ± standard deviation over seeds; p after Holm's correction; "
        "cost: passes per epoch over the reference's",
        COLUMNS,
        result_rows(results, popularity, experiment.metric, published_figures(experiment.searches[0])),
        sortable=True,
    )
    notes = Notes(tuple(remarks(experiment, results, popularity)))
    return Section("strategies", title, (table, notes, *([pages] if links else [])))


def _whose(folder: ExperimentFolder, section: Section) -> Section:
    """Return a section of the search in focus with a title that names it, as there are others."""
    return Section(section.name, f"{section.title}, {folder.focus}", section.parts)


def _curves(folder: ExperimentFolder) -> Section:
    lines = []
    for name, found in folder.searches.items():
        place, records = folder.trained(name)
        own = SearchTrials.read(place.path) if place != found.folder else found
        curves = [own.curve(record.trial) for record in records]
        first = len(folder.searches) <= FEW or name == folder.focus or found is folder.reference
        lines.append(Line(name, folder.look(name), curves, hidden=not first))
    return sections.learning(lines, folder.experiment.metric)


def _seeds(folder: ExperimentFolder) -> Section:
    metric, title = folder.experiment.metric, "Spread over seeds"
    values = [
        (result.strategy, folder.look(result.strategy), [(seed, test[metric]) for seed, test in result.tests.items()])
        for result in folder.results or ()
        if result.tests and result.strategy in folder.searches
    ]
    if not any(len(pairs) > 1 for *_, pairs in values):
        return Section(
            "seeds", title, (Text("No strategy has results on several seeds, so luck of the seed is unknown."),)
        )
    caption = (
        "Each point is one training on a fresh seed, the bar the mean with its 95 % interval. Strategies whose "
        "intervals overlap much are hardly told apart; the verdict pairs them by seed, which sees smaller differences."
    )
    figure = Figure("seeds", f"{metric} on test over seeds", caption, over_seeds(values, f"{metric} on test"))
    spreads = [(name, spread([value for _, value in pairs])) for name, _, pairs in values]
    rows = [(name, len(own.values), own.mean, own.deviation, own.low, own.high) for name, own in spreads]
    columns = plain_columns("strategy", "seeds", "mean", "deviation", "95 % from", "to")
    return Section("seeds", title, (figure, Table.of(f"{metric} on test over seeds", columns, rows)))


def _trials(folder: ExperimentFolder) -> Section:
    """Return all trials of all searches in one table, since their parameters differ."""
    every = [(found, record) for found in folder.searches.values() for record in found.records]
    if not every:
        return Section("trials", "All trials", (Text("No trial has ended yet."),))
    metric = folder.experiment.metric
    columns: tuple[Column[tuple[SearchTrials, TrialRecord]], ...] = (
        Column("strategy", lambda row: row[0].spec.strategy, justify="left"),
        Column("trial", lambda row: row[1].trial, justify="left"),
        Column("status", lambda row: row[1].status, justify="left"),
        Column("epochs", lambda row: row[1].epochs),
        Column("best epoch", lambda row: row[1].best_epoch),
        Column("passes", lambda row: row[1].passes),
        Column("parameters", lambda row: _point(row[1]), justify="left"),
        Column(f"valid {metric}", lambda row: row[1].value),
        Column(f"test {metric}", lambda row: row[0].tests.get(row[1].trial, {}).get(metric)),
    )
    caption = f"{len(every)} trials that ended, in all searches; test metrics are sealed but for what was chosen"
    return Section("trials", "All trials", (Table.of(caption, columns, every, sortable=True),))


def _point(record: TrialRecord) -> str | None:
    return ", ".join(f"{name} {shown(value)}" for name, value in record.point.items()) or None


def _confirmed(folder: ExperimentFolder) -> Section:
    title = "Confirmed configurations"
    found = confirmed_rows(folder.results) if folder.results else []
    if not found:
        why = (
            "the experiment has no runs on fresh seeds"
            if folder.results
            else "they come with the end of the experiment"
        )
        return Section("confirmed", title, (Text(f"None: {why}."),))
    caption = f"{folder.experiment.metric} on validation: on the one seed of the search, and on fresh seeds"
    return Section("confirmed", title, (Table.of(caption, confirmed_columns(folder.experiment), found),))


def _commands(folder: ExperimentFolder, focus: SearchTrials | None) -> Section:
    spec = focus.spec if focus else folder.experiment.searches[-1]
    best = focus.folder.best if focus and focus.folder.best.exists() else None
    return commands_section(spec, folder.experiment.name, focus.environment if focus else None, best, extend=False)
