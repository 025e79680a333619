"""The best configurations of a search on fresh seeds, read from the folders, and the one that is chosen."""

from dataclasses import dataclass
from statistics import fmean

from tuning.experiments.choice import Candidate, Choice, choose
from tuning.experiments.experiment import Experiment
from tuning.records import SearchFolder, TrialRecord
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

    def candidate(self) -> Candidate:
        """Return what a choice looks at."""
        epochs = sum(run.epochs for run in self.runs)
        passes = sum(run.passes for run in self.runs) / epochs if epochs else 0.0
        return Candidate(self.values, passes, epochs / len(self.runs) if self.runs else 0.0)


@dataclass(frozen=True)
class Confirmed:
    """The confirmed configurations of a search, the best of the search first, and the choice among them."""

    configurations: list[Configuration]
    choice: Choice

    @property
    def chosen(self) -> Configuration:
        return self.configurations[self.choice.chosen]

    def why(self) -> str:
        """Return the choice as a sentence."""
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
    return Confirmed(configurations, choose([each.candidate() for each in configurations]))


def _plural(noun: str, number: int) -> str:
    return noun if number == 1 else f"{noun}s"
