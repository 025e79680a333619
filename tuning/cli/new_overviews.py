"""The overview that options ask for: an experiment for each pair, and what may change of it later."""

from collections.abc import Sequence

from recmodels.data import is_prepared
from recmodels.errors import UserError, did_you_mean
from recmodels.metric import Metric
from recmodels.models import MODELS
from tuning.cli.arguments import Given, flag, name_options
from tuning.cli.datasets import directory
from tuning.cli.experiment import gone_on
from tuning.cli.new_experiments import OF_TRAINING, any_experiment
from tuning.cli.options import all_options
from tuning.cli.pairs import WHOLE, AskedPair, asked_pairs
from tuning.cli.search import file_name, stamped
from tuning.cli.warm import sources_of
from tuning.experiments import Experiment
from tuning.overview import Overview, PlannedPair
from tuning.overview.plan import SHARED, with_share

NOT_KEPT = {*WHOLE, "model", "dataset", "export_anyway"} - {"ray_address"}
"""Options that say which pairs there are, or what one start does."""


def new_overview(given: Given) -> Overview:
    """Make the overview that the options ask for. UserError, one line, that names all that cannot be."""
    name, kept, asked = file_name(given.get("name") or stamped("overview", 60)), _kept(given), asked_pairs(given)
    shares = len(asked) if "share_budget" in given else 0
    if shares and not _shared_parts(kept):
        limits = ", ".join(option.flag for option in all_options() if (option.place or "").startswith("budget."))
        raise UserError(f"--share-budget: expected a budget to share, one of {limits}")
    pairs = _planned(asked, given, kept, name, shares)
    return Overview(name=name, metrics=_metrics(given, pairs), options=kept, shares=shares, pairs=pairs)


def grown(overview: Overview, given: Given) -> Overview:
    """Return an overview that goes on, with what the options change of it and the pairs that they add.

    UserError for an option that would make its pairs differ, or for a pair that cannot be added.
    """
    _refuse_changes(overview, given)
    changes = {name: value for name, value in given.items() if name not in _fixed() | NOT_KEPT}
    options = overview.options | changes
    once = changes | {name: given[name] for name in given if name == "export_anyway"}
    pairs = [_gone_on(pair, once) for pair in overview.pairs] + _added(overview, given, options)
    metrics = _metrics(given, pairs) if "table_metrics" in given else overview.metrics
    return overview.model_copy(update={"pairs": pairs, "options": options, "metrics": metrics})


def _planned(asked: Sequence[AskedPair], given: Given, kept: Given, name: str, shares: int) -> list[PlannedPair]:
    """Make the experiments of the pairs. UserError, one line, that names everything wrong with them.

    `kept`: the options for all pairs; those about training are not for a model with nothing to train. `name`: of the
    overview. `shares`: see `Overview`.
    """
    if unknown := _unknown(asked, given):
        raise UserError("; ".join(unknown))
    once: Given = {name: given[name] for name in ("output_dir", "export_anyway") if name in given}
    pairs, faults = [], dict[str, list[str]]()
    for pair in asked:
        shared = kept if MODELS[pair.model].trains else {key: kept[key] for key in kept if key not in OF_TRAINING}
        options = shared | pair.own
        names = {"model": pair.model, "dataset": pair.dataset, "name": file_name(f"{name}-{pair.model}-{pair.dataset}")}
        try:
            pairs.append(PlannedPair(options=options, experiment=_experiment(options | once | names, shares)))
        except UserError as error:
            faults.setdefault(str(error), []).append(str(pair))
    if faults:
        each = (fault if len(of) == len(asked) else f"{', '.join(of)}: {fault}" for fault, of in faults.items())
        raise UserError("; ".join(each))
    named = {pair.name: pair for pair in pairs}
    if alike := next((pair for pair in pairs if named[pair.name] is not pair), None):
        raise UserError(f"{alike} and {named[alike.name]}: expected names that differ, but both would be {alike.name}")
    return pairs


def _experiment(given: Given, shares: int) -> Experiment:
    """Make the experiment of a pair. UserError for one that does not fit, or for a warm start that is not there."""
    made = any_experiment(given)
    if shares:
        if base := given.get("tune_base"):
            raise UserError(f"--tune-base {base}: with --share-budget the reference has as much as the others")
        made = with_share(made, shares, _shared_parts(given))
    strategies = [spec.strategy for spec in made.searches]
    for spec in made.searches:
        sources_of(spec, given, strategies)
    return made


def _unknown(asked: Sequence[AskedPair], given: Given) -> list[str]:
    """Return a line for each name of a model or a data set that nothing has."""
    found = []
    for pair in asked:
        if pair.model not in MODELS:
            found.append(f"{pair.where}--model: there is no model {pair.model!r}{did_you_mean(pair.model, MODELS)}")
        try:
            is_prepared(pair.dataset, directory({**given, **pair.own}, "data_dir"))
        except UserError as error:
            found.append(f"{pair.where}{name_options(str(error))}")
    return list(dict.fromkeys(found))


def _added(overview: Overview, given: Given, options: Given) -> list[PlannedPair]:
    """Return the pairs that the overview does not have yet. UserError if one it has is asked for in another way.

    `options`: those for all its pairs.
    """
    if not {"model", "dataset", "pairs"} & given.keys():
        return []
    fresh = []
    for pair in asked_pairs(given):
        there = overview.pair(pair.model, pair.dataset)
        if there is None:
            fresh.append(pair)
            continue
        for name in _fixed() & pair.own.keys():
            if there.options.get(name) != pair.own[name]:
                raise UserError(f"{pair}: {flag(name)}: cannot be changed, as the overview has this pair already")
    place = {"output_dir": overview.output_dir}
    return _planned(fresh, given | place, options, overview.name, overview.shares)


def _gone_on(pair: PlannedPair, changes: Given) -> PlannedPair:
    """Return a pair with what a resume changes."""
    changed = gone_on(pair.experiment, pair.experiment.folder, changes)
    return pair.model_copy(update={"experiment": changed})


def _fixed() -> set[str]:
    """Return the names of the options that make the pairs of an overview comparable."""
    found = (each for each in all_options() if not each.resumable or (each.place or "").startswith("budget."))
    return {option.name for option in found} - {"download"}


def _refuse_changes(overview: Overview, given: Given) -> None:
    """Raise UserError for an option that differs from that of the other pairs."""
    known = overview.options | ({"share_budget": True} if overview.shares else {})
    for name in (_fixed() - NOT_KEPT) | {"share_budget"}:
        if name in given and given[name] != known.get(name):
            why = "its pairs are to stay comparable (a new pair may have its own in the file of --pairs)"
            raise UserError(f"{flag(name)}: cannot be changed when an overview goes on, {why}")


def _kept(given: Given) -> Given:
    """Return the options that hold for every pair."""
    return {name: value for name, value in given.items() if name not in NOT_KEPT}


def _shared_parts(options: Given) -> list[str]:
    """Return the parts of a budget that the options give."""
    places = {option.place: option.name for option in all_options()}
    return [part for part in SHARED if places[f"budget.{part}"] in options]


def _metrics(given: Given, pairs: Sequence[PlannedPair]) -> tuple[Metric, ...]:
    """Return the metrics of --table-metrics. UserError for one that no pair measures."""
    found = []
    for name in filter(None, given.get("table_metrics", "").split(",")):
        try:
            metric = Metric(name.strip())
        except ValueError as error:
            raise UserError(f"--table-metrics: {error}") from None
        measured = {k for pair in pairs for k in pair.experiment.searches[0].training.cutoffs}
        if metric.k not in measured:
            cutoffs = ", ".join(map(str, sorted(measured)))
            raise UserError(f"--table-metrics {metric}: expected a cut-off that is measured, one of {cutoffs}")
        found.append(metric)
    return tuple(found)
