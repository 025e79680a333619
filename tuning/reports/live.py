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
from tuning.records import EpochRow, TrialPlan, TrialRecord
from tuning.reports import columns
from tuning.reports.columns import TrialRow, ended_row, running_row
from tuning.reports.tables import say, shown, table
from tuning.spec import SearchSpec

_STYLES = {"running": "cyan", "finished": "green", "pruned": "yellow", "failed": "red"}
_IN_THE_SENTENCE = ("trial", "status", "epochs")


class LiveTable(Observer):
    """Show how the trials of a search go.

    `total`: trials of the search without the baseline. `console`: where it prints; a logging handler on the same
    console writes above the table. The trials of earlier starts count as done, but no line is printed for them. Safe to
    call from several threads.
    """

    def __init__(self, total: int, spec: SearchSpec, *, console: Console | None = None):
        self.console = console or Console()
        self._total = total
        self._columns = [column for column in columns.trial_columns(spec) if column.live]
        self._rows: dict[str, TrialRow] = {}  # in the order of the last change of status
        self._epochs = 0
        self._started: float | None = None
        self._lock = threading.Lock()
        self._live = Live(console=self.console, get_renderable=self._render, refresh_per_second=4)

    def begins(self, history: Sequence[TrialRecord]) -> None:
        for record in history:
            self.ended(record)
        self._started = time.monotonic()
        if self._draws:
            self._live.start()

    def running(self, plan: TrialPlan, row: EpochRow | None) -> None:
        self._update(running_row(plan, row))

    def ended(self, record: TrialRecord) -> None:
        self._update(ended_row(record))

    def lost(self, plan: TrialPlan, reason: str) -> None:
        with self._lock:
            self._rows.pop(plan.trial, None)
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
            if self._started is None:
                return
            if (row.epochs or 0) > ((before and before.epochs) or 0):
                self._epochs += 1
            news = _ended(row) and not (before and _ended(before)) and not self._draws
            line = self._line(row) if news else None
        if line:
            self.say(line)

    def _line(self, row: TrialRow) -> str:
        cells = {column.heading: column.cell(row) for column in self._columns if column.of(row) is not None}
        known = ", ".join(f"{heading} {cell}" for heading, cell in cells.items() if heading not in _IN_THE_SENTENCE)
        return f"{row.name} {row.status} after {row.epochs} epochs: {known}; {self._progress()}"

    def _progress(self) -> str:
        tried = [row for row in self._rows.values() if row.role != "baseline"]
        done = f"{sum(map(_ended, tried))}/{self._total} trials"
        best = max(tried, key=_score, default=None)
        return done if best is None or _score(best) == -math.inf else f"{done}, best {shown(best.value)} ({best.name})"

    def _render(self) -> Group:
        with self._lock:
            rows, progress, epochs = list(self._rows.values()), self._progress(), self._epochs
        elapsed = time.monotonic() - (self._started or 0.0)
        # Head, rule, footer and a spare line: a frame taller than the terminal could not be redrawn in place.
        picked = _pick(rows, max(1, self.console.size.height - 4))
        footer = (
            f"{progress}, {timedelta(seconds=int(elapsed))}, {shown(round(epochs / max(elapsed, 1e-9), 2))} epochs/s"
        )
        if hidden := len(rows) - len(picked):
            footer += f", {hidden} trials not shown"
        drawn = table(self._columns, picked, style=lambda row: _STYLES[row.status or "running"], redrawn=True)
        return Group(drawn, Text(footer, no_wrap=True, overflow="ellipsis"))


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
