"""The shares of cards that --gpus-per-trial auto gives, with made meters, and trials that run out of memory; Ray itself
is left out."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import ray
import torch

from tests.tuning.factories import end_trial, made_folder, made_spec, made_trial
from tuning.execution.cards import GIB, Meter, Reading
from tuning.execution.memory import MemoryLack, cap_memory
from tuning.execution.observer import Observer
from tuning.execution.ray_tune import sharing
from tuning.execution.ray_tune.placement import Node, TrialResources
from tuning.execution.ray_tune.sharing import run_with_enough, shared
from tuning.records import SearchFolder
from tuning.spec import SearchSpec

SMALL = Meter("made", 80 * GIB, (Reading(GIB, 0, 0.02),))
WHOLE = TrialResources(8, 1.0, 2)
NODE = Node(16, 2)


class Heard(Observer):
    def __init__(self) -> None:
        self.lines: list[str] = []

    def say(self, text: str) -> None:
        self.lines.append(text)


def spec(trials: int = 40, gpus: Any = "auto", **resources: Any) -> SearchSpec:
    space = {"strategy": {"alpha": {"type": "uniform", "low": 1, "high": 2}}}
    return made_spec(budget={"trials": trials}, space=space, resources={"gpus_per_trial": gpus, **resources})


@pytest.fixture(autouse=True)
def nodes(monkeypatch: pytest.MonkeyPatch) -> list[Node]:
    there = [NODE]
    monkeypatch.setattr(sharing, "alive_nodes", lambda: there)
    return there


def placed(made: SearchSpec, meter: Meter = SMALL) -> tuple[TrialResources, list[str]]:
    data: Any = None
    heard = Heard()
    return shared(WHOLE, made, data, heard.say, lambda *_: [meter]), heard.lines


def test_a_probe_sets_the_share_the_cap_and_the_trials_at_a_time() -> None:
    made, (_, line) = placed(spec())
    assert (made.gpus, made.concurrent, made.cpus, made.memory) == (0.125, 16, 1, 0.125)
    assert line == (
        "--gpus-per-trial auto: 8 trials at a time on a card (made: a trial holds up to 1.00 of 80.0 GiB, "
        "one keeps it busy for 2% of the time)"
    )


@pytest.mark.parametrize(
    ("made", "gpus", "concurrent"),
    [
        (spec(trials=6), 0.3333, 6),  # three for each of two cards
        (spec(max_concurrent=4), 0.5, 4),
        (spec(cpus_per_trial=4), 0.5, 4),
        (spec(trials=1), 1.0, 2),
    ],
)
def test_there_are_cores_and_work_for_all_that_share_a_card(made: SearchSpec, gpus: float, concurrent: int) -> None:
    found, _ = placed(made)
    assert (found.gpus, found.concurrent) == (gpus, concurrent)


def test_the_node_with_the_fewest_cores_for_a_card_decides(nodes: list[Node]) -> None:
    nodes[:] = [Node(64, 1), Node(6, 2), Node(1, 0)]
    assert placed(spec())[0].gpus == 0.3333


@pytest.mark.parametrize("gpus", [None, 0.25])
def test_nothing_is_measured_unless_it_is_asked_for(gpus: Any) -> None:
    found, lines = placed(spec(gpus=gpus))
    assert found is WHOLE
    assert not lines


def test_nothing_is_measured_without_a_card() -> None:
    data: Any = None
    heard, on_cpu = Heard(), TrialResources(2, 0.0, 8)
    assert shared(on_cpu, spec(), data, heard.say, lambda *_: pytest.fail("measured")) is on_cpu
    assert heard.lines == ["--gpus-per-trial auto: there is no card to measure, trials run on the CPU"]


def test_a_probe_that_fails_is_said_and_leaves_whole_cards() -> None:
    def fails(*_: Any) -> list[Meter]:
        raise ray.exceptions.RayError("a trace\nRuntimeError: no kernel image")

    data: Any = None
    heard = Heard()
    assert shared(WHOLE, spec(), data, heard.say, fails) is WHOLE
    assert heard.lines[-1].endswith("each trial has a card to itself: RuntimeError: no kernel image")


class Study:
    def __init__(self) -> None:
        self.opened: list[list[str]] = []

    def reconcile(self, ledger: Any, unfinished: Any) -> None:
        self.opened.append([plan.trial for plan in unfinished])


SHARED = TrialResources(1, 0.125, 16, memory=0.125, meters=(SMALL,))


def run(
    monkeypatch: pytest.MonkeyPatch,
    folder: SearchFolder,
    needs: dict[str, float],
    resources: TrialResources = SHARED,
    made: SearchSpec | None = None,
    complete: bool = True,
) -> tuple[list[TrialResources], Heard, Study, bool]:
    """Run trials that need so much of a card; return what each round gave them."""
    rounds: list[TrialResources] = []

    def round_of(spec: SearchSpec, folder: SearchFolder, study: Any, data: Any, given: Any, observer: Any) -> bool:
        rounds.append(given)
        for name, need in needs.items():
            trial = folder.trial(name)
            if trial.result():
                continue
            made_trial(folder, name, epochs=1)
            enough = given.gpus >= need
            trial.write_out_of_memory(None if enough else MemoryLack(need < 9, "2.00 GiB").reason)
            if enough:
                end_trial(folder, name)
        return complete

    monkeypatch.setattr(sharing, "run_trials", round_of)
    heard, study, data = Heard(), Study(), None
    made = made or spec(trials=len(needs))
    done = run_with_enough(made, folder, study, data, resources, heard)  # type: ignore[arg-type]
    return rounds, heard, study, done


@pytest.fixture
def folder(tmp_path: Path) -> SearchFolder:
    return made_folder(tmp_path, trials=0)


def test_what_ran_out_of_memory_runs_again_with_twice_the_share(
    monkeypatch: pytest.MonkeyPatch, folder: SearchFolder
) -> None:
    rounds, heard, study, done = run(monkeypatch, folder, {"0000": 0.1, "0001": 0.2, "0002": 0.6})
    assert done
    assert [(each.gpus, each.memory, each.concurrent, each.cpus) for each in rounds] == [
        (0.125, 0.125, 16, 1),
        (0.25, 0.25, 8, 1),
        (0.5, 0.5, 4, 1),
        (1.0, None, 2, 1),
    ]
    assert heard.lines == [
        "2 trials out of memory with 1 CPU and 0.125 GPUs, tried again with 1 CPU and 0.25 GPUs",
        "1 trial out of memory with 1 CPU and 0.25 GPUs, tried again with 1 CPU and 0.5 GPUs",
        "1 trial out of memory with 1 CPU and 0.5 GPUs, tried again with 1 CPU and 1 GPU",
    ]
    assert study.opened == [["0001", "0002"], ["0002"], ["0002"]]
    assert sorted(folder.ledger()) == ["0000", "0001", "0002"]
    assert not folder.out_of_memory()


def test_what_a_whole_card_cannot_hold_has_no_result(monkeypatch: pytest.MonkeyPatch, folder: SearchFolder) -> None:
    rounds, _, _, done = run(monkeypatch, folder, {"0000": 2.0})
    assert done
    assert [each.gpus for each in rounds] == [0.125, 0.25, 0.5, 1.0]
    assert folder.out_of_memory().keys() == {"0000"}


@pytest.mark.parametrize(
    ("needs", "changes"),
    [
        ({"0000": 0.6}, {"resources": replace(SHARED, meters=())}),  # the share was given
        ({"0000": 9.0}, {}),  # of the machine, not of a card
        ({"0000": 0.6}, {"complete": False}),  # the user has interrupted
        ({"0000": 0.1}, {}),
    ],
)
def test_nothing_runs_again_that_a_larger_share_would_not_help(
    monkeypatch: pytest.MonkeyPatch, folder: SearchFolder, needs: dict[str, float], changes: dict[str, Any]
) -> None:
    rounds, heard, _, _ = run(monkeypatch, folder, needs, **changes)
    assert len(rounds) == 1
    assert not heard.lines


@pytest.mark.parametrize("budget", [{"epochs": 1}, {"seconds": 1e-9}])
def test_the_budget_is_for_all_rounds_together(
    monkeypatch: pytest.MonkeyPatch, folder: SearchFolder, budget: dict[str, float]
) -> None:
    made = spec().model_copy(update={"budget": spec().budget.model_copy(update=budget)})
    rounds, _, _, done = run(monkeypatch, folder, {"0000": 0.6}, made=made)
    assert len(rounds) == 1
    assert done


def test_a_cap_holds_for_torch_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    set_to: list[float] = []
    monkeypatch.setattr(torch.cuda, "set_per_process_memory_fraction", set_to.append)
    cap_memory(None)
    cap_memory(0.125)
    assert set_to == [0.125]
