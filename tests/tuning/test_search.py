"""A start of a search, before and after its trials run."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import pytest

from recmodels.data import load_dataset
from recmodels.errors import UserError
from tests.recmodels.factories import checkerboard
from tests.recmodels.pretended_gpu import Pretended
from tests.tuning.factories import (
    ENVIRONMENT,
    end_trial,
    made_confirmation,
    made_folder,
    made_plan,
    made_spec,
    made_trial,
)
from tuning.execution.observer import Observer
from tuning.execution.ray_tune.placement import TrialResources
from tuning.execution.trial import run_trial
from tuning.export import Export
from tuning.export.replay import replay
from tuning.records.environment import DataFacts
from tuning.records.folder import SearchFolder
from tuning.records.sealed import open_test
from tuning.records.trials import BASELINE, EpochRow, TrialPlan, TrialRecord, TrialResult, record_of
from tuning.search import Search, recover
from tuning.spec import Tracking
from tuning.tracking.tracker import Tracker

FINISHED = TrialResult("finished", "all 4 epochs")


class Witness:
    """A study that notes what it is brought up to."""

    def reconcile(self, ledger: dict[str, TrialRecord], left: list[TrialPlan]) -> None:
        self.reconciled = sorted(ledger), [plan.trial for plan in left]


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    return SearchFolder(tmp_path)


def expected(folder: SearchFolder, name: str) -> TrialRecord:
    trial = folder.trial(name)
    return record_of(trial.plan(), trial.epochs(), FINISHED)


def test_recover_enters_results_that_never_reached_the_ledger_once(folder: SearchFolder) -> None:
    for name in ("0000", "0001", "0002", "0003", BASELINE):
        made_trial(folder, name, epochs=2)
    end_trial(folder, "0000")
    failed = TrialResult("failed", "the loss became inf")
    for name, result in (("0000", FINISHED), ("0002", FINISHED), ("0003", failed)):
        folder.trial(name).write_result(result)
    before = folder.ledger()["0000"]

    witness: Any = Witness()
    for _ in range(2):
        recover(folder, witness)
        lines = (folder.path / "ledger.jsonl").read_text().splitlines()
        assert len(lines) == 3
    ledger = folder.ledger()
    assert ledger["0000"] == before
    assert ledger["0002"] == expected(folder, "0002")
    assert ledger["0003"].reason == "the loss became inf"
    assert witness.reconciled == (["0000", "0002", "0003"], ["0001", BASELINE])


def test_recover_repairs_a_line_that_a_crash_tore(folder: SearchFolder) -> None:
    for name in ("0000", "0001"):
        made_trial(folder, name, epochs=2)
        folder.trial(name).write_result(FINISHED)
        end_trial(folder, name)
    ledger = folder.path / "ledger.jsonl"
    ledger.write_text(ledger.read_text()[:-9])
    witness: Any = Witness()
    recover(folder, witness)
    assert list(folder.ledger()) == ["0000", "0001"]
    assert folder.ledger()["0001"] == expected(folder, "0001")
    assert witness.reconciled == (["0000", "0001"], [])


TRAIN = {"optimizer": "adam", "learning_rate": 0.001, "batch_size": 64, "weight_decay": 0.0}
COMPLETE = {"space": {"train": TRAIN, "strategy": {"beta": 0.2}}, "budget": {"trials": 1}}


def test_a_complete_search_is_read_again_without_ray_and_without_a_tracker(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    folder, data = made_folder(tmp_path, trials=1, **COMPLETE), checkerboard()
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(data)))
    outcome = Search(folder.spec(), data).run()
    assert [record.trial for record in outcome.records] == ["0000"]
    assert (outcome.winner, outcome.interrupted, outcome.waiting) == (outcome.records[0], False, 0)
    assert outcome.export == Path("best_configs/BPR-demo-mg.yaml")
    assert Export.read(outcome.export) == Export.read(folder.best)
    assert not folder.tracking.exists()


def test_a_search_says_that_a_better_export_stays(tmp_path: Path, monkeypatch: Any) -> None:
    class Listener(Observer):
        said: ClassVar[list[str]] = []

        def say(self, text: str) -> None:
            self.said.append(text)

    monkeypatch.chdir(tmp_path)
    data = checkerboard()
    for name, epochs in (("better", 4), ("worse", 2)):
        folder = made_folder(tmp_path, trials=1, epochs=epochs, name=name, **COMPLETE)
        folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(data)))
        outcome = Search(folder.spec(), data, Listener()).run()
    assert Export.read(Path("best_configs/BPR-demo-mg.yaml")).search.name == "better"
    assert (outcome.export, Export.read(outcome.export).search.name) == (folder.best, "worse")
    (line,) = Listener.said
    assert line.startswith("best_configs/BPR-demo-mg.yaml: kept recall@20 0.01402 of the search better")


def test_who_watches_hears_of_the_result_before_the_tracking_store_is_closed(tmp_path: Path, monkeypatch: Any) -> None:
    """So that a page that is made of it is delivered as well."""
    heard: list[str] = []

    class Listener(Observer):
        def concluded(self, folder: SearchFolder) -> None:
            heard.append(f"{folder.name} with {folder.best.name}: {folder.best.exists()}")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Search, "_track", lambda search: heard.append("tracked"))
    folder, data = made_folder(tmp_path, trials=1, **COMPLETE), checkerboard()
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(data)))
    Search(folder.spec(), data, Listener()).run()
    assert heard == ["made with best.yaml: True", "tracked"]


def test_the_winner_is_the_one_that_a_confirmation_chose(tmp_path: Path, monkeypatch: Any) -> None:
    """Until then it is exported by its value, without a test metric; more trials would void the choice."""
    monkeypatch.chdir(tmp_path)
    data, budget = checkerboard(), {"budget": {"trials": 3}, "awaits_confirmation": True}
    folder = made_folder(tmp_path, trials=3, **COMPLETE | budget)
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(data)))
    before = Search(folder.spec(), data).conclude()
    assert before.winner is not None
    assert (before.winner.trial, before.tests) == ("0002", {})
    assert Export.read(folder.best).metrics.test == {}
    confirmation = made_confirmation("0001")
    folder.confirmation.write_text(confirmation.to_yaml())
    after = Search(folder.spec(), data).conclude()
    assert after.winner is not None
    assert (after.winner.trial, list(after.tests)) == ("0001", ["0001"])
    for path in (folder.best, Path("best_configs/BPR-demo-mg.yaml")):
        export = Export.read(path)
        assert (export.confirmation, export.metrics.valid) == (confirmation, after.winner.valid)
        assert export.metrics.test == after.tests["0001"] != {}


def test_a_new_search_has_no_baseline_of_its_own(tmp_path: Path, monkeypatch: Any) -> None:
    """An older one goes on with what it has."""
    monkeypatch.chdir(tmp_path)
    data, space = checkerboard(), COMPLETE["space"]
    with pytest.raises(UserError, match=r"^baseline: expected false, a new search has its reference in an experiment$"):
        Search(made_spec(space=space, baseline=True), data)
    older = made_folder(tmp_path, trials=1, baseline=True, **COMPLETE)
    older.write_environment(replace(ENVIRONMENT, data=DataFacts.of(data)))
    outcome = Search(older.spec(), data).run()
    assert [record.trial for record in outcome.records] == ["0000", BASELINE]


def test_a_folder_resumes_where_it_is_now_with_changes(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    folder = made_folder(tmp_path, trials=1, **COMPLETE)
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(load_dataset("demo"))))
    moved = folder.path.rename(tmp_path / "moved")
    search = Search.resume(moved, budget={"trials": 3})
    assert (search.folder.path, search.spec.name, search.spec.budget.trials) == (moved, "moved", 3)


def test_other_data_than_the_search_began_with_are_refused(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    folder = made_folder(tmp_path, trials=1, **COMPLETE)
    with pytest.raises(
        UserError, match=r"^demo: not the data this search started with \(fingerprint \w+, expected f1n9e2"
    ):
        Search(folder.spec(), checkerboard())


def test_a_strategy_that_would_not_begin_is_refused_before_a_search_and_not_after(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """A search that has begun goes on as it was; its trials say what they are."""
    monkeypatch.chdir(tmp_path)
    changes = COMPLETE | {"strategy": "swa", "training": {"max_epochs": 4}}
    changes["space"] = {**COMPLETE["space"], "strategy": {"swa_start": 4}}
    data = checkerboard()
    with pytest.raises(UserError, match=r"^space: swa_start < 4, the most epochs of a trial, must hold, but got swa_s"):
        Search(made_spec(**changes), data)
    folder = made_folder(tmp_path, trials=1, **changes)
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(data)))
    assert Search(folder.spec(), data).spec.strategy == "swa"


class Told(Observer):
    """Notes the lines for a person."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def test_an_observer_is_told_what_the_trials_get_before_they_begin(tmp_path: Path, monkeypatch: Any) -> None:
    events: list[Any] = []

    class Noted(Observer):
        def placed(self, resources: TrialResources) -> None:
            events.append(resources)

        def begins(self, history: Sequence[TrialRecord]) -> None:
            events.append(len(history))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tuning.execution.ray_tune.tuner.run_trials", lambda *_: True)
    folder, data = made_folder(tmp_path, trials=1, **COMPLETE), checkerboard()
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(data)))
    assert Search(folder.spec(), data, Noted())._explore(TrialResources(2, 0.0, 1))
    assert events == [TrialResources(2, 0.0, 1), 1]


def test_each_store_has_the_records_of_a_search(tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    folder, data = made_folder(tmp_path, trials=1, **COMPLETE), checkerboard()
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(data)))
    told: list[str] = []

    class Noting(Tracker):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments)
            told.append(arguments[-1])

    monkeypatch.setattr("tuning.search.Tracker", Noting)
    monkeypatch.setattr(Noting, "start", lambda self: None)
    monkeypatch.setattr(Noting, "close", lambda self, interrupted: 2)
    tracking = Tracking(stores=("mlflow", "tensorboard"))
    outcome = Search(folder.spec().model_copy(update={"tracking": tracking}), data).conclude()
    assert told == ["sqlite:///mlflow.db", f"tensorboard:{folder.path / 'tensorboard'}"]
    assert outcome.waiting == 4


def test_a_trial_that_the_budget_cut_short_replays_although_its_last_epoch_was_not_evaluated(
    tmp_path: Path, monkeypatch: Any
) -> None:
    """Its best epoch is among those that were evaluated, and the replay finds no other one."""
    monkeypatch.chdir(tmp_path)
    changes = COMPLETE | {"training": {"max_epochs": 9, "eval_every": 3}, "budget": {"trials": 2, "epochs": 1}}
    spec, data = made_spec(tracking={"uri": None}, **changes), checkerboard()
    folder = SearchFolder.of(spec)
    folder.write_spec(spec)
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(data)))
    params = {"strategy": {"alpha": 1.0, "beta": 0.2, "interval": 3}, "train": TRAIN, "model": {"embedding_size": 4}}

    def stop(row: EpochRow, at: int) -> None:
        if row.epoch == at:
            raise SystemExit

    for name, epochs in (("0000", 5), ("0001", 2)):
        trial = folder.trial(name)
        trial.write_plan(made_plan(trial=name, params=params))
        with pytest.raises(SystemExit):
            run_trial(
                trial.plan(),
                model="BPR",
                data=data,
                training=spec.training,
                folder=trial,
                report=partial(stop, at=epochs),
            )
    outcome = Search(spec, data)._finish(interrupted=True)
    assert outcome.winner is not None
    assert outcome.export is not None
    export, (row,) = Export.read(outcome.export), [each for each in folder.trial("0000").epochs() if each.evaluated]
    assert (outcome.winner.trial, export.training.epochs, export.training.best_epoch) == ("0000", 3, 3)
    assert (export.metrics.valid, export.training.eval_every) == (row.valid, 3)
    assert replay(export, data).scores == export.metrics.model_dump()


def test_a_pruned_winner_is_tested_on_the_device_that_it_was_trained_on(tmp_path: Path, monkeypatch: Any) -> None:
    """Or on the CPU, with a line, where torch can use no GPU."""
    monkeypatch.chdir(tmp_path)
    spec, data = made_spec(tracking={"uri": None}, **COMPLETE), checkerboard()
    folder, trial = SearchFolder.of(spec), SearchFolder.of(spec).trial("0000")
    folder.write_spec(spec)
    folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(data)))
    params = {"strategy": {"alpha": 1.0, "beta": 0.2, "interval": 3}, "train": TRAIN, "model": {"embedding_size": 4}}
    trial.write_plan(made_plan(params=params, device="cuda"))
    once = spec.training.model_copy(update={"max_epochs": 2})
    with Pretended() as gpu:
        run_trial(trial.plan(), model="BPR", data=data, training=once, folder=trial, report=lambda row: None)
        measured = open_test(trial)
        (trial.path / "test.json").unlink()  # a trial that is pruned has none
        folder.append_record(record_of(trial.plan(), trial.epochs(), TrialResult("pruned", "asha at epoch 2")))
        gpu.forget()
        outcome = Search(spec, data, told := Told()).run()
        assert gpu.kernels > 0
    assert (outcome.tests, told.lines) == ({"0000": measured}, [])
    assert open_test(trial) == measured
    assert (Search(spec, data, told).run().tests, told.lines) == ({"0000": measured}, [])  # it is not measured again
    (trial.path / "test.json").unlink()
    assert Search(spec, data, told).run().tests["0000"] == pytest.approx(measured)
    assert [line.split(":")[0] for line in told.lines] == ["warning"]
