"""The sections of one search, on its own page and on that of an experiment."""

from collections.abc import Mapping, Sequence

from recmodels.metric import NAMES, Metric
from tuning.pages import study_figures
from tuning.pages.content import Content, Figure, Notes, Section, Table, Text
from tuning.pages.knobs import Knob, by_value, knob_map
from tuning.pages.look import GREY, REFERENCE, WINNER, Series, series
from tuning.pages.scores import Line, best_so_far, learning_curves, over_seeds
from tuning.pages.trials import SearchTrials
from tuning.reports.columns import ended_row, popularity_row, running_row, trial_columns
from tuning.reports.published import published_lines, published_rows
from tuning.reports.tables import plain_columns, shown
from tuning.space import Choice, Parameter, Range

FEW = 12
"""Values of a knob up to which each has a column of its own."""
NO_SCORE = "No trial has a score yet."


def winner(found: SearchTrials) -> Section:
    """Return the best trial: its parameters, and its metrics beside those of popularity and those published."""
    best = found.best
    if best is None:
        return Section("winner", "Winner", (Text(NO_SCORE),))
    searched = {
        parameter.name
        for parameter in found.spec.space.parameters
        if parameter.coordinate in found.spec.space.dimensions
    }
    values = {name: shown(value) for part in best.params.values() for name, value in part.items()}
    fixed = ", ".join(f"{name} {value}" for name, value in values.items() if name not in searched)
    early = "" if best.status == "finished" else " It had been stopped early, as no trial finished."
    test = found.tests.get(best.trial, {})
    sealed = "" if test else " Its test metrics are sealed until it is chosen for good."
    return Section(
        "winner",
        f"Winner: trial {best.trial}",
        (
            Table.of(
                "What was searched",
                plain_columns("parameter", "value", format=str),
                [each for each in values.items() if each[0] in searched],
            ),
            Text(f"Kept fixed: {fixed or 'nothing'}."),
            _metrics({"validation": best.valid, "test": test}, found),
            Text(f"Best epoch {best.best_epoch} of {best.epochs}, seed {best.seed}.{early}{sealed}"),
        ),
    )


def _metrics(scores: Mapping[str, Mapping[str, float]], found: SearchTrials) -> Table:
    """Return a row for each metric, and one for popularity's in the metric that decides, by split and cut-off."""
    cutoffs, own = found.spec.training.cutoffs, Metric(found.metric).name
    popularity = {"validation": found.popularity["valid"], "test": found.popularity["test"]} if found.popularity else {}
    names = [own, *(name for name in NAMES if name != own)]
    rows = [(name, scores, name) for name in names] + [(f"popularity's {own}", popularity, own)] * bool(popularity)
    headings = [f"{split[:5]} @{k}" for split in scores for k in cutoffs]
    cells = [
        [title, *(of.get(split, {}).get(f"{name}@{k}") for split in scores for k in cutoffs)]
        for title, of, name in rows
    ]
    return Table.of("Metrics at the best epoch", plain_columns("metric", *headings), cells)


def best_against_cost(lines: Sequence[Line], metric: str) -> Section:
    """Return the best score so far against cost, a line for each search."""
    drawn = [line for line in lines if any(record.value is not None for record in line.records)]
    if not drawn:
        return Section("cost", "Best so far against cost", (Text(NO_SCORE),))
    plot, views = best_so_far(drawn, metric)
    caption = (
        "Each point is a trial that ended, a large one the best until then. Where the line is flat, more trials "
        "brought nothing. A pass is one forward and backward pass over a batch, the cost in which strategies compare."
    )
    figure = Figure("cost", f"Best {metric} on validation so far, against cost", caption, plot, views)
    return Section("cost", "Best so far against cost", (figure,))


def knobs(found: SearchTrials) -> list[Section]:
    """Return what the trials say of the searched knobs: map, values, parallel coordinates, importance."""
    space, trials, metric = found.spec.space, found.tried, found.metric
    study = study_figures.study_of(space, trials)
    importance = study_figures.importances(study)
    order = {name: place for place, name in enumerate(importance)}
    searched = [p for p in space.parameters if p.coordinate in space.dimensions]
    searched.sort(
        key=lambda p: order.get(p.coordinate, len(order))
    )  # stable: in the space's order where nothing is known
    finished = len(study.get_trials(deepcopy=False))
    return [
        _map(found, searched),
        _few_valued(found, searched),
        Section("parallel", "Parallel coordinates", (_parallel(found, study, finished),)),
        Section("importance", "Importance", (_importance(found, study, importance, finished, metric),)),
    ]


def curves(found: SearchTrials) -> Section:
    """Return the learning curves of all trials of a search, the best one before the others."""
    best, plain = (record.trial if record else None for record in (found.best, found.plain))
    others = [found.curve(name) for name in found.started if name not in (best, plain)]
    lines = [Line("other trials", Series(GREY, "solid", "circle"), others)] if others else []
    lines += [Line("plain", REFERENCE, [found.curve(plain)])] if plain else []
    lines += [Line(f"best: trial {best}", Series(WINNER, "solid", "circle"), [found.curve(best)])] if best else []
    return learning(lines, found.metric)


def learning(lines: Sequence[Line], metric: str) -> Section:
    """Return learning curves, in passes and in epochs."""
    if not any(curve.values for line in lines for curve in line.curves):
        return Section("curves", "Learning curves", (Text("No epoch has been validated yet."),))
    plot, views, every = learning_curves(lines, metric)
    thinned = f" One validated epoch in {every} is drawn, with the first, the last and the best." if every > 1 else ""
    hidden = (
        " Of the other strategies a click on the name draws the curves." if any(line.hidden for line in lines) else ""
    )
    caption = (
        f"{metric} on validation during training. Against passes, curves of strategies with different costs compare "
        f"fairly; against epochs, the costlier one looks better than it is.{hidden}{thinned}"
    )
    figure = Figure("curves", f"Learning curves, {metric} on validation", caption, plot, views)
    return Section("curves", "Learning curves", (figure,))


def seeds(found: SearchTrials) -> Section:
    """Return the values of the chosen trial on fresh seeds."""
    title, confirmation = "Spread over seeds", found.confirmation
    if confirmation is None:
        return Section(
            "seeds",
            title,
            (Text("No configuration has been trained on further seeds, so luck of the seed is unknown."),),
        )
    values = [
        (split, series(place), list(zip(confirmation.seeds, spread.values, strict=False)))
        for place, (split, spread) in enumerate((("validation", confirmation.valid), ("test", confirmation.test)))
    ]
    plot = over_seeds(values, confirmation.metric)
    caption = (
        "Each point is a training of the chosen trial on a fresh seed; the bar is the mean with its 95 % interval."
    )
    figure = Figure("seeds", f"{confirmation.metric} of trial {confirmation.trial} on fresh seeds", caption, plot)
    return Section("seeds", title, (figure, Text(confirmation.choice)))


def all_trials(found: SearchTrials) -> Section:
    """Return the table of all trials, and of what they have to beat."""
    ended = [ended_row(record, found.tests.get(record.trial, {})) for record in found.records]
    running = []
    for plan in found.running:
        rows = found.folder.trial(plan.trial).epochs()
        running.append(running_row(plan, rows[-1] if rows else None))
    others = [popularity_row(found.popularity, found.metric)] if found.popularity else []
    others += published_rows(found.spec)
    caption = f"{len(ended)} trials that ended, {len(running)} without an end, and what others reach"
    table = Table.of(caption, trial_columns(found.spec), ended, running, others, sortable=True)
    lines = published_lines(found.spec, found.environment)
    return Section("trials", "All trials", (table, Notes(tuple(lines))) if lines else (table,))


def _map(found: SearchTrials, searched: Sequence[Parameter]) -> Section:
    numeric = [_knob(p) for p in searched if _is_numeric(p)]
    mirror = [knob for name in ("alpha", "beta") for knob in numeric if knob.name == name]
    pair = mirror if len(mirror) == 2 else numeric[:2]
    title = "Map of " + " and ".join(knob.name for knob in pair) if pair else "Map of two knobs"
    if len(pair) < 2:
        one = f"only {pair[0].name} is" if pair else "none is"
        return Section(
            "map", "Map of two knobs", (Text(f"A map needs two numeric knobs that are searched, but {one}."),)
        )
    if not any(record.value is not None for record in found.tried):
        return Section("map", title, (Text(NO_SCORE),))
    plot = knob_map(found.tried, pair[0], pair[1], found.metric, found.best)
    caption = "Each point is a trial, the brighter the better; open ones were stopped early, crosses failed."
    if len(mirror) == 2:
        caption += (
            " Below the dashed line beta is smaller than alpha, as Mirror Gradient requires: the step down is longer "
            "than the step back."
        )
    elif len(numeric) > 2:
        caption += " Of the numeric knobs these two are the most important."
    return Section("map", title, (Figure("map", title, caption, plot),))


def _few_valued(found: SearchTrials, searched: Sequence[Parameter]) -> Section:
    few = [p for p in searched if not p.of and 0 < (found.spec.space.dimensions[p.coordinate].size or 0) <= FEW]
    chosen = next((p for p in few if p.name == "interval"), next(iter(few), None))
    if chosen is None:
        return Section("values", "Values of one knob", (Text(f"No searched knob has at most {FEW} values."),))
    title = chosen.name.capitalize()
    if not any(record.value is not None for record in found.tried):
        return Section("values", title, (Text(NO_SCORE),))
    plot = by_value(found.tried, _knob(chosen), found.metric)
    caption = (
        f"Each point is a trial with that {chosen.name}; the bars are the best of those that finished. "
        "A difference smaller than the points of one value scatter says nothing."
    )
    return Section("values", title, (Figure("values", f"{found.metric} by {chosen.name}", caption, plot),))


def _parallel(found: SearchTrials, study: study_figures.Study, finished: int) -> Content:
    if not found.spec.space.dimensions:
        return Text("Nothing was searched, so all trials have the same parameters.")
    if finished < 2:
        return Text(f"Lines compare at least two trials that finished, but {finished or 'none'} did.")
    caption = (
        f"Each line is one of the {finished} trials that finished, from its score at the left through its values; the "
        f"brighter the better. Where bright lines meet, a value matters. {_left_out(found, finished)}"
    )
    plot = study_figures.parallel_figure(study, found.metric)
    return Figure("parallel", f"Trials by {found.metric} and their parameters", caption, plot)


def _importance(
    found: SearchTrials, study: study_figures.Study, importance: dict[str, float], finished: int, metric: str
) -> Content:
    if len(found.spec.space.dimensions) < 2:
        return Text("Importance compares at least two searched parameters.")
    if not importance:
        return Text(
            f"Importance needs {study_figures.LEAST} finished trials with different scores, but has {finished}."
        )
    caption = (
        f"How much each parameter decides whether a trial is among the best by {metric} (PED-ANOVA, Watanabe et al. "
        f"2023), from {finished} trials that finished. With few trials this is a hint. {_left_out(found, finished)}"
    )
    return Figure(
        "importance", "Importance of the searched parameters", caption, study_figures.importance_figure(study)
    )


def _left_out(found: SearchTrials, finished: int) -> str:
    others = len(found.tried) - finished
    return f"Left out: {others} that were stopped early or failed." if others else ""


def _knob(parameter: Parameter) -> Knob:
    distribution = parameter.distribution
    return Knob(parameter.name, parameter.section, isinstance(distribution, Range) and distribution.log)


def _is_numeric(parameter: Parameter) -> bool:
    if isinstance(parameter.distribution, Choice):
        return all(
            isinstance(each, int | float) and not isinstance(each, bool) for each in parameter.distribution.values
        )
    return isinstance(parameter.distribution, Range)
