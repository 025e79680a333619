"""A search as the product runs it, without its processes: the same proposals, pruning and patience on known curves.

Trials run side by side on a clock of passes, forward and backward over a batch, which is also the cost.
"""

import heapq
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

from ray.tune.schedulers import TrialScheduler

from tests.benchmarks.race.curves import Curve, Curves
from tuning.execution.ray_tune.pruning import Pruning, scheduler
from tuning.records import EpochRow, TrialPlan, TrialRecord, TrialResult, winner
from tuning.records.trials import record_of
from tuning.spec import Params, SearchSpec


class Proposer(Protocol):
    """What a Study does for a search."""

    def ask(self, name: str, index: int) -> dict[str, Any] | None: ...

    def report(self, name: str, epoch: int, best: float) -> None: ...

    def tell(self, record: TrialRecord) -> None: ...


@dataclass(frozen=True)
class Seen:
    """The best validation value of all trials after so many passes and seconds of training and validation."""

    passes: int
    seconds: float
    best: float


@dataclass
class Outcome:
    """The trials of a simulated search in the order in which they ended, then those that the budget's end stopped.

    `seen`: whenever the best value rose, and the end.
    """

    records: list[TrialRecord] = field(default_factory=list)
    stopped: list[TrialRecord] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)

    @property
    def passes(self) -> int:
        return self.seen[-1].passes if self.seen else 0

    @property
    def seconds(self) -> float:
        return self.seen[-1].seconds if self.seen else 0.0

    @property
    def best(self) -> float:
        return self.seen[-1].best if self.seen else 0.0

    @property
    def winner(self) -> TrialRecord | None:
        """The trial that the search would choose: by its validation values, one that finished if there is any."""
        return winner(self.records) or winner(self.stopped)

    def best_after(self, passes: float) -> float | None:
        """Return the best validation value within so many passes; None if there was none."""
        return max((each.best for each in self.seen if each.passes <= passes), default=None)

    def to_json(self) -> dict[str, Any]:
        """Return what it came to; of its trials those numbers that no other file has."""
        trials = [
            {
                "point": each.point,
                "status": each.status,
                "epochs": each.epochs,
                "passes": each.passes,
                "valid": each.value,
            }
            for each in (*self.records, *self.stopped)
        ]
        return {"seen": [asdict(each) for each in self.seen], "trials": trials}

    def __str__(self) -> str:
        return f"best {self.best:.4f}, {self.passes:,} passes, {len(self.records)} trials"


@dataclass(eq=False)
class _Running:
    """A trial under way, in the shape in which schedulers see one. `epoch`: trained so far. `clock`: its passes."""

    plan: TrialPlan
    curve: Curve
    epoch: int = 0
    clock: float = 0.0

    @property
    def trial_id(self) -> str:
        return self.plan.trial

    @property
    def config(self) -> dict[str, Any]:
        return {"trial": self.plan.trial, "role": self.plan.role}

    @property
    def rows(self) -> list[EpochRow]:
        return self.curve.rows[: self.epoch]

    def next_row(self) -> EpochRow | None:
        return self.curve.row(self.epoch + 1)

    def record(self, status: Any, reason: str) -> TrialRecord:
        return record_of(self.plan, self.rows, TrialResult(status, reason))


class _Controller:
    """All that schedulers ask of Ray's."""

    def get_live_trials(self) -> list[Any]:
        return []


class Simulation:
    """One search. `spec`: its space, scheduler, patience, most epochs, budget of trials and passes, and trials' seed.

    `workers`: trials at a time.
    """

    def __init__(self, spec: SearchSpec, proposer: Proposer, curves: Curves, workers: int):
        self.spec, self.proposer, self.curves, self.workers = spec, proposer, curves, workers
        self.pruning = Pruning(scheduler(spec), spec.training.max_epochs)
        self.controller = _Controller()
        self.outcome = Outcome()
        self.passes, self.seconds, self.best = 0, 0.0, 0.0

    def run(self) -> Outcome:
        """Run it to the end of its budget or of its points."""
        most, started = self.spec.budget.passes, self._started()
        running: list[tuple[float, int, _Running]] = []
        order = 0

        def push(trial: _Running) -> None:
            nonlocal order
            order += 1
            row = trial.next_row()
            heapq.heappush(running, (trial.clock + (row.passes if row else 0), order, trial))

        now = 0.0
        while True:
            while len(running) < self.workers and (trial := next(started, None)):
                trial.clock = now
                push(trial)
            if not running:
                break
            now, _, trial = heapq.heappop(running)
            trial.clock = now
            if self._goes_on(trial):
                push(trial)
            if most and self.passes >= most:
                break
        for trial in sorted((each for _, _, each in running), key=lambda each: each.plan.trial):
            trial.curve.keep()
            if trial.epoch:
                self.outcome.stopped.append(trial.record("pruned", "the search was stopped"))
        self.outcome.seen.append(Seen(self.passes, self.seconds, self.best))
        return self.outcome

    def _started(self) -> Iterator[_Running]:
        """Yield the trials that the search starts, one after the other."""
        for index in range(self.spec.budget.trials):
            name = f"{index:04}"
            point = self.proposer.ask(name, index)
            if point is None:
                return
            params = self.spec.space.resolve(point)
            trial = _Running(self._plan(name, params, point), self.curves.of(params, self.spec.training.seed))
            self.pruning.on_trial_add(self.controller, trial)  # type: ignore[arg-type]
            yield trial

    def _plan(self, name: str, params: Params, point: dict[str, Any]) -> TrialPlan:
        return TrialPlan(
            trial=name,
            role="search",
            strategy=self.spec.strategy,
            params=params,
            point=point,
            seed=self.spec.training.seed,
            threads=1,
            device="cpu",
            time=0.0,
        )

    def _goes_on(self, trial: _Running) -> bool:
        """Take a trial's next epoch into account; False if the trial has ended, which is recorded then."""
        row = trial.next_row()
        if row is None:
            return self._end(trial, "failed", trial.curve.failed or "")
        trial.epoch += 1
        self.passes += row.passes
        self.seconds += row.seconds + row.valid_seconds
        assert row.best is not None
        if row.best > self.best:
            self.best = row.best
            self.outcome.seen.append(Seen(self.passes, self.seconds, self.best))
        self.proposer.report(trial.plan.trial, row.epoch, row.best)
        result = {"epoch": row.epoch, "best": row.best, "evaluated": True}
        stops = self.pruning.on_trial_result(self.controller, trial, result) == TrialScheduler.STOP  # type: ignore[arg-type]
        idle = row.epoch - (row.best_epoch or 0)
        if idle > self.spec.training.patience or row.epoch >= self.spec.training.max_epochs:
            self.pruning.on_trial_complete(self.controller, trial, result)  # type: ignore[arg-type]
            return self._end(trial, "finished", f"no improvement for {idle} epochs")
        if stops:
            return self._end(trial, "pruned", f"{self.spec.scheduler.name} at epoch {row.epoch}")
        return True

    def _end(self, trial: _Running, status: str, reason: str) -> bool:
        trial.curve.keep()
        record = trial.record(status, reason)
        self.outcome.records.append(record)
        self.proposer.tell(record)
        return False
