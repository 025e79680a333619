"""The searches of an experiment as stages, one after the other: what is still to come, and how long it takes."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from tuning.proposals import planned_trials
from tuning.records import SearchFolder, TrialRecord
from tuning.records.confirmation import SEEDS
from tuning.reports.time_left import LEAST, TimeLeft
from tuning.spec import SearchSpec

UNLIKE = 0.6, 1.6
"""The least and the most that a trial of another strategy is taken to cost, relative to the trials that ended."""


@dataclass(frozen=True)
class Stage:
    """One search. `trials`: the most that it trains. `confirms`: it trains the best of the one before on fresh seeds,
    and stops no trial early. `limit`: the most seconds that it runs, None without one."""

    name: str
    trials: int
    confirms: bool
    limit: float | None = None


@dataclass(frozen=True)
class Place:
    """The place of a search in an experiment. `number`: from 1, of `of`. `later`: what comes after it.

    `known`: of a confirmation the seconds that trials of the search before took which were not stopped early.
    """

    number: int
    of: int
    later: tuple[Stage, ...]
    known: tuple[float, ...] = ()

    def __str__(self) -> str:
        return f"search {self.number} of {self.of}"


def stages_of(searches: Sequence[SearchSpec], top: int, seeds: int) -> list[Stage]:
    """Return the stages of an experiment: each search and its best `top` on `seeds` fresh seeds."""
    found = []
    for spec in searches:
        trials = planned_trials(spec)
        found.append(Stage(spec.name, trials, confirms=False, limit=spec.budget.seconds))
        if top and seeds:
            found.append(Stage(spec.name + SEEDS, min(top, trials) * seeds, confirms=True))
    return found


def place_of(name: str, stages: Sequence[Stage], root: Path) -> Place:
    """Return the place of the search of this name, which is one of the stages. `root`: the folder of their folders."""
    index = [stage.name for stage in stages].index(name)
    known: tuple[float, ...] = ()
    if stages[index].confirms:
        before = SearchFolder(root / stages[index - 1].name).ledger().values()
        known = tuple(record.seconds for record in before if record.status == "finished")
    return Place(index + 1, len(stages), tuple(stages[index + 1 :]), known)


def time_of(later: Sequence[Stage], ended: Collection[TrialRecord], at_once: int) -> TimeLeft | None:
    """Return the time for stages that have not begun; None with fewer than LEAST trials that have ended.

    A trial is taken to cost what those of this search did in the mean, one on a fresh seed what those did that were not
    stopped early; strategies differ, so that the range is wide.
    """
    if len(ended) < LEAST:
        return None
    usual = fmean(record.seconds for record in ended)
    full = [record.seconds for record in ended if record.status == "finished"]
    whole = fmean(full) if full else usual
    work = 0.0
    for stage in later:
        seconds = stage.trials * (whole if stage.confirms else usual) / max(1, min(at_once, stage.trials))
        work += min(seconds, stage.limit or seconds)
    return TimeLeft(UNLIKE[0] * work, UNLIKE[1] * work) if work else TimeLeft(0.0, 0.0)


def what_comes(stages: Sequence[Stage], strategies: Sequence[str]) -> str:
    """Return what is going to be trained, as the first thing that a person reads: `at most 80 trainings in 2 searches
    (plain, mg), then 30 of the best on fresh seeds`."""
    searched = [stage for stage in stages if not stage.confirms]
    again = sum(stage.trials for stage in stages if stage.confirms)
    trials = sum(stage.trials for stage in searched)
    text = f"at most {trials} training{'' if trials == 1 else 's'}"
    if len(searched) > 1:
        text += f" in {len(searched)} searches ({', '.join(strategies)})"
    return text + (f", and {again} of the best configurations on fresh seeds" if again else "")
