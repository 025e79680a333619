"""Brings a store of records up to what a search's folder says: a run for the search, below it one for each trial.

A delivery is thrown away after any failure. The next one asks the store which runs and epochs it has and goes on from
there, so that a crash, a lost reply or a restored trial neither loses nor doubles a record.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Literal

from tuning.records import Confirmation, SearchFolder, Status, Tests, TrialFolder, TrialPlan, TrialRecord
from tuning.records.front import chosen_trial, front_of
from tuning.records.run_ids import RunIds
from tuning.records.sealed import opened
from tuning.records.trials import EpochRow
from tuning.spec import SearchSpec
from tuning.tracking import points
from tuning.tracking.points import Point
from tuning.tracking.store import SEARCH, RunState, Store, StoredRun

STATES: dict[Status, RunState] = {"finished": "FINISHED", "pruned": "FINISHED", "failed": "FAILED"}
KILLED: RunState = "KILLED"
OPENED = "test_metrics"
"""The tag of a trial's run that has its test metrics."""
LAYOUT, ARRANGED = "mirrortune.layout", "2"
"""The tag of the runs whose metrics are arranged, and its value; runs of older versions keep the names that they have.
"""

Ending = Literal["finished", "interrupted"]
Signature = tuple[int, int, int] | None
Summary = Callable[[list[TrialRecord], Tests], str]
"""Makes the search's page, in Markdown, of the ledger's records and the test metrics that may be seen."""


@dataclass
class _OpenRun:
    id: str
    arranged: bool
    delivered: set[int]
    """Epochs that the store has."""
    seen: Signature = None
    """epochs.jsonl when it was last read."""


class Delivery:
    """`settled`: the runs that the store has complete and ended; their files are not looked at again.

    `summary`: see Summary. `stop`: do no more than the step at hand.
    """

    def __init__(
        self,
        folder: SearchFolder,
        spec: SearchSpec,
        store: Store,
        run_ids: RunIds,
        summary: Summary,
        stop: Event,
    ) -> None:
        self._folder, self._spec, self._store, self._run_ids = folder, spec, store, run_ids
        self._summary, self._stop = summary, stop
        self._ledger = folder.open_ledger()
        ledger = self._ledger.records()
        self._found = store.find(run_ids.search_id, run_ids.ids)
        for name, run in self._found.items():
            run_ids.remember(name, run.id, store.experiment)
        self.settled = {name for name, run in self._found.items() if name in ledger and _ended(run, ledger[name])}
        self.upload_error: Exception | None = None
        self._runs: dict[str, _OpenRun] = {}
        self._tests: dict[str, Mapping[str, float]] = {}
        self._uploaded: dict[Path, Signature] = {}
        self._seen: list[Signature] = []
        self._refusals: list[Exception] = []

    def sync(self, ending: Ending | None) -> None:
        """Bring the store up to what the folder says now; with `ending` end every run. Raises whatever goes wrong."""
        # Looked at before the reading, so that what is written in between is seen next time.
        seen = [_signature(path) for path in (self._folder.path / "ledger.jsonl", *self._files())]
        ledger = self._ledger.records()
        if SEARCH not in self._runs:
            self._runs[SEARCH] = self._open(None, ending)
        self._refusals.clear()
        for trial in self._folder.trials_except(self.settled):
            if self._stop.is_set():
                return
            with self._own_refusals():
                self._sync_trial(trial, ledger.get(trial.name), ending)
        if ending or seen != self._seen:
            self._sync_search(list(ledger.values()), ending)
            self._seen = seen
        if self._refusals:
            raise self._refusals[0]

    @contextmanager
    def _own_refusals(self) -> Iterator[None]:
        """What a store refuses for one run concerns that run alone: it holds up no other, and is raised after them."""
        try:
            yield
        except Exception as error:
            if not self._store.refused(error):
                raise
            self._refusals.append(error)

    def _files(self) -> list[Path]:
        folder = self._folder
        own = (folder.best, folder.confirmation, folder.report)
        return [folder.path / "spec.yaml", folder.path / "environment.json", *own]

    def _open(self, plan: TrialPlan | None, ending: Ending | None) -> _OpenRun:
        """Create the run of a trial, or without a plan that of the search, or take up the one that is there."""
        if plan:
            name, start, parent = plan.trial, plan.time, self._runs[SEARCH].id
            title = points.trial_title(self._spec, plan)
            tags = {"mirrortune.role": "trial" if plan.role == "search" else plan.role, "mirrortune.trial": name}
            params = points.trial_params(plan)
        else:
            name, title, parent = SEARCH, self._spec.name, None
            start = min([time.time(), *(plan.time for plan in self._folder.plans())])
            tags, params = {"mirrortune.role": SEARCH}, points.search_params(self._spec)
        environment = self._folder.environment()
        tags |= {**points.identity(self._spec, environment), "status": "running"}
        tags["mirrortune.search_id"] = self._run_ids.search_id
        found = self._found.get(name)
        if not found:
            tags[LAYOUT] = ARRANGED
        run = found or self._store.create(title, start, tags, parent)
        self._run_ids.remember(name, run.id, self._store.experiment)
        # A store takes no second value for a parameter; a search that goes on with more trials has one.
        tags |= {f"resumed.{key}": value for key, value in params.items() if run.params.get(key, value) != value}
        self._store.log(run.id, [], tags, {key: value for key, value in params.items() if key not in run.params})
        if environment:
            self._store.uses(run.id, environment.data, f"{self._spec.data_dir or 'data'}/{self._spec.dataset}")
        if found and run.state != "RUNNING" and ending is None:
            self._store.reopen(run.id)
        delivered = self._store.epochs(run.id) if found else set()
        return _OpenRun(run.id, not found or LAYOUT in found.tags, delivered)

    def _arranged(self, new: Iterable[Point], arranged: bool) -> list[Point]:
        return points.arranged(new, self._spec.training.metric) if arranged else list(new)

    def _sync_trial(self, trial: TrialFolder, record: TrialRecord | None, ending: Ending | None) -> None:
        plan = trial.plan()
        if trial.name not in self._runs:
            self._runs[trial.name] = self._open(plan, ending)
        run = self._runs[trial.name]
        seen = _signature(trial.path / "epochs.jsonl")
        if seen == run.seen and record is None and ending is None:
            return
        rows, metric = trial.epochs(), self._spec.training.metric
        if not any(row.evaluated for row in rows) and record is None and ending is None:
            return  # the metric that decides is to be the first one of the run
        bad = points.non_finite(points.epoch_values(row, metric) for row in rows)
        new = self._arranged(points.epoch_points(rows, metric, run.delivered), run.arranged)
        self._store.log(run.id, new, {"non_finite": ", ".join(bad)} if bad else {}, {})
        run.delivered |= {row.epoch for row in rows}
        run.seen = seen
        if record or ending:
            self._end_trial(run, record, rows)
            self._store.end(run.id, STATES[record.status] if record else KILLED, rows[-1].time if rows else plan.time)
            self.settled.add(trial.name)

    def _end_trial(self, run: _OpenRun, record: TrialRecord | None, rows: list[EpochRow]) -> None:
        """`record` None: the trial was cut short and may go on one day."""
        new: list[Point] = []
        tags = {"status": "interrupted"}
        if record:
            objectives = points.objective_values(self._spec, record, "objective")
            new = points.ending_points(record, rows, self._spec.training.metric, run.arranged, objectives)
            new = self._arranged(new, run.arranged)
            tags = {"status": record.status, "reason": record.reason or ""}
        self._store.log(run.id, new, tags, {})

    def _sync_search(self, records: list[TrialRecord], ending: Ending | None) -> None:
        run = self._runs[SEARCH]
        run_id, new = run.id, list[Point]()
        tags: dict[str, str] = {}
        confirmation = Confirmation.in_file(self._folder.confirmation)
        own = confirmation if self._spec.role == "search" else None
        best = chosen_trial(self._spec, records, confirmation)
        chosen = best and ending and (confirmation or not self._spec.awaits_confirmation)
        self._open_tests(records, best.trial if best and chosen else None)
        if best and self._spec.role == "search":  # the best of some seeds is luck
            values = points.best_values(best) | points.knob_values(self._spec, best)
            if self._spec.objectives:
                front = front_of(self._spec.objectives, records)
                values |= points.objective_values(self._spec, best, "best/objective") | points.front_values(front)
                tags |= points.front_tags(front, self._spec.pick)
            if ending:
                values |= points.test_values(self._tests.get(best.trial, {}), "best/test")
            # The same winner makes the same points each time, and MLflow keeps equal points once.
            end = self._folder.trial(best.trial).epochs()[-1].time
            step = len(records) + 1 if own else records.index(best) + 1  # what is chosen comes after every trial
            new = points.finite_points(values, seconds=end, step=step)
            tags["winner"] = best.trial
        if own:
            end = self._folder.trial(own.trial).epochs()[-1].time
            new += points.finite_points(points.confirmed_values(own), seconds=end, step=len(own.seeds))
            tags |= points.confirmed_tags(own)
        if ending:
            tags["status"] = ending
        self._store.log(run_id, self._arranged(new, run.arranged), tags, {})
        self._store.describe(run_id, self._summary(records, self._tests))
        if ending:
            self._store.end(run_id, "FINISHED" if ending == "finished" else KILLED, time.time())
        self._upload(run_id, ending)
        if ending:
            self.settled.add(SEARCH)

    def _open_tests(self, records: list[TrialRecord], chosen: str | None) -> None:
        """Log the test metrics that may be seen on the trials' own runs. `chosen`: the winner, at the end alone."""
        if chosen and not self._tests.get(chosen):
            self._tests.pop(chosen, None)  # one that was pruned has been evaluated since
        news = [record for record in records if record.trial not in self._tests]
        self._tests |= opened(self._folder, self._spec, news, chosen)
        for record in news:
            if self._stop.is_set():
                return
            metrics, run_id = self._tests.get(record.trial), self._run_ids.ids.get(record.trial)
            found = self._found.get(record.trial)
            if not metrics or not run_id or (found and OPENED in found.tags):
                continue
            end = self._folder.trial(record.trial).epochs()[-1].time
            values = points.test_values(metrics, "test")
            new = points.finite_points(values, seconds=end, step=record.best_epoch or 0)
            new = self._arranged(new, not found or LAYOUT in found.tags)
            with self._own_refusals():
                self._store.log(run_id, new, {OPENED: "shown"}, {})

    def _upload(self, run_id: str, ending: Ending | None) -> None:
        """Store the search's files. A store that takes none is asked once more at the end and holds up nothing else."""
        if self.upload_error and ending is None:
            return
        for path in self._files():
            signature = _signature(path)
            if signature in (None, self._uploaded.get(path)):
                continue
            try:
                self._store.upload(run_id, path)
            except Exception as error:
                self.upload_error = error
                return
            self._uploaded[path] = signature


def _ended(run: StoredRun, record: TrialRecord) -> bool:
    return run.state == STATES[record.status] and run.tags.get("status") == record.status


def _signature(path: Path) -> Signature:
    try:
        stat = path.stat()
    except FileNotFoundError:
        return None
    return stat.st_mtime_ns, stat.st_size, stat.st_ino
