"""The best configurations of a search on fresh seeds, read from the folders, and the one that is chosen."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import fmean

from tuning.experiments.choice import Candidate, Choice, choose
from tuning.experiments.experiment import Experiment, distinct
from tuning.experiments.front_of_means import FrontOfMeans, front_of_means
from tuning.objectives import KNEE, Objective, objectives_of
from tuning.objectives.objective import is_trial
from tuning.records import SearchFolder, TrialRecord
from tuning.records.front import front_of
from tuning.reports.tables import shown
from tuning.spec import SearchSpec


@dataclass(frozen=True)
class Configuration:
    """A configuration that was confirmed.

    `found`: its trial in the search. `runs`: on the fresh seeds, seeds ascending. Runs that failed are among them,
    those that have not ended are not.
    """

    found: TrialRecord
    runs: list[TrialRecord]

    @property
    def values(self) -> dict[int, float]:
        """Seed -> validation value of the runs that finished."""
        done = [run for run in self.runs if run.status == "finished"]
        return {run.seed: run.value for run in done if run.value is not None}

    def by_seed(self, objective: Objective) -> dict[int, float]:
        """Return seed -> value of an objective in the runs that finished."""
        done = {run.seed: objective.of(run) for run in self.runs if run.status == "finished"}
        return {seed: value for seed, value in done.items() if value is not None}

    def candidate(self) -> Candidate:
        """Return what a choice looks at."""
        epochs = sum(run.epochs for run in self.runs)
        passes = sum(run.passes for run in self.runs) / epochs if epochs else 0.0
        return Candidate(self.values, passes, epochs / len(self.runs) if self.runs else 0.0)


@dataclass(frozen=True)
class Confirmed:
    """The confirmed configurations of a search, the best of the search first, and the choice among them.

    `front`: with several objectives what became of their front, by which `pick` chose. `left_out`: points of the
    search's front that were not confirmed.
    """

    configurations: list[Configuration]
    choice: Choice
    front: FrontOfMeans | None = None
    pick: str = KNEE
    left_out: int = 0

    @property
    def chosen(self) -> Configuration:
        return self.configurations[self.front.chosen if self.front else self.choice.chosen]

    def word(self, place: int) -> str:
        """Return what became of a configuration in the choice, in a few words."""
        if self.front:
            return self._word_of_front(place, self.front)
        if place == self.choice.chosen:
            return "chosen"
        return "not told apart" if place in self.choice.alike else ""

    def why(self) -> str:
        """Return the choice as a sentence."""
        return self._why_of_front(self.front) if self.front else self._why()

    def _word_of_front(self, place: int, front: FrontOfMeans) -> str:
        if place in front.incomplete:
            word = "without a result on every seed"
        elif place in front.stays:
            word = "on the front of the means"
        else:
            word = f"behind {self._name(front.beaten[place])}"
        alike = f", not told apart from {self._names(front.alike[place])}" if front.alike.get(place) else ""
        return f"{'chosen, ' if place == front.chosen else ''}{word}{alike}"

    def _why_of_front(self, front: FrontOfMeans) -> str:
        seeds, number = max(len(each.runs) for each in self.configurations), len(self.configurations)
        if not front.stays:
            return f"trial {self._name(front.chosen)}: no run on a fresh seed has all objectives"
        others = f", {self.left_out} more were not trained again" if self.left_out else ""
        parts = [
            f"of {number} {_plural('point', number)} of the front on {seeds} fresh {_plural('seed', seeds)}{others}, "
            f"{self._names(front.stays)} {'stays' if len(front.stays) == 1 else 'stay'} on the front of the means"
        ]
        parts += [f"{self._name(place)} is behind {self._name(by)} there" for place, by in front.beaten.items()]
        parts += [f"{self._name(place)} lacks results on some seeds" for place in front.incomplete]
        pairs = [(one, other) for one, others in front.alike.items() for other in others if one < other]
        alike = ", ".join(f"{self._name(one)} and {self._name(other)}" for one, other in pairs)
        if seeds == 1 and number > 1:
            parts.append("one seed each tells none of them apart")
        elif alike:
            parts.append(f"the seeds do not tell {alike} apart in any objective: their differences are within noise")
        elif number > 1:
            parts.append("the seeds tell all of them apart")
        return "; ".join([*parts, f"{self._name(front.chosen)} is taken, {self._how(front)}"])

    def _how(self, front: FrontOfMeans) -> str:
        if self._name(front.chosen) == self.pick:
            return "as it was asked for"
        return "as the knee" if self.pick == KNEE or is_trial(self.pick) else f"as the best in {self.pick}"

    def _name(self, place: int) -> str:
        return self.configurations[place].found.trial

    def _names(self, places: Iterable[int]) -> str:
        return ", ".join(map(self._name, places))

    def _why(self) -> str:
        found, (best, *alike) = self.configurations, self.choice.alike
        seeds, name = len(found[best].runs), f"trial {found[best].found.trial}"
        if not found[best].values:
            return f"trial {self.chosen.found.trial}: no run on a fresh seed has a result"
        mean = shown(fmean(found[best].values.values()))
        if len(found) == 1:
            return f"{name} has the mean {mean} on validation over {seeds} fresh {_plural('seed', seeds)}"
        first = f"of {len(found)} configurations {name} has the best mean on validation, {mean} over {seeds} fresh "
        first += _plural("seed", seeds)
        if not alike:
            return first
        others = ", ".join(found[place].found.trial for place in alike)
        same = f"{first}; the seeds do not tell {others} apart from it"
        if self.choice.chosen == best:
            return f"{same}, and none of them is cheaper"
        taken = self.chosen.candidate()
        cost = f"{shown(taken.passes)} passes an epoch, {shown(taken.epochs)} epochs"
        return f"{same}: {self.chosen.found.trial} is taken, as it is the cheapest ({cost})"


def confirmed(experiment: Experiment, spec: SearchSpec) -> Confirmed | None:
    """Return the confirmed configurations of the search `spec` of an experiment; None if nothing was confirmed."""
    confirmation = experiment.confirmation_of(spec)
    if confirmation is None:
        return None
    runs = SearchFolder.of(confirmation).ledger().values()
    trials = SearchFolder.of(spec).contenders()
    configurations = []
    for point in confirmation.confirmed or ({},):
        params = confirmation.space.resolve(point)
        if found := next((record for record in trials if record.params == params), None):
            own = sorted((run for run in runs if run.params == params), key=lambda run: run.seed)
            configurations.append(Configuration(found, own))
    if not any(each.runs for each in configurations):
        return None
    choice = choose([each.candidate() for each in configurations])
    if not spec.objectives:
        return Confirmed(configurations, choice)
    objectives = objectives_of(spec.objectives)
    values = [[each.by_seed(objective) for objective in objectives] for each in configurations]
    front = front_of_means(objectives, values, [each.found.trial for each in configurations], spec.pick)
    points = distinct(front_of(spec.objectives, trials).points)
    known = [each.found.params for each in configurations]
    left_out = sum(each.params not in known for each in points)
    return Confirmed(configurations, choice, front, spec.pick, left_out)


def _plural(noun: str, number: int) -> str:
    return noun if number == 1 else f"{noun}s"
