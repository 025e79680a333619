"""What the experiment of a pair has found, read from its result.json, and what it lacks."""

from collections.abc import Iterator
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, ValidationError

from recmodels.errors import UserError
from recmodels.metric import Metric
from tuning.checked_file import first_fault
from tuning.experiments.experiment import Experiment
from tuning.overview.plan import PlannedPair
from tuning.records import Difference, SearchFolder
from tuning.records.folder import read_json
from tuning.spec import CheckedMetric, Scores


class StrategyFigures(BaseModel):
    """Figures of one strategy.

    `tests`: seed -> test metrics of the runs that are compared. `seeds`, `users`: the difference from the reference in
    the metric that decides, p after Holm's correction. `choice`: how the fresh seeds chose it; None without any.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")

    strategy: str
    tests: dict[int, dict[str, float]]
    seeds: Difference | None = None
    users: Difference | None = None
    choice: str | None = None
    decision: str | None = None
    verdict: str


class PairFigures(BaseModel):
    """Figures of a pair: of each strategy, and of popularity on test. `metric`: the one that decides."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    metric: CheckedMetric
    popularity: Scores | None
    strategies: list[StrategyFigures]

    @classmethod
    def of(cls, pair: PlannedPair) -> Self | None:
        """Read the result of a pair; None before there is one. UserError for a damaged file."""
        path: Path = pair.experiment.folder / "result.json"
        if not path.exists():
            return None
        try:
            return cls.model_validate(read_json(path))
        except ValidationError as error:
            raise UserError(f"{path}: {first_fault(error)}") from None

    def floor(self, metric: Metric) -> float | None:
        """Return popularity's test metric; None if it was not measured."""
        return self.popularity["test"].get(metric) if self.popularity else None


def fault_of(pair: PlannedPair) -> str | None:
    """Return, as one line, why strategies of a pair that has ended have no result on test; None if all have one."""
    figures = PairFigures.of(pair)
    tested = {each.strategy for each in figures.strategies if each.tests} if figures else set()
    found = [(spec.strategy, _why(pair.experiment, spec.strategy)) for spec in pair.experiment.searches]
    lacking = [(strategy, why) for strategy, why in found if strategy not in tested or why.startswith("out of memory")]
    if not lacking:
        return None
    by_reason: dict[str, list[str]] = {}
    for strategy, why in lacking:
        by_reason.setdefault(why, []).append(strategy)
    return "; ".join(f"{', '.join(strategies)}: {why}" for why, strategies in by_reason.items())


def _why(experiment: Experiment, strategy: str) -> str:
    """Return why a strategy has no result, as its searches say: the first trial of which they kept a reason."""
    spec = next(spec for spec in experiment.searches if spec.strategy == strategy)
    folders = [SearchFolder.of(spec)]
    if confirmation := experiment.confirmation_of(spec):
        folders.append(SearchFolder.of(confirmation))
    return next((why for folder in folders for why in _reasons(folder)), "no result, as there was no base to search on")


def _reasons(folder: SearchFolder) -> Iterator[str]:
    if not folder.exists():
        return
    for name, reason in folder.out_of_memory().items():
        yield f"out of memory in {folder.name}, trial {name}: {reason}"
    if folder.contenders():
        return
    records = folder.ledger().values()
    failed = [record for record in records if record.status == "failed"]
    if failed:
        yield f"{len(failed)} of {len(records)} trials of {folder.name} failed, the first with: {failed[0].reason}"
    yield f"{folder.name} has no result"
