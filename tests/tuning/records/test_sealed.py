"""Test metrics are kept apart: they come back exactly, to those alone who may see them, and no choice can read them."""

import json
import tomllib
from dataclasses import fields, replace
from itertools import islice
from pathlib import Path
from typing import Any

import pytest

from recmodels.errors import UserError
from recmodels.files import read_lines
from tests.recmodels.factories import checkerboard
from tests.tuning.factories import ENVIRONMENT, end_trial, made_folder, made_metrics, made_trial
from tuning.execution.ray_tune.pruning import Pruning, scheduler
from tuning.proposals.queue import make_queue
from tuning.proposals.study import SAMPLERS, Study
from tuning.records.environment import DataFacts
from tuning.records.folder import SearchFolder, TrialFolder
from tuning.records.sealed import open_test, opened
from tuning.records.selection import baseline, ranked, winner
from tuning.records.trials import BASELINE, EpochRow, TrialPlan, TrialRecord, TrialResult
from tuning.search import Search

ROOT = Path(__file__).parents[3]
TRAIN = {"optimizer": "adam", "learning_rate": 0.001, "batch_size": 64, "weight_decay": 0.0}
BETA = {"type": "fraction", "of": "alpha", "low": 0.125, "high": 0.75, "default": 0.25}
SPACE = {"train": TRAIN, "strategy": {"alpha": 1.0, "beta": BETA}}


def expected(name: str) -> dict[str, float]:
    """The test metrics of a made trial of four epochs."""
    return {metric: value - 0.1 for metric, value in made_metrics(name, 4).items()}


def made_old(folder: SearchFolder, *, results: bool = True) -> None:
    """Give a folder the form from before test.json: test metrics in result.json and in the ledger."""
    lines = read_lines(folder.path / "ledger.jsonl")
    for line in lines:
        trial = folder.trial(line["trial"])
        test = open_test(trial)
        (trial.path / "test.json").unlink(missing_ok=True)
        line["test"] = test
        if results:
            result = {"status": line["status"], "reason": line["reason"], "test": test}
            (trial.path / "result.json").write_text(json.dumps(result))
    (folder.path / "ledger.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))


def test_what_was_written_comes_back_exactly_and_nothing_is_nothing(tmp_path: Path) -> None:
    trial = TrialFolder(tmp_path / "trials" / "0000")
    assert open_test(trial) == {}
    trial.write_test({"recall@20": 0.1 + 0.2, "ndcg@5": 0.0})
    assert open_test(trial) == {"recall@20": 0.1 + 0.2, "ndcg@5": 0.0}


@pytest.mark.parametrize("results", [True, False])
def test_those_of_older_searches_are_found_and_are_in_no_record(tmp_path: Path, results: bool) -> None:
    folder = made_folder(tmp_path, trials=2)
    made_trial(folder, "0002", epochs=3)
    end_trial(folder, "0002", "pruned", "asha")
    records = folder.ledger()
    made_old(folder, results=results)
    assert [open_test(folder.trial(name)) for name in records] == [expected("0000"), expected("0001"), {}]
    assert folder.ledger() == records
    assert folder.trial("0000").result() == (TrialResult("finished", "") if results else None)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("{", "not JSON"),
        ("[0.1]", "expected test metrics, a number for each name such as recall@20, but got [0.1]"),
        ('{"recall@20": "0.1"}', "expected test metrics, a number for each name such as recall@20, but got {'recall"),
        ('{"recall@20": null}', "expected test metrics"),
    ],
)
def test_a_file_with_something_else_is_one_line(tmp_path: Path, text: str, fault: str) -> None:
    folder = made_folder(tmp_path, trials=1)
    path = folder.trial("0000").path / "test.json"
    path.write_text(text)
    with pytest.raises(UserError) as error:
        open_test(folder.trial("0000"))
    assert str(error.value).startswith(f"{path}: {fault}")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("changes", "chosen", "seen"),
    [
        ({}, None, []),
        ({}, "0001", ["0001"]),
        ({"show_test": True}, None, ["0000", "0001", BASELINE]),
        ({"role": "confirmation"}, None, []),
        ({"role": "confirmation"}, "0001", ["0000", "0001", BASELINE]),
    ],
)
def test_the_chosen_ones_are_seen_and_the_confirmed_ones_after_the_choice(
    tmp_path: Path, changes: dict[str, Any], chosen: str | None, seen: list[str]
) -> None:
    folder = made_folder(tmp_path, trials=2, baseline=True, **changes)
    tests = opened(folder, folder.spec(), folder.ledger().values(), chosen)
    assert tests == {name: expected(name) for name in seen}


def test_no_record_that_others_read_has_room_for_them() -> None:
    for kind in (TrialPlan, EpochRow, TrialResult, TrialRecord):
        assert not [field.name for field in fields(kind) if "test" in field.name]


def test_the_import_contracts_keep_their_module_from_all_that_choose() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (closed,) = [each for each in contracts if each.get("forbidden_modules") == ["tuning.records.sealed"]]
    assert {"tuning.execution", "tuning.proposals", "tuning.records.selection"} <= set(closed["source_modules"])
    assert not closed.keys() & {"allow_indirect_imports", "ignore_imports"}
    (readers,) = [each for each in contracts if each.get("protected_modules") == ["tuning.records.sealed"]]
    assert not set(closed["source_modules"]) & set(readers["allowed_importers"])
    naming = {path.name for path in (ROOT / "tuning").rglob("*.py") if '"test.json"' in path.read_text()}
    assert naming == {"folder.py", "sealed.py"}  # the one writes it, the other reads it


def poison(folder: SearchFolder, spare: str = "") -> None:
    """Put a folder into the place of each test.json, which nobody can read; that of `spare` becomes the worst."""
    for path in folder.path.glob("trials/*/test.json"):
        if path.parent.name == spare:
            path.write_text(json.dumps(dict.fromkeys(json.loads(path.read_text()), -1.0)))
        else:
            path.unlink()
            path.mkdir()


def choices(folder: SearchFolder, sampler: str) -> list[Any]:
    """What a search decides from its folder: what it proposes, what its scheduler has learnt, who is best."""
    spec = folder.spec().model_copy(update={"sampler": sampler})
    study = Study(folder, spec.space, sampler, spec.training.seed)
    plans = [replace(plan, point={"beta/alpha": 0.125 * place}) for place, plan in enumerate(folder.plans(), start=1)]
    study.reconcile({}, plans)
    study.reconcile(folder.ledger(), [])
    points = [(plan.trial, plan.point) for plan in islice(make_queue(spec, folder, study), 2)]
    heard = Pruning(scheduler(spec), spec.training.max_epochs)
    heard.remember([folder.trial(name) for name in folder.ledger()])
    records = folder.ledger().values()
    return [points, heard.inner.debug_string(), ranked(records), winner(records), baseline(records)]


@pytest.mark.parametrize("sampler", sorted(SAMPLERS.keys() - {"grid"}))
def test_every_choice_is_the_same_where_no_test_metric_can_be_read(tmp_path: Path, sampler: str) -> None:
    found = []
    for name, spoil in (("whole", lambda folder: None), ("poisoned", poison)):
        changes = {"budget": {"trials": 9}, "scheduler": {"grace": 0.25, "reduction": 2}, "training": {"max_epochs": 8}}
        folder = made_folder(tmp_path / name, trials=4, baseline=True, space=SPACE, **changes)
        spoil(folder)
        found.append(choices(folder, sampler))
    assert found[0] == found[1]
    points, learnt, *_ = found[0]
    assert len({point["beta/alpha"] for _, point in points}) == 2
    assert "Iter 4.000: 0." in learnt


def test_a_search_chooses_and_exports_the_same_trial_whatever_its_test_metrics_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data, outcomes = checkerboard(), []
    for name, spoil in (("whole", lambda folder: None), ("poisoned", lambda folder: poison(folder, spare="0002"))):
        folder = made_folder(tmp_path, trials=3, baseline=True, name=name, space=SPACE, budget={"trials": 3})
        folder.write_environment(replace(ENVIRONMENT, data=DataFacts.of(data)))
        spoil(folder)
        outcomes.append(Search(folder.spec(), data).run())
    whole, poisoned = outcomes
    assert whole.winner == poisoned.winner
    assert poisoned.winner is not None
    assert poisoned.winner.trial == "0002"
    assert whole.tests == {"0002": expected("0002")}
    assert poisoned.tests == {"0002": dict.fromkeys(expected("0002"), -1.0)}
