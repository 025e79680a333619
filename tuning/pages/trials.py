"""A search as a page shows it, read from its folder: trials, learning curves, and what may be seen of the test."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from tuning.experiments.results import visible_tests
from tuning.records import (
    Confirmation,
    Environment,
    EpochRow,
    SearchFolder,
    Tests,
    TrialPlan,
    TrialRecord,
    baseline,
)
from tuning.records.front import chosen_trial
from tuning.spec import Scores, SearchSpec


@dataclass(frozen=True)
class Curve:
    """The validation metric of a trial over its evaluated epochs. `passes`: done by the end of each of them."""

    name: str
    epochs: tuple[int, ...]
    passes: tuple[int, ...]
    values: tuple[float, ...]

    @classmethod
    def of(cls, name: str, rows: Sequence[EpochRow], metric: str) -> Self:
        """Return the curve of a trial's epochs; one without points if no epoch was evaluated."""
        points, passes = [], 0
        for row in rows:
            passes += row.passes
            if metric in row.valid:
                points.append((row.epoch, passes, row.valid[metric]))
        epochs, costs, values = zip(*points, strict=True) if points else ((), (), ())
        return cls(name, epochs, costs, values)


@dataclass(frozen=True)
class SearchTrials:
    """A search as its folder has it now.

    `records`: of the trials that ended, in the order in which they did. `running`: plans of those that were started and
    have not ended. `best`: the trial that was chosen, or before that the best so far. `tests`: the test metrics that
    may be seen.
    """

    spec: SearchSpec
    folder: SearchFolder
    records: list[TrialRecord]
    running: list[TrialPlan]
    best: TrialRecord | None
    tests: Tests
    confirmation: Confirmation | None
    environment: Environment | None
    popularity: Scores | None

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read the search in a folder, which may be a copy in another place. UserError for a damaged file."""
        folder = SearchFolder(path.resolve())
        spec = folder.spec().model_copy(update={"name": path.name, "output_dir": str(path.parent)})
        records = list(folder.ledger().values())
        confirmation = Confirmation.in_file(folder.confirmation)
        return cls(
            spec=spec,
            folder=folder,
            records=records,
            running=folder.unfinished(),
            best=chosen_trial(spec, folder.contenders(), confirmation),
            tests=visible_tests(folder, spec),
            confirmation=confirmation,
            environment=folder.environment(),
            popularity=folder.popularity(),
        )

    @property
    def metric(self) -> str:
        return self.spec.training.metric

    @property
    def tried(self) -> list[TrialRecord]:
        """The trials that ended but the baseline, in the order in which they did."""
        return [record for record in self.records if record.role != "baseline"]

    @property
    def plain(self) -> TrialRecord | None:
        """The trial that trained the base plainly, in an older search."""
        return baseline(self.records)

    @property
    def started(self) -> list[str]:
        """The names of all trials that have begun, those that ended first."""
        return [record.trial for record in self.records] + [plan.trial for plan in self.running]

    def curve(self, name: str) -> Curve:
        """Read the learning curve of a trial."""
        return Curve.of(name, self.folder.trial(name).epochs(), self.metric)
