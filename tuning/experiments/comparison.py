"""Strategies side by side: the same budget, base and seeds for each, then its best configuration on fresh seeds.

searches/NAME/          comparison.yaml, done.jsonl (the searches that ended), result.json, result.md
searches/NAME-mg/       the search of one strategy, an ordinary one
searches/NAME-mg-seeds/ its best configuration, trained on seeds that had no part in the choice
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Annotated, ClassVar

import numpy as np
import torch
from pydantic import Field

from recmodels.data.dataset import RecDataset
from recmodels.evaluation import Evaluator
from recmodels.evaluation.paired_tests import Pair, PairedTest, pair_by_key, paired_tests
from recmodels.files import append_line, read_lines, write_whole
from recmodels.metric import Metric
from recmodels.training.checkpoint import load_weights
from recmodels.training.strategies import is_reconstruction
from tuning.execution.trial import best_file, build
from tuning.records.folder import SearchFolder, TrialRecord
from tuning.records.selection import winner
from tuning.search import Outcome
from tuning.spec import File, SearchSpec

REFERENCE = "plain"
"""What every strategy is measured by."""


class Comparison(File):
    """`searches`: one per strategy, the reference first; `seeds`: how many fresh ones each winner is trained on."""

    what: ClassVar = "a comparison"
    name: str
    seeds: Annotated[int, Field(ge=0)] = 5
    searches: list[SearchSpec]

    @property
    def folder(self) -> Path:
        return Path(self.searches[0].output_dir) / self.name

    @property
    def metric(self) -> Metric:
        return Metric(self.searches[0].training.metric)

    def write(self) -> None:
        write_whole(self.folder / "comparison.yaml", self.to_yaml())


@dataclass(frozen=True)
class Line:
    """One strategy's line of the result. `best`: the winner of its search; `tested`: the runs that its test value is
    of, the winner on fresh seeds or, without any, the winner itself.

    `users`, `seeds`: how it differs from the reference in the test metric, paired by user and by seed.
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

    def _per_epoch(self, total: float) -> float | None:
        epochs = sum(record.epochs for record in self.tested)
        return total / epochs if epochs else None


def run_comparison(
    comparison: Comparison, data: RecDataset, run: Callable[[SearchSpec, SearchFolder], Outcome]
) -> list[Line] | None:
    """Run what is left of it, one search after the other; None if the user interrupted.

    `run` starts or resumes a search. A comparison that was killed goes on where it was.
    """
    comparison.write()
    done = comparison.folder / "done.jsonl"
    for spec in _parts(comparison):
        if spec.name in {row["search"] for row in read_lines(done)}:
            continue
        if run(spec, folder_of(spec)).interrupted:
            return None
        append_line(done, {"search": spec.name}, sync=True)
    return lines(comparison, data)


def _parts(comparison: Comparison) -> Iterator[SearchSpec]:
    for spec in comparison.searches:
        yield spec
        if fresh := seeds_of(comparison, spec):
            yield fresh


def seeds_of(comparison: Comparison, spec: SearchSpec) -> SearchSpec | None:
    """The search that trains a strategy's winner on fresh seeds; None if there is no winner, or no seed is wanted."""
    best = winner(folder_of(spec).ledger().values())
    if best is None or not comparison.seeds:
        return None
    changes = {
        "name": f"{spec.name}-seeds",
        "space": best.params,
        "repeat_seeds": True,
        "scheduler": {"name": "none"},
        "budget": {"trials": comparison.seeds},
        "training": spec.training.model_dump() | {"seed": spec.training.seed + 1},
        "export_dir": str(comparison.folder),
    }
    return SearchSpec.model_validate(spec.model_dump() | changes)


def folder_of(spec: SearchSpec) -> SearchFolder:
    return SearchFolder((Path(spec.output_dir) / spec.name).resolve())


def lines(comparison: Comparison, data: RecDataset) -> list[Line]:
    """The result, read from the folders of its searches."""
    runs = {spec.strategy: _Runs(comparison, spec, data) for spec in comparison.searches}
    reference = runs[REFERENCE]
    rivals = {name: run for name, run in runs.items() if name != REFERENCE}
    by_user = paired_tests({name: run.pair_users(reference) for name, run in rivals.items()})
    by_seed = paired_tests({name: run.pair_seeds(reference) for name, run in rivals.items()})
    return [
        Line(
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


class _Runs:
    """One strategy's search and the runs whose test metrics count, by seed."""

    def __init__(self, comparison: Comparison, spec: SearchSpec, data: RecDataset):
        self.data, self.metric = data, comparison.metric
        self.ledger = list(folder_of(spec).ledger().values())
        self.spec = seeds_of(comparison, spec) or spec
        records = list(folder_of(self.spec).ledger().values())
        if self.spec is spec:
            records = [best for best in [winner(records)] if best]
        self.tested = {record.seed: record for record in records if self.metric in record.test}

    @cached_property
    def by_user(self) -> dict[int, dict[int, float]]:
        """Seed -> user -> the user's test metric."""
        return {seed: self._by_user(record) for seed, record in self.tested.items()}

    def pair_users(self, other: "_Runs") -> Pair:
        """Each user's mean over the seeds that both have."""
        seeds = sorted(self.by_user.keys() & other.by_user.keys())
        return pair_by_key(self._user_means(seeds), other._user_means(seeds))

    def pair_seeds(self, other: "_Runs") -> Pair:
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
        trial = folder_of(self.spec).trial(record.trial)
        model = build(trial.plan() or {}, self.spec.model, self.data, torch.device("cpu")).model
        model.load_state_dict(load_weights(best_file(trial, record.best_epoch or 0)))
        evaluator = Evaluator(self.data, "test", (self.metric.k,))
        with torch.no_grad():
            found = evaluator.per_user(*model.eval().embed())
        return dict(zip(found.users.tolist(), found.values(self.metric).tolist(), strict=True))
