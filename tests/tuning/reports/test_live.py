"""The live table fits its terminal whatever happens; without a terminal there is a line per ended trial."""

import logging
import re
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import StringIO
from typing import Any

import pytest
from rich.console import Console
from rich.logging import RichHandler

from tests.tuning.factories import made_spec
from tests.tuning.reports.factories import epoch, plan, record
from tuning.records.trials import TrialRecord
from tuning.reports import live
from tuning.reports.live import LiveTable

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
    assert len(lines) < height
    assert max(map(len, lines)) <= 72
    assert lines[-1].startswith(f"{500 - running}/500 trials, best 0.")
    assert sum("running" in line for line in lines) == min(running, max(1, height - 4))


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
    clock = iter([100.0, 100.0 + 3725.0])
    table = LiveTable(9, SPEC, console=a_console(terminal=False))
    history = [ended(f"9{index:03}", "finished", 900, 0.5) for index in range(100)]
    monkeypatch.setattr(live.time, "monotonic", lambda: next(clock))
    with running(table, history):
        for number in range(31, 31 + 7450):  # a trial restored at epoch 30
            train(table, "0001", number, 0.1)
        table.ended(ended("0001", "pruned", 7480, 0.1))
        assert ", 1:02:05, 2 epochs/s, " in frame(table)[-1]


@pytest.mark.parametrize("terminal", [False, True])
def test_a_trial_without_a_result_is_one_line_and_leaves_the_table(terminal):
    console = a_console(terminal=terminal)
    with running(LiveTable(3, SPEC, console=console)) as table:
        for name in ("0000", "0001"):
            train(table, name, 1, 0.1)
        table.lost(plan("0000", PARAMS), "out of memory of the GPU")
        assert [line.split()[0] for line in frame(table)[2:]] == ["0001", "0/3"]
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
    assert last[-1].startswith("1/2 trials, best 0.2 (0000)")
    assert last[-2].split()[:2] == ["0000", "finished"]
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
