"""Made searches and experiments with points of a space and learning curves, as a page shows them."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from recmodels.evaluation.paired_tests import PairedTest
from tests.tuning.factories import ENVIRONMENT, made_metrics, made_plan, made_row
from tuning.experiments import Confirm, Experiment, StrategyResult
from tuning.experiments.conclusion import confirmation_of
from tuning.experiments.confirmed import confirmed
from tuning.experiments.experiment_report import write_result
from tuning.records import SearchFolder
from tuning.records.trials import Status, TrialResult, record_of
from tuning.space import Choice, Range, Space
from tuning.space.catalogue import search_space
from tuning.spec import SearchSpec

METRIC = "recall@20"
SEALED = 0.7531
"""What every made test metric begins with, so that one can look for it in a page."""


def made_spec(searches: Path, name: str, strategy: str = "mg", **changes: Any) -> SearchSpec:
    """A search of LightGCN on demo, of the strategy's knobs, or of the base of plain training."""
    tune = {"tune": "base"} if strategy == "plain" else {}
    space = search_space("LightGCN", strategy, "demo", **tune)
    content = {"name": name, "model": "LightGCN", "dataset": "demo", "strategy": strategy, "space": space}
    return SearchSpec.model_validate(content | {"output_dir": str(searches), "tracking": {"uri": None}} | changes)


def made_search(
    spec: SearchSpec, trials: int = 12, epochs: int = 8, running: int = 0, statuses: Sequence[Status] | None = None
) -> Path:
    """The folder of a search whose trials lie spread over its space; by default most finish, some are pruned and the
    last one fails. `running`: trials behind these that have no end yet."""
    folder = SearchFolder.of(spec)
    folder.write_spec(spec)
    folder.write_environment(ENVIRONMENT)
    scores = {split: dict.fromkeys(made_metrics("0000", 1), 0.01) for split in ("valid", "test")}
    folder.write_popularity(scores)
    for number in range(trials + running):
        point = point_at(spec.space, number)
        plan = made_plan(
            trial=f"{number:04}",
            role=spec.role,
            strategy=spec.strategy,
            params=spec.space.resolve(point),
            point=point,
            seed=spec.training.seed + (number if spec.role == "confirmation" else 0),
        )
        usual: Status = "failed" if number == trials - 1 else "pruned" if number % 4 == 3 else "finished"
        status = statuses[number % len(statuses)] if statuses else usual
        length = epochs if status == "finished" else max(1, epochs // 2)
        trial = folder.trial(plan.trial)
        trial.write_plan(plan)
        rows, best, best_epoch = [], -math.inf, 0
        for epoch in range(1, length + 1):
            value = score(number, epoch, epochs)
            best, best_epoch = max((best, best_epoch), (value, epoch))
            valid = made_metrics(plan.trial, epoch) | {METRIC: value}
            rows.append(made_row(plan.trial, epoch, valid=valid, passes=40, best=best, best_epoch=best_epoch))
            trial.append_epoch(rows[-1])
        if number >= trials:
            continue
        if status == "finished":
            trial.write_test({name: round(SEALED + number / 1e6, 6) for name in made_metrics("0000", 1)})
        reason = "the loss became nan <script>alert(1)</script>" if status == "failed" else ""
        folder.append_record(record_of(plan, rows, TrialResult(status, reason)))
    return folder.path


def score(number: int, epoch: int, epochs: int) -> float:
    """A curve that rises and falls a little; trial 5 has the highest."""
    top = 0.1 - 0.004 * abs(number - 5)
    return round(top * (1 - math.exp(-3 * epoch / epochs)) + 0.0005 * math.sin(epoch * (number + 1)), 6)


def point_at(space: Space, number: int) -> dict[str, Any]:
    """A point of a space, another one for each number."""
    point = {}
    for place, (name, distribution) in enumerate(space.dimensions.items()):
        share = (number + 1) * (0.618 + 0.1 * place) % 1
        point[name] = value_at(distribution, share)
    return point


def value_at(distribution: Choice | Range, share: float) -> Any:
    if isinstance(distribution, Choice):
        return distribution.values[int(share * len(distribution.values))]
    if distribution.size:
        return distribution.at(int(share * distribution.size))
    low, high = distribution.low, distribution.high
    return low * (high / low) ** share if distribution.log else low + share * (high - low)


def made_experiment(searches: Path, name: str = "e", strategies: Sequence[str] = ("plain", "mg"), **sizes: Any) -> Path:
    """The folder of an experiment whose searches have run and whose winners were confirmed on three fresh seeds."""
    specs = [made_spec(searches, f"{name}-{each}", each, awaits_confirmation=True) for each in strategies]
    experiment = Experiment(name=name, confirm=Confirm(top=1, seeds=3), searches=specs)
    experiment.write()
    results = []
    for spec in specs:
        made_search(spec, **sizes)
        seeds = experiment.confirmation_of(spec)
        assert seeds is not None
        made_runs(seeds, seeds.confirmed[0])
        found = confirmed(experiment, spec)
        assert found is not None
        tested = found.chosen.runs
        tests = {run.seed: tests_of(run.seed, spec.strategy) for run in tested}
        rival = spec.strategy != "plain"
        results.append(
            StrategyResult(
                strategy=spec.strategy,
                trials=len(SearchFolder.of(spec).ledger()),
                passes=1000,
                searched=[name.partition("/")[0] for name in spec.space.dimensions],
                best=found.chosen.found,
                chosen=found.chosen.found,
                confirmed=found,
                tested=tested,
                tests=tests,
                users=PairedTest(0.01, 0.005, 0.015, 0.001, 900) if rival else None,
                seeds=PairedTest(0.01, 0.002, 0.018, 0.03, 3) if rival else None,
            )
        )
    write_result(experiment, results, SearchFolder.of(specs[0]).popularity())
    for spec, result in zip(specs, results, strict=True):
        confirmation = confirmation_of(experiment, results, result)
        assert confirmation is not None
        SearchFolder.of(spec).confirmation.write_text(confirmation.to_yaml())
    return experiment.folder


def made_runs(spec: SearchSpec, point: dict[str, Any]) -> None:
    """The runs of one point on three fresh seeds."""
    folder = SearchFolder.of(spec)
    folder.write_spec(spec)
    for number in range(3):
        plan = made_plan(
            trial=f"{number:04}",
            role="confirmation",
            strategy=spec.strategy,
            params=spec.space.resolve(point),
            point=point,
            seed=1000 + number,
        )
        folder.trial(plan.trial).write_plan(plan)
        rows = [
            made_row(
                plan.trial,
                epoch,
                passes=40,
                valid={METRIC: score(number + 4, epoch, 8)},
                best=score(number + 4, epoch, 8),
            )
            for epoch in range(1, 9)
        ]
        for row in rows:
            folder.trial(plan.trial).append_epoch(row)
        folder.append_record(record_of(plan, rows, TrialResult("finished", "")))


def tests_of(seed: int, strategy: str) -> dict[str, float]:
    """Test metrics on a seed, those of plain lower."""
    return dict.fromkeys(made_metrics("0000", 1), (0.08 if strategy == "plain" else 0.09) + (seed - 1000) * 0.001)
