"""The experiment that options ask for: its strategies, the reference, the budget of each, the confirmation."""

from collections.abc import Sequence

from pydantic import ValidationError

from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from recmodels.models import MODELS
from recmodels.training.strategies.names import CONTROLS, knobs
from tuning.checked_file import first_fault
from tuning.cli.arguments import Given, refuse
from tuning.cli.search import file_name, new_spec, stamped
from tuning.cli.warm import warmed
from tuning.experiments import REFERENCE, Confirm, Experiment
from tuning.space import SECTIONS_OF_TUNE
from tuning.space.catalogue import known_strategy
from tuning.space.layers import base_of
from tuning.spec import SearchSpec, WarmStart

CONFIRM = tuple(Confirm.model_fields)
"""The parts of --confirm-top and --confirm-seeds."""
OF_COMPARISONS = ("baseline", "tune_base", *(f"confirm_{part}" for part in CONFIRM))
OF_TRAINING = ("strategy", "compare", "controls", "tune", *OF_COMPARISONS)
"""Options that say nothing of a model with nothing to train."""


def new_experiment(given: Given) -> Experiment | None:
    """Make the experiment that the options ask for; None if they ask for a search alone. UserError for one that does
    not fit."""
    strategies, base, alone = _what_is_compared(given)
    return None if alone else _experiment(given, strategies, base, _confirm(given))


def any_experiment(given: Given) -> Experiment:
    """Make the experiment that the options ask for, where a search alone is one without a reference and a confirmation.

    UserError for one that does not fit, or that has several objectives, in which experiments are not compared.
    """
    refuse(given, ("objectives", "pick"), "is for one model and one data set, as an overview compares by the metric")
    strategies, base, alone = _what_is_compared(given)
    if alone:
        return _experiment(given, strategies[-1:], base, Confirm(top=0, seeds=0))
    return _experiment(given, strategies, base, _confirm(given))


def _what_is_compared(given: Given) -> tuple[list[str], int | None, bool]:
    """Return the strategies, the reference first if there is one, the trials that tune it, as `_search` takes them, and
    whether the last strategy is to be searched alone."""
    if "compare" in given:
        return _compared(given), given.get("tune_base"), False
    own = new_spec(given)
    untuned = "baseline" in given or "points" in given  # what a point does not name is at its default
    strategies, base = _with_reference(given, own), given.get("tune_base", 0 if untuned else None)
    unconfirmed = not _confirm(given).runs and (len(strategies) == 1 or (base == 0 and "baseline" not in given))
    return strategies, base, unconfirmed or not MODELS[own.model].trains


def _confirm(given: Given) -> Confirm:
    return Confirm.model_validate({part: given[f"confirm_{part}"] for part in CONFIRM if f"confirm_{part}" in given})


def _experiment(given: Given, strategies: Sequence[str], base: int | None, confirm: Confirm) -> Experiment:
    if "name" in given:
        name = given["name"]
    elif "compare" in given:
        name = stamped(f"compare-{given.get('model')}-{given.get('dataset')}", 60)
    else:
        name = stamped(f"{given['model']}-{given['dataset']}-{strategies[-1]}", 55)
    name, searches = file_name(name), []
    for strategy in strategies:
        spec = _search(given, strategies, strategy, f"{name}-{strategy}", base)
        searches.append(spec.model_copy(update={"awaits_confirmation": confirm.runs > 0}))
    on_base = given.get("tune", "strategy") not in ("base", "all") and base != 0 and bool(searches[0].space.dimensions)
    try:
        return Experiment(name=name, confirm=confirm, on_base=on_base and len(searches) > 1, searches=searches)
    except ValidationError as error:
        raise UserError(f"--name: {first_fault(error).rpartition('name: ')[2]}") from None


def _compared(given: Given) -> list[str]:
    """Return the strategies of --compare, the reference first."""
    refuse(given, ("strategy", "baseline", "export_format", "points"), "has no meaning with --compare")
    refuse(given, ("objectives", "pick"), "is for one strategy, as --compare compares by the metric")
    if (model := MODELS.get(given.get("model", ""))) and not model.trains:
        raise UserError(f"--compare: {given['model']} has nothing to train, so that all strategies are the same")
    if given.get("tune", "strategy") not in SECTIONS_OF_TUNE:
        raise UserError(f"--tune {given['tune']}: expected one of {', '.join(SECTIONS_OF_TUNE)} with --compare")
    named = [REFERENCE, *given["compare"].split(","), *(CONTROLS if "controls" in given else ())]
    return list(dict.fromkeys(known_strategy(name.strip(), "--compare") for name in named))


def _with_reference(given: Given, own: SearchSpec) -> list[str]:
    """Return the strategy of a search, behind the reference if it has one."""
    wanted = [name for name in OF_COMPARISONS if given.get(name)]
    if not MODELS[own.model].trains:
        refuse(given, wanted, f"{own.model} has nothing to train, so there is nothing to confirm or to compare")
    if base := given.get("tune_base"):
        if "baseline" in given:
            raise UserError(f"--baseline: is plain training that is not tuned, but --tune-base {base} tunes it")
        if "points" in given:
            raise UserError(f"--points: what a point does not name is at its default, but --tune-base {base} tunes it")
    if own.objectives:
        named = [name for name in wanted if name in ("baseline", "tune_base")]
        refuse(given, named, "no reference goes with --objectives, as it compares by the metric")
        return [own.strategy]
    alone = own.strategy == REFERENCE or (given.get("tune") == "base" and "baseline" not in given)
    if alone:
        why = "the search is one of plain training itself" if own.strategy == REFERENCE else "--tune base searches it"
        refuse(given, [name for name in wanted if name in ("baseline", "tune_base")], why)
    return [own.strategy] if alone else [REFERENCE, own.strategy]


def _search(given: Given, strategies: Sequence[str], strategy: str, name: str, base: int | None) -> SearchSpec:
    """Return the search of one of the strategies.

    `base`: trials that tune the reference; None: as many as the others have; 0: it stays at its defaults.
    """
    # --set of a strategy's knob goes only to the strategies that have this knob.
    others = {knob for other in strategies for knob in knobs(other)} - set(knobs(strategy))
    fits = [text for text in given.get("set", ()) if _parameter(text) not in others]
    own = {**given, "strategy": strategy, "name": file_name(name), "set": fits}
    if strategy == REFERENCE and len(strategies) > 1:
        own.pop("points", None)
    if strategy != REFERENCE or len(strategies) == 1:
        return new_spec(own)
    own |= {"tune": "strategy" if base == 0 else "base"} | ({"trials": base} if base else {})
    if "space" in given:  # whose knobs are not the reference's
        own["set"] = [*base_of(own.pop("space")), *fits]
    spec = new_spec(own)
    endless = spec.sampler == "grid" and spec.space.grid_size() is None
    return spec.model_copy(update={"sampler": "auto"}) if endless else spec


def _parameter(override: str) -> str:
    """Return NAME of NAME=VALUE or SECTION.NAME=VALUE."""
    return override.partition("=")[0].strip().rpartition(".")[2]


def warmed_experiment(experiment: Experiment, given: Given, data: RecDataset) -> Experiment:
    """Return the experiment whose searches take over what --warm-start names.

    Searches on a base that is still to be found take points alone: no value was measured on that base.
    """
    strategies = [spec.strategy for spec in experiment.searches]
    searches: list[SearchSpec] = []
    for place, spec in enumerate(experiment.searches):
        spec = warmed(spec, given, data, strategies)
        if place and experiment.on_base and spec.warm_start.told:
            points = [known.model_copy(update={"value": None}) for known in spec.warm_start.points]
            said = (*spec.warm_start.said, f"points alone, as the base is the one that {searches[0].name} finds")
            spec = spec.model_copy(update={"warm_start": WarmStart(points=tuple(points), said=said)})
        searches.append(spec)
    return experiment.model_copy(update={"searches": searches})
