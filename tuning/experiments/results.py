"""The result of a comparison, read from the folders of its searches: each strategy beside the reference."""

from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import torch

from recmodels.data import RecDataset
from recmodels.evaluation import Evaluator
from recmodels.evaluation.paired_tests import Pair, PairedTest, pair_by_key, paired_tests
from recmodels.training.checkpoint import load_weights
from tuning.execution.trial import trained_model
from tuning.experiments.comparison import Comparison
from tuning.records import SearchFolder, TrialRecord, winner
from tuning.records.sealed import open_test
from tuning.spec import SearchSpec


@dataclass(frozen=True, kw_only=True)
class TestedRun(TrialRecord):
    """A run that is compared on test. `test`: its test metrics."""

    __test__ = False  # pytest would take it for a class of tests

    test: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class StrategyResult:
    """The result of one strategy.

    `trials`, `passes`: of its search. `best`: the winner of its search. `tested`: the runs that are compared on test,
    of the winner on fresh seeds or, without fresh seeds, the winner itself. `users`, `seeds`: the difference from the
    reference in the test metric, paired by user and by seed; None for the reference, or with fewer than two pairs.
    """

    strategy: str
    trials: int
    passes: int
    best: TrialRecord | None
    tested: list[TestedRun]
    users: PairedTest | None
    seeds: PairedTest | None

    def per_epoch(self, cost: Literal["seconds", "passes"]) -> float | None:
        """Return the mean cost of an epoch in the tested runs; None without an epoch."""
        epochs = sum(record.epochs for record in self.tested)
        return sum(getattr(record, cost) for record in self.tested) / epochs if epochs else None

    def test(self, metric: str) -> list[float]:
        """Return the test metric of each tested run."""
        return [record.test[metric] for record in self.tested]


def read_results(comparison: Comparison, data: RecDataset) -> list[StrategyResult]:
    """Return the result of each strategy, the reference first."""
    runs = [TestedRuns(comparison, spec, data) for spec in comparison.searches]
    reference, *rivals = runs
    by_user = paired_tests({run.spec.strategy: run.pair_users(reference) for run in rivals})
    by_seed = paired_tests({run.spec.strategy: pair_by_key(run.by_seed, reference.by_seed) for run in rivals})
    return [
        StrategyResult(
            strategy=run.spec.strategy,
            trials=len(run.ledger),
            passes=sum(record.passes for record in run.ledger),
            best=winner(run.ledger),
            tested=list(run.tested.values()),
            users=by_user.get(run.spec.strategy),
            seeds=by_seed.get(run.spec.strategy),
        )
        for run in runs
    ]


class TestedRuns:
    """The search of one strategy, and its tested runs.

    `ledger`: of the search. `tested`: seed -> its run. `spec`: the search that the tested runs are of.
    `by_seed`: seed -> its test metric.
    """

    __test__ = False  # pytest would take it for a class of tests

    def __init__(self, comparison: Comparison, spec: SearchSpec, data: RecDataset):
        self.data, self.metric = data, comparison.metric
        self.ledger = list(SearchFolder.of(spec).ledger().values())
        confirmation = comparison.confirmation_of(spec)
        self.spec = confirmation or spec
        best = winner(self.ledger)
        records = SearchFolder.of(confirmation).ledger().values() if confirmation else [best] if best else []
        runs = [self._run(record) for record in records]
        self.tested = {run.seed: run for run in runs if self.metric in run.test}
        self.by_seed = {seed: run.test[self.metric] for seed, run in self.tested.items()}

    @cached_property
    def by_user(self) -> dict[int, dict[int, float]]:
        """Seed -> user -> the user's test metric. The users are the same for all seeds and strategies."""
        return {seed: self._by_user(run) for seed, run in self.tested.items()}

    def pair_users(self, other: "TestedRuns") -> Pair:
        """Return the mean of each user over the seeds that both have."""
        seeds = sorted(self.by_user.keys() & other.by_user.keys())
        pairs = [pair_by_key(self.by_user[seed], other.by_user[seed]) for seed in seeds]
        return Pair(*np.mean(pairs, axis=0)) if pairs else pair_by_key({}, {})

    def _run(self, record: TrialRecord) -> TestedRun:
        return TestedRun(**vars(record), test=open_test(SearchFolder.of(self.spec).trial(record.trial)))

    def _by_user(self, run: TestedRun) -> dict[int, float]:
        trial = SearchFolder.of(self.spec).trial(run.trial)
        weights = load_weights(trial.best_weights(run.best_epoch or 0))
        model = trained_model(trial.plan(), self.spec.model, self.data, weights)
        with torch.no_grad():
            found = Evaluator(self.data, "test", (self.metric.k,)).per_user(*model.embed())
        return dict(zip(found.users.tolist(), found.values(self.metric).tolist(), strict=True))
