"""--objectives and --pick: what they set besides, what does not go with them, and the front on the terminal."""

from typing import Any

from rich.console import Console

from recmodels.errors import UserError
from recmodels.models import MODELS
from tuning.cli.arguments import Given, refuse
from tuning.objectives import objectives_of
from tuning.objectives.objective import is_trial
from tuning.records import SearchFolder
from tuning.records.confirmation import SEEDS
from tuning.records.front import front_of
from tuning.reports.front import front_lines, front_table
from tuning.reports.tables import say
from tuning.search import Outcome
from tuning.spec import SearchSpec


def for_objectives(given: Given) -> dict[str, Any]:
    """Return what --objectives sets in the spec of a new search: its metric, and no scheduler; {} without the option.

    UserError for names that are no objectives, a model without weights, and a pick that nobody can know yet.
    """
    if "objectives" not in given:
        refuse(given, ("pick",), "only with --objectives")
        return {}
    first = objectives_of(given["objectives"])[0]
    if not MODELS[given["model"]].trains:
        raise UserError(f"--objectives: {given['model']} has nothing to train, so that all its trials are the same")
    if is_trial(given.get("pick", "")):
        raise UserError(
            f"--pick {given['pick']}: a trial can be picked when it has ended, by --resume NAME --pick TRIAL"
        )
    return {"training": {"metric": first.name}, "scheduler": {"name": "none"}}


def check_pick(spec: SearchSpec, folder: SearchFolder, given: Given, experiment: str = "") -> None:
    """Raise UserError unless what --pick names may be chosen in a search that goes on.

    `experiment`: name of the one that goes on, empty for a search alone.
    """
    if "pick" not in given:
        return
    if not spec.objectives:
        raise UserError("--pick: only for a search with --objectives")
    pick = spec.pick
    if spec.awaits_confirmation and not experiment:
        raise UserError(f"--pick {pick}: {spec.name} is part of an experiment, expected --resume with the name of that")
    if not is_trial(pick):
        return
    records = list(folder.ledger().values())
    points, what = [each.trial for each in front_of(spec.objectives, records).points], "on the front"
    if confirmed := _confirmed(folder):
        points, what = [each.trial for each in records if each.params in confirmed], "confirmed"
    if pick not in points:
        raise UserError(f"--pick {pick}: expected a trial that is {what}: {', '.join(points) or 'there is none'}")


def show_front(spec: SearchSpec, outcome: Outcome, console: Console) -> None:
    """Print the front of a search with several objectives."""
    if not spec.objectives:
        return
    front = front_of(spec.objectives, outcome.records)
    if front.points:
        console.print(front_table(spec, front, outcome.winner, outcome.tests))
    for line in front_lines(spec, front, outcome.winner, outcome.records):
        say(console, line)
    if outcome.front:
        say(console, f"the points of the front, to be trained again: {', '.join(map(str, outcome.front))}")


def _confirmed(folder: SearchFolder) -> list[Any]:
    """Return the parameters of the points of a search that are trained on fresh seeds; none before that begins."""
    begun = SearchFolder(folder.path.with_name(folder.name + SEEDS))
    if not begun.exists():
        return []
    spec = begun.spec()
    return [spec.space.resolve(point) for point in spec.confirmed]
