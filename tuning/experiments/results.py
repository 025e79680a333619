"""The result of an experiment, read from the folders of its searches: each strategy beside the reference."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError

from recmodels.data import RecDataset
from recmodels.errors import UserError
from recmodels.evaluation import Evaluator
from recmodels.evaluation.paired_tests import Pair, PairedTest, pair_by_key, paired_tests
from recmodels.training.checkpoint import load_weights
from tuning.checked_file import first_fault
from tuning.execution.trial import trained_model
from tuning.experiments.confirmed import Confirmed, confirmed
from tuning.experiments.experiment import Experiment
from tuning.experiments.runner import as_it_runs
from tuning.export.model import Export
from tuning.records import Confirmation, SearchFolder, Tests, TrialRecord
from tuning.records.folder import read_json
from tuning.records.sealed import open_test, opened
from tuning.reports.tables import shown
from tuning.spec import SearchSpec

RESULT = "result.json"
"""The file of an experiment's result, for programs."""


@dataclass(frozen=True)
class StrategyResult:
    """The result of one strategy.

    `trials`, `passes`: of its search; `searched`: names of the parameters that differed in it. `best`: the winner of
    its search. `confirmed`: its best configurations on fresh seeds, None without any. `chosen`: the trial of the
    configuration that is compared on test. `tested`: the runs of it that are compared, on fresh seeds or, without
    them, the chosen trial itself. `tests`: seed -> their test metrics. `users`, `seeds`: the difference from the
    reference in the test metric, paired by user and by seed; None for the reference, or with fewer than two pairs.
    """

    strategy: str
    trials: int = 0
    passes: int = 0
    searched: list[str] = field(default_factory=list)
    best: TrialRecord | None = None
    chosen: TrialRecord | None = None
    confirmed: Confirmed | None = None
    tested: list[TrialRecord] = field(default_factory=list)
    tests: dict[int, dict[str, float]] = field(default_factory=dict)
    users: PairedTest | None = None
    seeds: PairedTest | None = None

    def per_epoch(self, cost: Literal["seconds", "passes"]) -> float | None:
        """Return the mean cost of an epoch in the tested runs; None without an epoch."""
        epochs = sum(record.epochs for record in self.tested)
        return sum(getattr(record, cost) for record in self.tested) / epochs if epochs else None

    def test(self, metric: str) -> list[float]:
        """Return the test metric of each tested run, seeds ascending."""
        return [self.tests[record.seed][metric] for record in self.tested]

    def parameters_of(self, record: TrialRecord) -> str:
        """Return a trial's values of what was searched: `alpha 1.2, interval 3`; empty if nothing was."""
        values = {name: value for section in record.params.values() for name, value in section.items()}
        return ", ".join(f"{name} {shown(values[name])}" for name in self.searched)

    def valid(self) -> list[float]:
        """Return the deciding metric of each tested run on validation, seeds ascending."""
        return [record.value for record in self.tested if record.value is not None]


def visible_tests(folder: SearchFolder, spec: SearchSpec) -> Tests:
    """Return the test metrics of a search that may be seen by now: of the winner, once it is confirmed, or exported
    where no confirmation is awaited, and of the others that `opened` names."""
    confirmation = Confirmation.in_file(folder.confirmation)
    chosen = confirmation.trial if confirmation else None
    tests: dict[str, Mapping[str, float]] = {}
    if folder.best.exists() and (confirmation or not spec.awaits_confirmation):
        export = Export.read(folder.best)
        exported = [record.trial for record in folder.contenders() if record.params == export.parameters]
        if found := next((name for name in exported if chosen in (None, name)), None):
            chosen, tests = found, {found: export.metrics.test}  # one that was cut short has them nowhere else
    for name, test in opened(folder, spec, folder.ledger().values(), chosen).items():
        tests |= {name: test} if test else {}
    return tests


def saved_results(experiment: Experiment) -> list[StrategyResult] | None:
    """Return the results of an experiment as its result.json has them; None before there is one. UserError if it is
    damaged."""
    path = experiment.folder / RESULT
    if not path.exists():
        return None
    try:
        return TypeAdapter(list[StrategyResult]).validate_python(read_json(path)["strategies"])
    except (KeyError, TypeError, ValidationError) as error:
        fault = first_fault(error) if isinstance(error, ValidationError) else "no strategies"
        raise UserError(f"{path}: not the result of an experiment ({fault})") from None


def read_results(experiment: Experiment, data: RecDataset) -> list[StrategyResult]:
    """Return the result of each strategy, the reference first; empty ones where there was no base to search on."""
    found = [as_it_runs(experiment, place) for place in range(len(experiment.searches))]
    runs = {spec.strategy: TestedRuns(experiment, spec, data) for spec in found if spec}
    pairs_of_users, pairs_of_seeds = {}, {}
    if experiment.reference:
        reference = runs[experiment.reference.strategy]
        for name, run in runs.items():
            if run is not reference:
                pairs_of_users[name] = run.pair_users(reference)
                pairs_of_seeds[name] = pair_by_key(run.by_seed, reference.by_seed)
    by_user, by_seed = paired_tests(pairs_of_users), paired_tests(pairs_of_seeds)
    return [
        runs[spec.strategy].result(by_user.get(spec.strategy), by_seed.get(spec.strategy))
        if spec.strategy in runs
        else StrategyResult(spec.strategy)
        for spec in experiment.searches
    ]


class TestedRuns:
    """The search of one strategy, and its tested runs.

    `search`: its spec as it ran. `tested`: seed -> the record of its run. `folder`: of the search that the tested runs
    are of. `tests`: seed -> all test metrics. `by_seed`: seed -> the test metric.
    """

    __test__ = False  # pytest would take it for a class of tests

    def __init__(self, experiment: Experiment, search: SearchSpec, data: RecDataset):
        self.search, self.data, self.metric = search, data, experiment.metric
        self.confirmed = confirmed(experiment, search)
        confirmation = experiment.confirmation_of(search)
        self.folder = SearchFolder.of(confirmation or search)
        if self.confirmed:
            self.chosen: TrialRecord | None = self.confirmed.chosen.found
            records = self.confirmed.chosen.runs
        else:
            self.chosen = next(iter(SearchFolder.of(search).contenders()), None)
            records = [self.chosen] if self.chosen and not confirmation else []
        opened = {record.seed: open_test(self.folder.trial(record.trial)) for record in records}  # the choice is made
        self.tests = {seed: test for seed, test in opened.items() if self.metric in test}
        self.tested = {record.seed: record for record in records if record.seed in self.tests}
        self.by_seed = {seed: test[self.metric] for seed, test in self.tests.items()}

    def result(self, users: PairedTest | None, seeds: PairedTest | None) -> StrategyResult:
        """Return the result of the strategy, with its differences from the reference."""
        folder = SearchFolder.of(self.search)
        ledger = folder.ledger().values()
        return StrategyResult(
            strategy=self.search.strategy,
            trials=len(ledger),
            passes=sum(record.passes for record in ledger),
            searched=[coordinate.partition("/")[0] for coordinate in self.search.space.dimensions],
            best=next(iter(folder.contenders()), None),
            chosen=self.chosen,
            confirmed=self.confirmed,
            tested=list(self.tested.values()),
            tests=self.tests,
            users=users,
            seeds=seeds,
        )

    @cached_property
    def by_user(self) -> dict[int, dict[int, float]]:
        """Seed -> user -> the user's test metric. The users are the same for all seeds and strategies."""
        return {seed: self._by_user(run) for seed, run in self.tested.items()}

    def pair_users(self, other: "TestedRuns") -> Pair:
        """Return the mean of each user over the seeds that both have."""
        seeds = sorted(self.by_user.keys() & other.by_user.keys())
        pairs = [pair_by_key(self.by_user[seed], other.by_user[seed]) for seed in seeds]
        return Pair(*np.mean(pairs, axis=0)) if pairs else pair_by_key({}, {})

    def _by_user(self, record: TrialRecord) -> dict[int, float]:
        trial = self.folder.trial(record.trial)
        weights = load_weights(trial.best_weights(record.best_epoch or 0))
        model = trained_model(trial.plan(), self.search.model, self.data, weights)
        with torch.no_grad():
            found = Evaluator(self.data, "test", (self.metric.k,)).rank(model)
        return dict(zip(found.users.tolist(), found.values(self.metric).tolist(), strict=True))
