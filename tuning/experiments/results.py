"""The result of a comparison, read from the folders of its searches: each strategy beside the reference."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch

from recmodels.data.dataset import RecDataset
from recmodels.evaluation import Evaluator
from recmodels.evaluation.paired_tests import Pair, PairedTest, pair_by_key, paired_tests
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
    users: PairedTest | None
    seeds: PairedTest | None

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
    by_user = paired_tests({name: run.pair_users(reference) for name, run in rivals.items()})
    by_seed = paired_tests({name: run.pair_seeds(reference) for name, run in rivals.items()})
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
    def by_user(self) -> dict[int, dict[int, float]]:
        """Seed -> user -> the user's test metric."""
        return {seed: self._by_user(record) for seed, record in self.tested.items()}

    def pair_users(self, other: "TestedRuns") -> Pair:
        """Return the mean of each user over the seeds that both have."""
        seeds = sorted(self.by_user.keys() & other.by_user.keys())
        return pair_by_key(self._user_means(seeds), other._user_means(seeds))

    def pair_seeds(self, other: "TestedRuns") -> Pair:
        """Return the test metric of each seed that both have."""
        ours, theirs = (
            {seed: record.test[self.metric] for seed, record in runs.tested.items()} for runs in (self, other)
        )
        return pair_by_key(ours, theirs)

    def _user_means(self, seeds: list[int]) -> dict[int, float]:
        """User -> the mean of the test metric over these seeds."""
        runs = [self.by_user[seed] for seed in seeds]
        if not runs:
            return {}
        users = sorted(set(runs[0]).intersection(*runs))
        return dict(zip(users, np.mean([[run[user] for user in users] for run in runs], axis=0), strict=True))

    def _by_user(self, record: TrialRecord) -> dict[int, float]:
        trial = SearchFolder.of(self.spec).trial(record.trial)
        model = build(trial.plan(), self.spec.model, self.data, torch.device("cpu")).model
        model.load_state_dict(load_weights(trial.best_weights(record.best_epoch or 0)))
        with torch.no_grad():
            found = Evaluator(self.data, "test", (self.metric.k,)).per_user(*model.eval().embed())
        return dict(zip(found.users.tolist(), found.values(self.metric).tolist(), strict=True))
