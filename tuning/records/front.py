"""The choice among the trials of a search, also of one with several objectives: by validation values alone."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from tuning.objectives import KNEE, Objective, front, knee, objectives_of
from tuning.objectives.objective import is_trial
from tuning.records.confirmation import Confirmation
from tuning.records.selection import contenders, ranked
from tuning.records.trials import TrialRecord
from tuning.spec import SearchSpec


@dataclass(frozen=True)
class Front:
    """The trials that no other one beats in all objectives, the best by the first objective first.

    `left_out`: trial -> why it could not be compared.
    """

    objectives: tuple[Objective, ...]
    points: list[TrialRecord]
    left_out: dict[str, str]

    def vectors(self) -> list[tuple[float, ...]]:
        """Return the values of each point, larger ones being better."""
        return [vector for each in self.points if (vector := gains(self.objectives, each)) is not None]

    def picked(self, pick: str) -> TrialRecord | None:
        """Return the point that a pick means: KNEE, the name of an objective for its best, or that of a trial.

        The knee for a trial that is not on the front; None if nothing is.
        """
        if not self.points:
            return None
        if is_trial(pick):
            found = next((each for each in self.points if each.trial == pick), None)
            return found or self.picked(KNEE)
        return self.points[place_of_pick(pick, self.objectives, self.vectors())]


def front_of(names: Sequence[str], records: Iterable[TrialRecord]) -> Front:
    """Return the front of these trials, but for a baseline. `names`: of the objectives."""
    objectives = objectives_of(names)
    compared, vectors, left_out = list[TrialRecord](), list[tuple[float, ...]](), dict[str, str]()
    for record in ranked(records):
        vector = gains(objectives, record) if record.status == "finished" else None
        if vector is not None:
            compared.append(record)
            vectors.append(vector)
        elif record.status == "finished":
            left_out[record.trial] = f"no {' and no '.join(missing(objectives, record))}"
        else:
            left_out[record.trial] = f"{record.status}: {record.reason}"
    return Front(objectives, [compared[place] for place in front(vectors)], left_out)


def chosen_trial(
    spec: SearchSpec, records: Iterable[TrialRecord], confirmation: Confirmation | None
) -> TrialRecord | None:
    """Return the trial that a search has chosen of those in `records`; None if none of them has a value.

    That of its confirmation, if there is one; else with several objectives the pick of its front, else, also where the
    front is empty, the winner by the metric.
    """
    records = list(records)
    own = confirmation.among(records) if confirmation and spec.role == "search" else None
    picked = front_of(spec.objectives, records).picked(spec.pick) if spec.objectives and not own else None
    return own or picked or next(iter(contenders(records)), None)


def place_of_pick(pick: str, objectives: Sequence[Objective], vectors: Sequence[Sequence[float]]) -> int:
    """Return the place of the knee, or of the best by the objective that `pick` names, the knee of several such."""
    if pick == KNEE:
        return knee(vectors)
    own = [each.name for each in objectives].index(pick)
    best = max(vector[own] for vector in vectors)
    places = [place for place, vector in enumerate(vectors) if vector[own] == best]
    return places[knee([vectors[place] for place in places])]


def gains(objectives: Sequence[Objective], record: TrialRecord) -> tuple[float, ...] | None:
    """Return a trial's value of each objective, turned such that larger is better; None if it lacks one."""
    values = [each.of(record) for each in objectives]
    found = [each.gain(value) for each, value in zip(objectives, values, strict=True) if value is not None]
    return tuple(found) if len(found) == len(objectives) else None


def missing(objectives: Sequence[Objective], record: TrialRecord) -> list[str]:
    """Return the names of the objectives that a trial has no value of."""
    return [each.name for each in objectives if each.of(record) is None]
