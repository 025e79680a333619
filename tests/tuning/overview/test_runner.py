"""The pairs of an overview run by data set; one that fails stops no other, and a start goes on where the last ended."""

import weakref
from dataclasses import replace
from typing import Any

import pytest
import torch

from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from tests.recmodels.factories import checkerboard
from tests.tuning.experiments.factories import Driver
from tests.tuning.factories import end_trial, made_trial
from tests.tuning.overview.factories import made_overview, write_figures
from tuning.experiments.experiment_report import write_result
from tuning.experiments.results import read_results
from tuning.experiments.runner import run_experiment
from tuning.overview import Overview, PlannedPair, ended_pairs, read_table, run_overview
from tuning.overview.runner import remaining_pairs, reopen
from tuning.records import SearchFolder


class Runner:
    """Loads and runs pairs. `fails`: name of a pair -> what it raises, or False where the user interrupts."""

    def __init__(self, fails: dict[str, Any] | None = None, missing: str = ""):
        self.fails, self.missing = fails or {}, missing
        self.loaded, self.ran, self.alive = list[str](), list[str](), list[weakref.ref[RecDataset]]()

    def load(self, pair: PlannedPair) -> RecDataset:
        assert not [each() for each in self.alive if each()]
        self.loaded.append(pair.dataset)
        if pair.dataset == self.missing:
            raise UserError(f"data: no data set {pair.dataset!r}")
        data = replace(checkerboard(), name=pair.dataset)
        self.alive.append(weakref.ref(data))
        return data

    def __call__(self, pair: PlannedPair, data: RecDataset) -> bool:
        assert data.name == pair.dataset
        self.ran.append(pair.name)
        cycle: list[Any] = [data]
        cycle.append(cycle)  # as a search and its tracker refer to each other
        failure = self.fails.get(pair.name)
        if isinstance(failure, BaseException):
            raise type(failure)(*failure.args)  # a new one, which nobody keeps with its traceback
        if failure is None:
            write_figures(pair, {"plain": [0.1, 0.2, 0.3], "mg": [0.2, 0.3, 0.5]})
        return failure is None

    def run(self, overview: Overview) -> bool:
        return run_overview(overview, self.load, self, lambda pair: None)


ALL = ["o-LightGCN-demo", "o-BPR-demo", "o-LightGCN-synthetic-tiktok", "o-BPR-synthetic-tiktok"]


def test_each_data_set_is_loaded_once_and_freed_before_the_next() -> None:
    runner = Runner()
    assert runner.run(made_overview())
    assert runner.loaded == ["demo", "synthetic:tiktok"]
    assert runner.ran == ALL


def test_an_interrupted_overview_goes_on_where_it_was() -> None:
    asked = made_overview()
    assert not Runner({ALL[2]: False}).run(asked)
    again = Overview.in_folder(asked.folder)
    assert again == asked
    assert [pair.name for pair in remaining_pairs(again)] == ALL[2:]
    runner = Runner()
    assert runner.run(again)
    assert (runner.loaded, runner.ran) == (["synthetic:tiktok"], ALL[2:])
    assert Runner().run(again)
    assert len((asked.folder / "pairs.jsonl").read_text().splitlines()) == 4


def test_a_kill_between_the_end_of_a_pair_and_its_note_loses_nothing() -> None:
    """The experiment is asked once more, which trains nothing again."""
    asked = made_overview()
    with pytest.raises(KeyboardInterrupt):
        Runner({ALL[1]: KeyboardInterrupt()}).run(asked)
    (asked.folder / "pairs.jsonl").write_text('{"pair": "o-LightGCN-demo", "fau')
    runner = Runner()
    assert runner.run(asked)
    assert runner.ran == ALL
    assert ended_pairs(asked) == dict.fromkeys(ALL)


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (UserError("demo: not the data this search started with"), "demo: not the data this search started with"),
        (MemoryError("Unable to allocate 9.1 GiB for an array"), "out of memory of the machine (9.1 GiB more did not"),
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB."), "out of memory of the GPU (2.00"),
        (ZeroDivisionError("division\nby zero"), "ZeroDivisionError: division by zero (searches/o/o-LightGCN-demo.err"),
    ],
)
def test_a_pair_that_fails_is_noted_and_tried_again(failure: Exception, reason: str) -> None:
    asked = made_overview()
    runner = Runner({ALL[0]: failure})
    assert runner.run(asked)
    assert runner.ran == ALL
    found = ended_pairs(asked)
    assert str(found.pop(ALL[0])).startswith(reason)
    assert found == dict.fromkeys(ALL[1:])
    again = Runner()
    assert again.run(asked)
    assert again.ran == ALL[:1]
    assert ended_pairs(asked) == dict.fromkeys(ALL)


def test_the_traceback_of_a_bug_is_kept() -> None:
    asked = made_overview()
    Runner({ALL[0]: ZeroDivisionError("nothing")}).run(asked)
    assert "raise type(failure)" in (asked.folder / "o-LightGCN-demo.error.txt").read_text()


def test_a_data_set_that_cannot_be_loaded_fails_all_its_pairs_and_no_other() -> None:
    asked, runner = made_overview(), Runner(missing="demo")
    assert runner.run(asked)
    assert (runner.loaded, runner.ran) == (["demo", "synthetic:tiktok"], ALL[2:])
    assert ended_pairs(asked) == dict.fromkeys(ALL[:2], "data: no data set 'demo'") | dict.fromkeys(ALL[2:])


def test_pairs_that_are_opened_again_are_run_once_more_whatever_interrupts_that() -> None:
    asked = made_overview()
    assert Runner().run(asked)
    reopen(asked)
    assert not Runner({ALL[1]: False}).run(asked)
    runner = Runner()
    assert runner.run(asked)
    assert runner.ran == ALL[1:]
    assert ended_pairs(asked) == dict.fromkeys(ALL)


def test_a_real_experiment_is_a_pair_and_what_it_lacks_is_said() -> None:
    """All trials of mg fail in one pair; in another its confirmation is out of memory."""
    data = checkerboard()
    asked = made_overview(datasets="demo", metric="recall@1", confirm_seeds=2)

    def run(pair: PlannedPair, _: RecDataset) -> bool:
        driver = Driver(data)

        def run_search(spec: Any) -> bool:
            folder = SearchFolder.of(spec)
            if spec.name == "o-LightGCN-demo-mg":
                folder.write_spec(spec)
                made_trial(folder, "0000", epochs=0)
                end_trial(folder, "0000", "failed", "the loss became inf")
                return True
            done = driver(spec)
            if spec.name == "o-BPR-demo-mg-seeds":
                folder.trial("0007").write_plan(replace(folder.trial("0000").plan(), trial="0007", seed=1007))
                folder.trial("0007").write_out_of_memory("no room")
            return done

        assert run_experiment(pair.experiment, run_search)
        write_result(pair.experiment, read_results(pair.experiment, data), None)
        return True

    assert run_overview(asked, lambda pair: data, run, lambda pair: None)
    assert ended_pairs(asked) == {
        "o-LightGCN-demo": "mg: 1 of 1 trials of o-LightGCN-demo-mg failed, the first with: the loss became inf",
        "o-BPR-demo": "mg: out of memory in o-BPR-demo-mg-seeds, trial 0007: no room",
    }
    table = read_table(asked)
    assert {(entry.model, entry.strategy) for entry in table.entries.values()} == {
        ("LightGCN", "plain"),
        ("BPR", "plain"),
        ("BPR", "mg"),
    }
    mg = table.entries["BPR", "demo", "mg", table.metrics[0]]
    assert (mg.metric, mg.runs, mg.decides) == ("recall@1", 2, True)
    assert mg.seeds is not None
    assert mg.users is not None
    assert mg.users.n == 10
