"""The result of a comparison, read from the folders of its searches: each strategy beside the reference."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from recmodels.data.dataset import RecDataset
from recmodels.evaluation import Evaluator
from recmodels.evaluation.contrast import Contrast, Pair, Values, contrasts
from recmodels.evaluation.metrics import METRICS
from recmodels.training.checkpoint import load_weights
from recmodels.training.strategies import is_reconstruction
from tuning.execution.trial import build
from tuning.experiments.comparison import REFERENCE, Comparison
from tuning.experiments.confirmation import confirmation_of
from tuning.records.folder import SearchFolder
from tuning.records.selection import winner
from tuning.records.trials import TrialRecord
from tuning.spec import SearchSpec


@dataclass(frozen=True)
class StrategyResult:
    """The result of one strategy.

    `trials`, `passes`: of its search. `best`: the winner of its search. `tested`: the runs whose test metrics count,
    the winner on fresh seeds or, without any, the winner itself. `users`, `seeds`: how it differs from the reference
    in the test metric, paired by user and by seed; None for the reference, or with fewer than two pairs.
    """

    strategy: str
    trials: int
    passes: int
    best: TrialRecord | None
    tested: list[TrialRecord]
    users: Contrast | None
    seeds: Contrast | None

    @property
    def reconstruction(self) -> bool:
        return is_reconstruction(self.strategy)

    @property
    def seconds_per_epoch(self) -> float | None:
        return self._per_epoch(sum(record.seconds for record in self.tested))

    @property
    def passes_per_epoch(self) -> float | None:
        return self._per_epoch(sum(record.passes for record in self.tested))

    def test(self, metric: str) -> list[float]:
        """Return the test metric of each run that counts."""
        return [record.test[metric] for record in self.tested]

    def _per_epoch(self, total: float) -> float | None:
        epochs = sum(record.epochs for record in self.tested)
        return total / epochs if epochs else None


def read_results(comparison: Comparison, data: RecDataset) -> list[StrategyResult]:
    """Return the result of each strategy, the reference first."""
    runs = {spec.strategy: TestedRuns(comparison, spec, data) for spec in comparison.searches}
    reference = runs[REFERENCE]
    rivals = {name: run for name, run in runs.items() if name != REFERENCE}
    by_user = contrasts({name: run.pair_users(reference) for name, run in rivals.items()})
    by_seed = contrasts({name: run.pair_seeds(reference) for name, run in rivals.items()})
    return [
        StrategyResult(
            strategy=name,
            trials=len(run.ledger),
            passes=sum(record.passes for record in run.ledger),
            best=winner(run.ledger),
            tested=list(run.tested.values()),
            users=by_user.get(name),
            seeds=by_seed.get(name),
        )
        for name, run in runs.items()
    ]


class TestedRuns:
    """The search of one strategy (`ledger`), and the runs whose test metrics count, by seed (`tested`)."""

    __test__ = False  # no class of tests, whatever its name says to pytest

    def __init__(self, comparison: Comparison, spec: SearchSpec, data: RecDataset):
        self.data, self.metric = data, comparison.metric
        self.ledger = list(SearchFolder.of(spec).ledger().values())
        self.spec = confirmation_of(comparison, spec) or spec
        records = list(SearchFolder.of(self.spec).ledger().values())
        if self.spec is spec:
            records = [best for best in [winner(records)] if best]
        self.tested = {record.seed: record for record in records if self.metric in record.test}

    @cached_property
    def by_user(self) -> dict[int, Values]:
        """Seed -> the test metric of each user."""
        return {seed: self._by_user(record) for seed, record in self.tested.items()}

    def pair_users(self, other: "TestedRuns") -> Pair:
        """Return each user's mean over the seeds that both have."""
        seeds = sorted(self.by_user.keys() & other.by_user.keys())
        if not seeds:
            return Pair(np.array([]), np.array([]))
        return Pair(*(np.mean([runs.by_user[seed] for seed in seeds], axis=0) for runs in (self, other)))

    def pair_seeds(self, other: "TestedRuns") -> Pair:
        """Return the test metric of each seed that both have."""
        seeds = sorted(self.tested.keys() & other.tested.keys())
        return Pair(*(np.array([runs.tested[seed].test[self.metric] for seed in seeds]) for runs in (self, other)))

    def _by_user(self, record: TrialRecord) -> Values:
        trial = SearchFolder.of(self.spec).trial(record.trial)
        model = build(trial.plan(), self.spec.model, self.data, torch.device("cpu")).model
        model.load_state_dict(load_weights(trial.best_weights(record.best_epoch or 0)))
        evaluator = Evaluator.of(self.data, "test", (self.metric.k,))
        with torch.no_grad():
            hits, n_positives = evaluator.hits(*model.eval().embed())
        return METRICS[self.metric.name](hits, n_positives, self.metric.k).numpy()
