"""The search while it runs: a live table on a terminal, one line per ended trial anywhere else."""

import math
import threading
import time
from collections.abc import Sequence
from datetime import timedelta

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from tuning.execution.observer import Observer
from tuning.execution.ray_tune.placement import TrialResources
from tuning.records import EpochRow, TrialPlan, TrialRecord
from tuning.reports import columns
from tuning.reports.columns import TrialRow, ended_row, running_row
from tuning.reports.progress import Progress, best_so_far
from tuning.reports.stages import Place
from tuning.reports.tables import say, shown, table
from tuning.spec import SearchSpec

_STYLES = {"running": "cyan", "finished": "green", "pruned": "yellow", "failed": "red"}
LOW = 10  # lines of a terminal that has room for one line below the table
_IN_THE_SENTENCE = ("trial", "status", "epochs")


class LiveTable(Observer):
    """Show how the trials of a search go.

    `total`: trials of the search without the baseline. `console`: where it prints; a logging handler on the same
    console writes above the table. `place`: in an experiment, if it is part of one. The trials of earlier starts count
    as done, but no line is printed for them. Safe to call from several threads.
    """

    def __init__(self, total: int, spec: SearchSpec, *, console: Console | None = None, place: Place | None = None):
        self.console = console or Console()
        self._progress = Progress(total, spec.budget, place)
        self._confirms = spec.role == "confirmation"
        self._columns = [column for column in columns.trial_columns(spec) if column.live]
        self._rows: dict[str, TrialRow] = {}  # in the order of the last change of status
        self._begun = False
        self._lock = threading.Lock()
        self._live = Live(console=self.console, get_renderable=self._render, refresh_per_second=4)

    def placed(self, resources: TrialResources) -> None:
        self._progress.placed(resources)

    def begins(self, history: Sequence[TrialRecord]) -> None:
        for record in history:
            self._update(ended_row(record))
        with self._lock:
            self._progress.begins(history, time.monotonic())
            self._begun = True
        if self._draws:
            self._live.start()

    def running(self, plan: TrialPlan, row: EpochRow | None) -> None:
        with self._lock:
            self._progress.running(plan, row, time.monotonic())
        self._update(running_row(plan, row))

    def ended(self, record: TrialRecord) -> None:
        with self._lock:
            self._progress.ended(record, time.monotonic())
        self._update(ended_row(record))

    def lost(self, plan: TrialPlan, reason: str) -> None:
        with self._lock:
            self._rows.pop(plan.trial, None)
            self._progress.lost(plan.trial)
        self.say(f"{plan.trial} has no result: {reason}; --resume tries it again")

    def ends(self) -> None:
        if self._draws:
            self._live.stop()

    def say(self, text: str) -> None:
        """Print a line, above the table where there is one."""
        say(self.console, text)

    @property
    def _draws(self) -> bool:
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def _update(self, row: TrialRow) -> None:
        with self._lock:
            before = self._rows.get(row.name)
            if before and before.status != row.status:
                del self._rows[row.name]
            self._rows[row.name] = row
            if not self._begun:
                return
            news = _ended(row) and not (before and _ended(before)) and not self._draws
            line = self._line(row) if news else None
        if line:
            self.say(line)

    def _line(self, row: TrialRow) -> str:
        cells = {column.heading: column.cell(row) for column in self._columns if column.of(row) is not None}
        known = ", ".join(f"{heading} {cell}" for heading, cell in cells.items() if heading not in _IN_THE_SENTENCE)
        return f"{row.name} {row.status} after {row.epochs} epochs: {known}; {self._done()}"

    def _done(self) -> str:
        """Return the trials that ended, the best value, and what is left: the end of a trial's line."""
        best, _ = best_so_far(list(self._rows.values()))
        left = self._progress.left(time.monotonic())
        return self._progress.trials + best + (f", {left} left" if left else "")

    def _render(self) -> Group:
        with self._lock:
            rows, footer = list(self._rows.values()), self._footer()
        height = self.console.size.height
        if height < LOW:
            footer = footer[:1]
        # Head, rule and a spare line: a frame taller than the terminal could not be redrawn in place.
        picked = _pick(rows, max(1, height - 3 - len(footer)))
        if hidden := len(rows) - len(picked):
            footer[-1] += f", {hidden} trials not shown"
        drawn = table(self._columns, picked, style=lambda row: _STYLES[row.status or "running"], redrawn=True)
        return Group(drawn, *(Text(line, no_wrap=True, overflow="ellipsis") for line in footer))

    def _footer(self) -> list[str]:
        """Return the lines below the table, the one that says most first."""
        now, progress = time.monotonic(), self._progress
        best, grown = best_so_far(list(self._rows.values()))
        clock = timedelta(seconds=int(progress.elapsed(now)))
        speed = f"{clock}, {shown(round(progress.epochs_a_second(now), 2))} epochs/s"
        return [
            progress.trials + best + ("" if self._confirms else grown),  # the best of some seeds is luck
            f"{progress.time_line(now)}; {speed}",
            progress.machine_line(),
        ]


def _ended(row: TrialRow) -> bool:
    return row.status != "running"


def _score(row: TrialRow) -> float:
    return -math.inf if row.value is None or row.status == "failed" else row.value


def _pick(rows: Sequence[TrialRow], room: int) -> list[TrialRow]:
    """Return at most `room` rows: the best and the latest of the ended ones by score, and below them the running ones,
    which come first if there is not room for all."""
    running = [row for row in rows if not _ended(row)][:room]
    ended = sorted(filter(_ended, rows), key=_score, reverse=True)
    left = room - len(running)
    best = ended[: (left + 1) // 2]
    chosen = {row.name for row in best}
    latest = [row for row in reversed(rows) if _ended(row) and row.name not in chosen][: left - len(best)]
    return sorted([*best, *latest], key=_score, reverse=True) + running
