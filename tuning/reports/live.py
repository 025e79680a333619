"""The search while it runs: a live table on a terminal, one line per ended trial anywhere else."""

import math
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from rich import box
from rich.console import Console, Group
from rich.live import Live
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from tuning.execution.observer import Observer
from tuning.records.trials import BASELINE, EpochRow, Status, TrialPlan, TrialRecord
from tuning.reports.search_report import KNOBS, shown
from tuning.spec import Params

LiveStatus = Literal["running"] | Status
_STYLES = {"running": "cyan", "finished": "green", "pruned": "yellow", "failed": "red"}


@dataclass(frozen=True)
class _Row:
    trial: str
    status: LiveStatus
    epoch: int
    knobs: tuple[str, ...]
    value: float | None

    @property
    def ended(self) -> bool:
        return self.status != "running"


class LiveTable(Observer):
    """`with LiveTable(40, "recall@20") as table:` and one `update` per epoch and one per end of a trial.

    `total`: trials of the search without the baseline. `knobs`: names of the parameters that get a column. `console`:
    where it prints; a logging handler on the same console writes above the table. Updates before `with` are history:
    they count as done, but no line is printed for them. Safe to call from several threads.
    """

    def __init__(self, total: int, metric: str, *, knobs: Sequence[str] = KNOBS, console: Console | None = None):
        self.console = console or Console()
        self._total, self._metric, self._knobs = total, metric, tuple(knobs)
        self._rows: dict[str, _Row] = {}  # in the order of the last change of status
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
        epoch, best = (row.epoch, row.best) if row else (0, None)
        self.update(plan.trial, "running", epoch, plan.params, best)

    def ended(self, record: TrialRecord) -> None:
        self.update(record.trial, record.status, record.epochs, record.params, record.value)

    def ends(self) -> None:
        if self._draws:
            self._live.stop()

    def update(self, trial: str, status: LiveStatus, epoch: int, params: Params, value: float | None) -> None:
        """A trial's state. `epoch`: how many it has trained; `value`: its best score so far."""
        with self._lock:
            before = self._rows.get(trial)
            row = _Row(trial, status, epoch, self._values(params), value)
            if before and before.status != status:
                del self._rows[trial]
            self._rows[trial] = row
            if self._started is not None and epoch > (before.epoch if before else 0):
                self._epochs += 1
            news = row.ended and not (before and before.ended) and self._started is not None and not self._draws
            line = self._line(row) if news else None
        if line:
            self.say(line)

    def say(self, text: str) -> None:
        """Print a line, above the table where there is one."""
        self.console.print(text, markup=False, highlight=False, soft_wrap=True)

    @property
    def _draws(self) -> bool:
        return self.console.is_terminal and not self.console.is_dumb_terminal

    def _values(self, params: Params) -> tuple[str, ...]:
        values = {name: value for section in params.values() for name, value in section.items()}
        return tuple(shown(values.get(name)) for name in self._knobs)

    def _line(self, row: _Row) -> str:
        values = [*zip(self._knobs, row.knobs, strict=True), (self._metric, shown(row.value))]
        known = ", ".join(f"{name} {value}" for name, value in values if value != shown(None))
        return f"{row.trial} {row.status} after {row.epoch} epochs: {known}; {self._progress()}"

    def _progress(self) -> str:
        tried = [row for row in self._rows.values() if row.trial != BASELINE]
        done = f"{sum(row.ended for row in tried)}/{self._total} trials"
        best = max(tried, key=_score, default=None)
        return done if best is None or _score(best) == -math.inf else f"{done}, best {shown(best.value)} ({best.trial})"

    def _render(self) -> Group:
        with self._lock:
            rows, progress, epochs = list(self._rows.values()), self._progress(), self._epochs
        elapsed = time.monotonic() - (self._started or 0.0)
        # Head, rule, footer and a spare line: a frame taller than the terminal could not be redrawn in place.
        picked = _pick(rows, max(1, self.console.size.height - 4))
        speed = round(epochs / max(elapsed, 1e-9), 2)
        footer = f"{progress}, {timedelta(seconds=int(elapsed))}, {shown(speed)} epochs/s"
        if hidden := len(rows) - len(picked):
            footer += f", {hidden} trials not shown"
        return Group(self._table(picked), Text(footer, no_wrap=True, overflow="ellipsis"))

    def _table(self, rows: Sequence[_Row]) -> Table:
        table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False)
        for name in ("trial", "status"):
            table.add_column(name, min_width=8, no_wrap=True)
        for name in ("epoch", *self._knobs, self._metric):
            table.add_column(escape(name), min_width=8, no_wrap=True, justify="right")
        for row in rows:
            cells = (row.trial, row.status, str(row.epoch), *row.knobs, shown(row.value))
            table.add_row(*map(escape, cells), style=_STYLES[row.status])
        return table


def _score(row: _Row) -> float:
    return -math.inf if row.value is None or row.status == "failed" else row.value


def _pick(rows: Sequence[_Row], room: int) -> list[_Row]:
    """At most `room` rows: the running ones below the best and the latest of the ended ones, these by score."""
    running = [row for row in rows if not row.ended][:room]
    ended = sorted((row for row in rows if row.ended), key=_score, reverse=True)
    left = room - len(running)
    best = ended[: (left + 1) // 2]
    chosen = {row.trial for row in best}
    latest = [row for row in reversed(rows) if row.ended and row.trial not in chosen][: left - len(best)]
    return sorted([*best, *latest], key=_score, reverse=True) + running
