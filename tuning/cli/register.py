"""--register: the winner of a search or an experiment as a model in the tracking store."""

from collections.abc import Sequence
from statistics import fmean

from rich.console import Console

from recmodels.data.dataset import RecDataset
from tuning.commandlines import public, resume_command, serve_command
from tuning.experiments import Experiment, StrategyResult
from tuning.records import TrialRecord
from tuning.reports.tables import say
from tuning.spec import SearchSpec
from tuning.tracking.registration import register


def best_result(results: Sequence[StrategyResult]) -> int | None:
    """Return the place of the strategy whose chosen configuration is the best on validation; None without a result.

    By the mean over fresh seeds where each has one, else by the value in the search. Of equal ones the first.
    """
    found = {place: each for place, each in enumerate(results) if each.chosen}
    if all(each.confirmed and each.valid() for each in found.values()):
        values = {place: fmean(each.valid()) for place, each in found.items()}
    else:
        values = {place: each.chosen.value or 0.0 for place, each in found.items() if each.chosen}
    return max(values, key=values.__getitem__, default=None)


def register_best(
    experiment: Experiment, results: Sequence[StrategyResult], data: RecDataset, console: Console
) -> bool:
    """Register the winner of an experiment, if that is wanted; return False if it could not be."""
    place = best_result(results)
    winner = None if place is None else results[place].chosen
    if place is None or winner is None or not experiment.searches[place].tracking.registered_as:
        return True
    return register_winner(experiment.searches[place], winner, data, console, experiment.name)


def register_winner(
    spec: SearchSpec, winner: TrialRecord | None, data: RecDataset, console: Console, whole: str = ""
) -> bool:
    """Register the winner of a search, if that is wanted, and say how it is served; return False if it could not be.

    `whole`: name of the experiment that the search belongs to.
    """
    name, uri = spec.tracking.registered_as, spec.tracking.mlflow
    if not name or winner is None or not uri:
        return True
    try:
        model = register(spec, winner, data)
    except Exception as error:  # a store may raise anything; the search itself is done
        cause = " ".join(str(error).split())[:300].replace(uri, public(uri))
        again = resume_command(whole or spec.name, spec.output_dir)
        say(console, f"--register {name}: not registered ({cause}); {again} tries again")
        return False
    said = f"registered: trial {winner.trial} of {spec.name}, {spec.strategy}, is {model}; it is served by:"
    say(console, f"{said}\n  {serve_command(uri, model)}")
    return True
