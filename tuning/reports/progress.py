"""How far a search has come, and how long it still takes, as its events tell."""

from collections.abc import Sequence

from tuning.execution.ray_tune.placement import TrialResources, count
from tuning.records import EpochRow, TrialPlan, TrialRecord
from tuning.reports.columns import TrialRow
from tuning.reports.machine import memory
from tuning.reports.stages import Place, time_of
from tuning.reports.tables import shown
from tuning.reports.time_left import LEAST, TimeLeft, by_budget, by_trials, soonest
from tuning.spec import Budget


class Progress:
    """Counts what a search does. Times `now` are of one clock, in seconds.

    `total`: trials of the search without the baseline. `place`: in an experiment, if it is part of one. A trial that
    goes on from its checkpoint counts its earlier epochs as well, but not for the speed of this start.
    """

    def __init__(self, total: int, budget: Budget, place: Place | None = None):
        self._total, self._budget, self._place = total, budget, place
        self._resources: TrialResources | None = None
        self._started: float | None = None
        self._ended: dict[str, TrialRecord] = {}
        self._took: dict[str, float] = {}
        self._begun: dict[str, float] = {}
        self._lost: set[str] = set()
        self._epoch: dict[str, int] = {}
        self._done = {"epochs": 0, "passes": 0}
        self._now_done = {"epochs": 0, "passes": 0}

    def placed(self, resources: TrialResources) -> None:
        self._resources = resources

    def begins(self, history: Sequence[TrialRecord], now: float) -> None:
        for record in history:
            self.ended(record, now)
        self._started = now

    def running(self, plan: TrialPlan, row: EpochRow | None, now: float) -> None:
        self._begun.setdefault(plan.trial, now)
        self._lost.discard(plan.trial)
        if row and row.epoch > (before := self._epoch.get(plan.trial, 0)):
            self._epoch[plan.trial] = row.epoch
            self._done["epochs"] += row.epoch - before
            self._done["passes"] += row.passes * (row.epoch - before)
            self._now_done["epochs"] += 1
            self._now_done["passes"] += row.passes

    def ended(self, record: TrialRecord, now: float) -> None:
        if record.trial in self._ended:
            return
        begun = self._begun.pop(record.trial, now)
        if record.role != "baseline":
            self._ended[record.trial] = record
            self._took[record.trial] = max(record.seconds, now - begun)  # with what its worker takes besides
        if record.trial not in self._epoch:
            self._done["epochs"] += record.epochs
            self._done["passes"] += record.passes

    def lost(self, trial: str) -> None:
        self._begun.pop(trial, None)
        self._lost.add(trial)

    @property
    def trials(self) -> str:
        """`3/40 trials`."""
        return f"{len(self._ended)}/{self._total} trials"

    @property
    def running_now(self) -> int:
        return len(self._begun)

    def epochs_a_second(self, now: float) -> float:
        return self._now_done["epochs"] / max(self.elapsed(now), 1e-9)

    def elapsed(self, now: float) -> float:
        """Return the seconds since this start."""
        return 0.0 if self._started is None else now - self._started

    def left(self, now: float) -> TimeLeft | None:
        """Return the time to the end of the search; None before there is evidence."""
        since, budget = self.elapsed(now), self._budget
        left = self._total - len(self._ended) - len(self._lost)
        running = [now - begun for begun in self._begun.values()]
        return soonest(
            by_trials(self._evidence(), left, running, self._at_once()),
            by_budget(self._done["epochs"], self._now_done["epochs"], budget.epochs, since),
            by_budget(self._done["passes"], self._now_done["passes"], budget.passes, since),
            TimeLeft(0.0, max(budget.seconds - since, 1.0)) if budget.seconds else None,
        )

    def left_in_all(self, now: float) -> TimeLeft | None:
        """Return the time to the end of the experiment; None in its last search, and before there is evidence."""
        if self._place is None or not self._place.later:
            return None
        own, later = self.left(now), time_of(self._place.later, self._ended.values(), self._at_once())
        return own + later if own and later else None

    def time_line(self, now: float) -> str:
        """Return what is left, of the search and of its experiment."""
        own, in_all = self.left(now), self.left_in_all(now)
        line = f"{self._place}: " if self._place else ""
        line += f"{own} left" if own else "time left not known yet"
        return line + (f", {in_all} in all searches" if in_all else "")

    def machine_line(self) -> str:
        """Return how many trials run, on what, and the memory in use."""
        running, line = self.running_now, f"{self.running_now} running"
        if resources := self._resources:
            line += f" on {self._of(running * resources.cpus, 'cpus')} cores"
            if resources.gpus:
                line += f" and {self._of(running * resources.gpus, 'gpus')} GPUs"
        used = memory()
        return line + (f", memory {used[0]:.1f} of {used[1]:.1f} GiB" if used else "")

    def _of(self, used: float, unit: str) -> str:
        machine = self._resources.machine if self._resources and not self._resources.grows else None
        return f"{used:g}" + (f" of {getattr(machine, unit):g}" if machine else "")

    def _evidence(self) -> list[float]:
        """Return the seconds of trials like those that are left; of another search as long as this one has too few."""
        took = list(self._took.values())
        return took if len(took) >= LEAST or self._place is None else [*self._place.known, *took]

    def _at_once(self) -> int:
        if self._resources and not self._resources.grows:
            return self._resources.concurrent
        return max(1, self.running_now)


def growth(ended: Sequence[TrialRow], best: float) -> str:
    """Return how the best value came about: `, +0.013 since 0000, none better for 5 trials`; empty if nothing is known.

    `ended`: the trials that ended with a value, in that order. `best`: of all, those that run among them.
    """
    if not ended or ended[0].value is None:
        return ""
    text = f", {best - ended[0].value:+.2g} since {ended[0].name}" if best > ended[0].value else ""
    better = [place for place, row in enumerate(ended) if row.value == best]
    worse = len(ended) - 1 - better[0] if better else 0
    return text + (f", none better for {count(worse, 'trial')}" if worse else "")


def best_so_far(rows: Sequence[TrialRow]) -> tuple[str, str]:
    """Return `, best 0.0931 (0007)` and how it grew; two empty texts before a trial has a value."""
    tried = [row for row in rows if row.role != "baseline" and row.status != "failed" and row.value is not None]
    if not tried:
        return "", ""
    best = max(tried, key=lambda row: row.value or 0.0)
    ended = [row for row in tried if row.status != "running"]
    return f", best {shown(best.value)} ({best.name})", growth(ended, best.value or 0.0)
