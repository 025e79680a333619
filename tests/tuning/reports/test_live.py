"""The live table fits its terminal whatever happens; without a terminal there is a line per ended trial."""

import logging
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from rich.logging import RichHandler

from tests.tuning.factories import end_trial, made_folder, made_spec, made_trial
from tests.tuning.reports.factories import epoch, plan, record
from tuning.execution.ray_tune.placement import Node, TrialResources
from tuning.records.trials import TrialRecord
from tuning.reports import live
from tuning.reports.live import LiveTable
from tuning.reports.stages import place_of, stages_of

KNOBS = {"alpha": 1.0, "beta": 0.25, "interval": {"type": "int", "low": 1, "high": 7}}
SPEC = made_spec(space={"strategy": KNOBS})
PARAMS = {"strategy": {"alpha": 1.0, "beta": 0.25, "interval": 3}, "train": {"lr": 0.1}, "model": {}}


def a_console(*, terminal: bool, width: int = 100, height: int = 20) -> Console:
    return Console(file=StringIO(), force_terminal=terminal, width=width, height=height, color_system=None)


def ended(trial: str, status: Any, epochs: int, value: float | None, **more: Any) -> TrialRecord:
    return record(trial, value, status, **{"epochs": epochs, "params": PARAMS} | more)


def train(table: LiveTable, trial: str, number: int, best: float) -> None:
    """Tell the table of an epoch."""
    table.running(plan(trial, PARAMS), epoch(number, best))


@contextmanager
def running(table: LiveTable, history: Sequence[TrialRecord] = ()) -> Iterator[LiveTable]:
    table.begins(history)
    try:
        yield table
    finally:
        table.ends()


def written(console: Console) -> str:
    return console.file.getvalue()


def frame(table: LiveTable) -> list[str]:
    """The lines that would be drawn now, on a terminal of the table's own size."""
    copy = a_console(terminal=True, width=table.console.width, height=table.console.height)
    copy.print(table._render())
    return [line.rstrip() for line in written(copy).splitlines()]


def test_without_a_terminal_each_ended_trial_is_one_line():
    console = a_console(terminal=False, width=20)
    with running(LiveTable(3, SPEC, console=console)) as table:
        for epoch in (1, 2):
            train(table, "0000", epoch, 0.1 * epoch)
        assert written(console) == ""
        table.ended(ended("0000", "finished", 2, 0.2))
        table.ended(ended("0000", "finished", 2, 0.2))
        table.ended(ended("0001", "failed", 0, None))
        table.ended(ended("baseline", "finished", 5, 0.9, params={}))
    assert written(console).splitlines() == [
        "0000 finished after 2 epochs: alpha 1, beta 0.25, interval 3, valid recall@20 0.2; "
        "1/3 trials, best 0.2 (0000)",
        "0001 failed after 0 epochs: alpha 1, beta 0.25, interval 3; 2/3 trials, best 0.2 (0000)",
        "baseline finished after 5 epochs: valid recall@20 0.9; 2/3 trials, best 0.2 (0000)",
    ]


def test_history_counts_and_prints_nothing():
    console = a_console(terminal=False)
    table = LiveTable(3, SPEC, console=console)
    with running(table, [ended("0000", "finished", 9, 0.5)]):
        assert written(console) == ""
        table.ended(ended("0001", "pruned", 4, 0.25))
    assert written(console).count("\n") == 1
    assert "2/3 trials, best 0.5 (0000)" in written(console)


@pytest.mark.parametrize("height", [5, 12, 24])
@pytest.mark.parametrize("running", [2, 40])
def test_500_trials_fit_the_terminal(height, running):
    table = LiveTable(500, SPEC, console=a_console(terminal=True, width=72, height=height))
    for index in range(500 - running):
        status: Any = ("finished", "pruned", "failed")[index % 3]
        table.ended(ended(f"{index:04}", status, 9, index / 1000))
    for index in range(500 - running, 500):
        table.running(plan(f"{index:04}", PARAMS), None)
    lines = frame(table)
    below = 3 if height >= live.LOW else 1
    assert len(lines) < height
    assert max(map(len, lines)) <= 72
    assert lines[-below].startswith(f"{500 - running}/500 trials, best 0.")
    assert sum(" running " in line for line in lines[:-below]) == min(running, max(1, height - 3 - below))


def test_the_best_and_the_latest_stay_in_sight():
    table = LiveTable(9, SPEC, console=a_console(terminal=True, height=9))
    train(table, "0006", 1, 0.99)  # starts first, ends last
    for index, value in enumerate([0.9, 0.8, 0.1, 0.2, 0.3, 0.4]):
        table.ended(ended(f"{index:04}", "finished", 9, value))
    table.ended(ended("0006", "failed", 9, 0.99))
    train(table, "0007", 3, 0.05)
    words = [line.split() for line in frame(table)]
    assert [line[:2] for line in words[2:-1]] == [
        ["0000", "finished"],
        ["0001", "finished"],
        ["0005", "finished"],
        ["0006", "failed"],
        ["0007", "running"],
    ]
    assert words[2] == ["0000", "finished", "9", "1", "0.25", "3", "0.9"]
    assert " ".join(words[-1]).startswith("7/9 trials, best 0.9 (0000)")
    assert " ".join(words[-1]).endswith("3 trials not shown")


def test_columns_follow_the_spec_and_unknown_values_are_dashes():
    learning_rate, rho = ({"type": "uniform", "low": 0.01, "high": 1.0} for _ in range(2))
    space = {"strategy": {"rho": rho}, "train": {"lr": learning_rate, "weight_decay": 0.0}}
    spec = made_spec(strategy="sam", space=space, training={"metric": "ndcg@5"})
    table = LiveTable(1, spec, console=a_console(terminal=True))
    table.running(plan("0000", PARAMS), None)
    lines = frame(table)
    assert lines[0].split() == ["trial", "status", "epochs", "rho", "lr", "valid", "ndcg@5"]
    assert lines[2].split() == ["0000", "running", "0", "-", "0.1", "-"]


def test_counts_epochs_of_this_start_only(monkeypatch):
    clock = [100.0]
    table = LiveTable(109, SPEC, console=a_console(terminal=False))
    history = [ended(f"9{index:03}", "finished", 900, 0.5) for index in range(100)]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    with running(table, history):
        for number in range(31, 31 + 7450):  # a trial restored at epoch 30
            train(table, "0001", number, 0.1)
        table.ended(ended("0001", "pruned", 7480, 0.1))
        clock[0] += 3725.0
        assert frame(table)[-2].endswith("; 1:02:05, 2 epochs/s")


@pytest.mark.parametrize("terminal", [False, True])
def test_a_trial_without_a_result_is_one_line_and_leaves_the_table(terminal):
    console = a_console(terminal=terminal)
    with running(LiveTable(3, SPEC, console=console)) as table:
        for name in ("0000", "0001"):
            train(table, name, 1, 0.1)
        table.lost(plan("0000", PARAMS), "out of memory of the GPU")
        assert [line.split()[0] for line in frame(table)[2:-2]] == ["0001", "0/3"]
        assert frame(table)[-1].startswith("1 running")
    assert "0000 has no result: out of memory of the GPU; --resume tries it again" in written(console)


def test_on_a_terminal_lines_and_log_records_stand_above_the_table():
    console = a_console(terminal=True)
    logger = logging.Logger("made")
    logger.addHandler(RichHandler(console=console, show_path=False))
    with running(LiveTable(2, SPEC, console=console)) as table:
        train(table, "0000", 1, 0.1)
        table.say("[b]careful[/b] " + "x" * 120)
        logger.warning("from a log")
        table.ended(ended("0000", "finished", 2, 0.2))
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", written(console))
    assert "[b]careful[/b] " + "x" * 120 in text.replace("\r", "")
    last = text.rstrip().splitlines()
    assert last[-3].startswith("1/2 trials, best 0.2 (0000)")
    assert last[-4].split()[:2] == ["0000", "finished"]
    assert text.index("careful") < text.index("from a log") < text.rindex("1/2 trials")
    assert "0000 finished after" not in text


def test_draws_at_most_four_times_a_second():
    console = a_console(terminal=True)
    start = time.monotonic()
    with running(LiveTable(500, SPEC, console=console)) as table:
        for index in range(250):
            table.ended(ended(f"{index:04}", "finished", 1, 0.1))
            time.sleep(0.001)
    frames = written(console).count("status")
    assert 2 <= frames <= 4 * (time.monotonic() - start) + 2  # and the first and the last one


def test_the_cursor_comes_back_after_an_error():
    console = a_console(terminal=True)
    with pytest.raises(KeyboardInterrupt), running(LiveTable(1, SPEC, console=console)):
        raise KeyboardInterrupt
    assert written(console).rstrip().endswith("\x1b[?25h")


def test_updates_from_several_threads_are_all_counted():
    table = LiveTable(400, SPEC, console=a_console(terminal=True, height=8))

    def report(first: int) -> None:
        for index in range(first, first + 100):
            train(table, f"{index:04}", 1, 0.1)
            table.ended(ended(f"{index:04}", "finished", 2, 0.1))

    threads = [threading.Thread(target=report, args=(first,)) for first in (0, 100, 200, 300)]
    for thread in threads:
        thread.start()
    for _ in range(5):
        assert len(frame(table)) < 8
    for thread in threads:
        thread.join()
    assert frame(table)[-1].startswith("400/400 trials")


def test_time_left_is_said_once_three_trials_have_ended(monkeypatch):
    """Trials of a minute each, on two of the machine's cores at a time."""
    clock = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    console = a_console(terminal=False)
    table = LiveTable(9, SPEC, console=console)
    table.placed(TrialResources(2, 0.0, 2, machine=Node(8, 0)))
    with running(table):
        for name in ("0000", "0001", "0002"):
            train(table, name, 1, 0.1)
            clock[0] += 60.0
            table.ended(ended(name, "finished", 1, 0.1, seconds=50.0))  # and 10 s of the worker's start
        lines = written(console).splitlines()
        assert [line.rpartition("; ")[2] for line in lines] == [
            "1/9 trials, best 0.1 (0000)",
            "2/9 trials, best 0.1 (0000)",
            "3/9 trials, best 0.1 (0000), about 3 min left",
        ]
        for name in ("0003", "0004"):
            train(table, name, 1, 0.1)
        clock[0] += 30.0
        assert frame(table)[-2].startswith("about 2 min left; 0:03:30, ")
        assert frame(table)[-1].startswith("2 running on 4 of 8 cores, memory ")


def test_an_experiment_says_which_search_runs_and_what_is_left_of_all(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    searches = [made_spec(name=name, role="confirmation", budget={"trials": 10}) for name in ("a", "b")]
    place = place_of("a", stages_of(searches, 0, 0), Path())
    table = LiveTable(6, SPEC, console=a_console(terminal=True), place=place)
    with running(table):
        assert frame(table)[-2].startswith("search 1 of 2: time left not known yet; ")
        for name in ("0000", "0001", "0002"):
            train(table, name, 1, 0.1)
            clock[0] += 60.0
            table.ended(ended(name, "finished", 1, 0.1, seconds=60.0))
        assert frame(table)[-2].startswith("search 1 of 2: about 3 min left, 9 min to 19 min in all searches; ")


def test_a_confirmation_is_judged_at_first_by_the_search_that_it_confirms(tmp_path, monkeypatch):
    """By its whole trainings, of 4 s each: those that were stopped early say nothing."""
    clock = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])
    folder = made_folder(tmp_path, trials=3, epochs=4)
    made_trial(folder, "0003", epochs=1)
    end_trial(folder, "0003", "pruned")
    place = place_of("made-seeds", stages_of([made_spec()], 3, 5), tmp_path / "searches")
    assert place.known == (4.0, 4.0, 4.0)
    table = LiveTable(15, SPEC, console=a_console(terminal=True), place=place)
    with running(table):
        assert frame(table)[-2].startswith("search 2 of 2: about 1 min left; ")
        for name in ("0000", "0001", "0002"):
            train(table, name, 1, 0.1)
            clock[0] += 60.0
            table.ended(ended(name, "finished", 1, 0.1, seconds=60.0))
        assert frame(table)[-2].startswith("search 2 of 2: about 12 min left; ")


def test_budgets_end_a_search_before_its_trials_do(monkeypatch):
    clock = [0.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: clock[0])

    def left(**budget: Any) -> str:
        table = LiveTable(99, made_spec(budget={"trials": 99, **budget}), console=a_console(terminal=True))
        clock[0] = 0.0
        with running(table, [ended("0000", "finished", 100, 0.1, passes=300)]):
            for number in range(11, 21):  # goes on from epoch 10
                clock[0] += 6.0
                train(table, "0001", number, 0.1)
            return frame(table)[-2].partition(";")[0]

    assert left() == "time left not known yet"
    assert left(seconds=3600.0) == "at most 59 min left"
    assert left(epochs=220) == "about 10 min left"  # 100 of 120 at 6 s
    assert left(passes=660) == "about 10 min left"  # three an epoch
    assert left(epochs=220, seconds=90.0) == "about 30 s left"


def test_the_growth_of_the_best_is_told():
    table = LiveTable(9, SPEC, console=a_console(terminal=True))
    with running(table):
        for name, value in (("0000", 0.1), ("0001", 0.13), ("0002", 0.12)):
            table.ended(ended(name, "finished", 9, value))
            if name == "0000":
                assert frame(table)[-3] == "1/9 trials, best 0.1 (0000)"
        assert frame(table)[-3] == "3/9 trials, best 0.13 (0001), +0.03 since 0000, none better for 1 trial"
        train(table, "0003", 1, 0.2)
        assert frame(table)[-3] == "3/9 trials, best 0.2 (0003), +0.1 since 0000"


def test_the_best_of_some_seeds_is_luck_and_grows_by_it():
    spec = made_spec(role="confirmation", space={"strategy": KNOBS})
    table = LiveTable(9, spec, console=a_console(terminal=True))
    with running(table):
        for name, value in (("0000", 0.1), ("0001", 0.13)):
            table.ended(ended(name, "finished", 9, value))
        assert frame(table)[-3] == "2/9 trials, best 0.13 (0001)"


def test_gpus_are_counted_where_there_are_some_and_a_growing_cluster_has_no_size():
    for resources, text in (
        (TrialResources(4, 0.25, 8, machine=Node(16, 2)), "2 running on 8 of 16 cores and 0.5 of 2 GPUs"),
        (TrialResources(4, 1.0, 8, grows=True, machine=Node(16, 2)), "2 running on 8 cores and 2 GPUs"),
    ):
        table = LiveTable(9, SPEC, console=a_console(terminal=True))
        table.placed(resources)
        with running(table):
            for name in ("0000", "0001"):
                train(table, name, 1, 0.1)
            assert frame(table)[-1].startswith(text)
