"""Made search folders: what a search leaves on disk, with values that follow from trial and epoch."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from recmodels.data import load_dataset
from recmodels.metric import NAMES
from tuning.records.confirmation import Confirmation, Difference, Spread
from tuning.records.environment import Cpu, DataFacts, Environment, GitState, Start
from tuning.records.folder import SearchFolder
from tuning.records.trials import BASELINE, EpochRow, Status, TrialPlan, TrialRecord, TrialResult, record_of
from tuning.space.catalogue import search_space
from tuning.spec import SearchSpec

START = 1_700_000_000.0  # unix s; trial n starts 100 n later, an epoch takes a second
ENVIRONMENT = Environment(
    versions={"python": "3.11.0", "torch": "2.13", "ray": "2.60", "optuna": "5.0", "mlflow": "3.17"},
    platform="Linux",
    cpu=Cpu("Zen", 2),
    gpus=[],
    git=GitState("c0ffee", dirty=False),
    data=DataFacts("demo", "f1n9e2", users=1_000, items=700, train=14_000, valid=2_000, test=2_000),
    starts=[Start("2023-11-14T22:13:20+00:00", ["run_search.py"], "here", threads_per_trial=1)],
)


def made_spec(**changes: Any) -> SearchSpec:
    return SearchSpec.model_validate({"name": "made", "model": "BPR", "dataset": "demo", "space": {}, **changes})


def made_folder(
    tmp_path: Path, trials: int = 3, epochs: int = 4, baseline: bool = False, uri: str | None = None, **changes: Any
) -> SearchFolder:
    """The folder of a search whose trials 0000, 0001, ... have all finished; the last one is the best."""
    folder = SearchFolder(tmp_path / "searches" / changes.get("name", "made"))
    folder.write_spec(made_spec(baseline=baseline, tracking={"uri": uri}, **changes))
    folder.write_environment(ENVIRONMENT)
    for name in [f"{number:04}" for number in range(trials)] + [BASELINE] * baseline:
        made_trial(folder, name, epochs)
        end_trial(folder, name)
    return folder


def made_confirmation(trial: str = "0000", mean: float = 0.5, metric: str = "recall@20") -> Confirmation:
    """A trial that was chosen on two fresh seeds, 0.2 better on test than on validation, and better than plain."""
    low, high = mean - 1, mean + 1
    valid = Spread(values=(mean - 0.1, mean + 0.1), mean=mean, deviation=0.1, low=low, high=high)
    test = Spread(values=(mean + 0.1, mean + 0.3), mean=mean + 0.2, deviation=0.1, low=low + 0.2, high=high + 0.2)
    return Confirmation(
        experiment="e",
        trial=trial,
        choice="of 3 configurations it is the best",
        seeds=(1000, 1001),
        metric=metric,
        valid=valid,
        test=test,
        reference="plain",
        compared=1,
        over_seeds=Difference(difference=0.01, low=-0.01, high=0.03, p=0.2, n=2),
        over_users=Difference(difference=0.01, low=0.005, high=0.015, p=0.001, n=9),
        verdict="mg is not told apart from plain.",
    )


def made_plan(**changes: Any) -> TrialPlan:
    usual = {"trial": "0000", "role": "search", "strategy": "mg", "params": {}, "point": {}, "seed": 1, "threads": 1}
    return TrialPlan(**{**usual, "device": "cpu", "time": 0.0, **changes})


def made_trial(folder: SearchFolder, name: str, epochs: int) -> None:
    """Start a trial and let it run for some epochs."""
    strategy = {} if name == BASELINE else {"alpha": 1.0, "beta": 0.25, "interval": 3}
    params = {"strategy": strategy, "train": {"learning_rate": 0.001}, "model": {"n_layers": 2}}
    plan = TrialPlan(
        trial=name,
        role="baseline" if name == BASELINE else "search",
        strategy="plain" if name == BASELINE else "mg",
        params=params,
        point={"beta/alpha": 0.25},
        seed=7,
        threads=1,
        device="cpu",
        time=_start(name),
    )
    folder.trial(name).write_plan(plan)
    for epoch in range(1, epochs + 1):
        folder.trial(name).append_epoch(made_row(name, epoch))


def made_row(name: str, epoch: int, **changes: Any) -> EpochRow:
    """One row of epochs.jsonl; every epoch is better than the one before."""
    row = EpochRow(
        epoch=epoch,
        time=_start(name) + epoch,
        loss=1 / epoch,
        terms={"bpr": 1 / epoch},
        seconds=0.75,
        valid_seconds=0.25,
        valid=made_metrics(name, epoch),
        passes=3,
        steps=2,
        skipped=0,
        best=made_metrics(name, epoch)["recall@20"],
        best_epoch=epoch,
    )
    return replace(row, **changes)


def made_metrics(name: str, epoch: int) -> dict[str, float]:
    """recall@5, ..., hit@50: 20 metrics."""
    return {
        f"{metric}@{k}": (_number(name) + 1) * 0.01 + epoch * 0.001 + k * 1e-6
        for metric in NAMES
        for k in (5, 10, 20, 50)
    }


def end_trial(folder: SearchFolder, name: str, status: Status = "finished", reason: str = "") -> TrialRecord:
    """Write the trial's line into the ledger; only a finished one has test metrics, 0.1 below the validation ones."""
    trial = folder.trial(name)
    rows = trial.epochs()
    if status == "finished" and rows:
        trial.write_test({metric: value - 0.1 for metric, value in rows[-1].valid.items()})
    record = record_of(trial.plan(), rows, TrialResult(status, reason))
    folder.append_record(record)
    return record


def earlier_search(
    searches: Path,
    name: str = "old",
    strategy: str = "mg",
    alphas: Sequence[float] = (1.8, 0.7),
    overrides: Sequence[str] = (),
    **changes: Any,
) -> SearchFolder:
    """The folder of a search of LightGCN on demo whose trials have these alphas, beta half of them; the last one is the
    best. `changes`: of its spec."""
    space = search_space("LightGCN", strategy, "demo", overrides=overrides)
    folder = SearchFolder(searches / name)
    content = {"name": name, "model": "LightGCN", "dataset": "demo", "strategy": strategy, "space": space}
    folder.write_spec(SearchSpec.model_validate(content | changes))
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(load_dataset("demo"))))
    for number, alpha in enumerate(alphas):
        params = space.resolve(space.default_point() or {})
        params["strategy"] |= {"alpha": alpha, "beta": alpha / 2} if strategy == "mg" else {}
        plan = made_plan(trial=f"{number:04}", strategy=strategy, params=params)
        folder.append_record(record_of(plan, [made_row(plan.trial, 1)], TrialResult("finished", "")))
    return folder


def _number(name: str) -> int:
    return 0 if name == BASELINE else int(name)


def _start(name: str) -> float:
    return START + 100 * _number(name)
