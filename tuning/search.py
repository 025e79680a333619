"""A search from start to export: hold the folder, run what is left, choose the winner, keep MLflow up to date."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch

from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from recmodels.evaluation import evaluate, popularity_scores
from recmodels.training.checkpoint import load_weights
from tuning.execution.ray_tune import tuner as search
from tuning.execution.ray_tune.recorder import record_of, recover
from tuning.execution.trial import best_file, build
from tuning.export.mmrec import check_mmrec
from tuning.export.winner import export_best
from tuning.proposals.study import Study, choose_sampler
from tuning.records.environment import environment
from tuning.records.folder import BASELINE, SearchFolder, TrialRecord, unfinished
from tuning.records.selection import winner
from tuning.reports import search_report as report
from tuning.reports.live import LiveTable
from tuning.space.catalogue import check_space
from tuning.spec import Scores, SearchSpec
from tuning.tracking.tracker import NullTracker, Tracker, make_tracker


@dataclass(frozen=True)
class Outcome:
    """What a start of a search came to. `waiting`: MLflow runs whose records wait on disk.

    `popularity`: what every model has to beat; None where an older search, now complete, never measured it.
    """

    records: list[TrialRecord]
    winner: TrialRecord | None
    export: Path | None
    interrupted: bool
    waiting: int
    popularity: Scores | None


class Session:
    """One start of a search; `run` in a resumed folder goes on with what is left."""

    def __init__(self, spec: SearchSpec, folder: SearchFolder, data: RecDataset, table: LiveTable, argv: Sequence[str]):
        self.folder, self.data, self.table, self.argv = folder, data, table, argv
        self.space = spec.space
        check_space(spec.space, spec.model, spec.strategy)  # a spec's file may have been changed by hand
        if spec.baseline and self.space.base_defaults() is None:
            raise UserError("--baseline: expected a default for every train and model parameter, but one has none")
        sampler = choose_sampler(self.space, spec.budget.trials, spec.sampler)
        if sampler == "grid" and self.space.grid_size() is None:
            raise UserError("--sampler grid: expected a finite space, but a parameter is continuous (give it a step)")
        if spec.export_format == "mmrec":
            check_mmrec(spec.model, spec.strategy, spec.training.metric)
        self.spec = spec.model_copy(update={"sampler": sampler})
        self.tracker: Tracker | NullTracker = NullTracker()

    def run(self) -> Outcome:
        """Search until the budget ends or the user interrupts; the best so far is exported in either case."""
        with self.folder.locked():
            self.folder.write_spec(self.spec)
            self._show_history()
            if self.folder.environment() and not self._work_left():  # nothing but MLflow may be behind
                return self._finish(interrupted=False)
            with search.cluster(self.spec.resources.ray_address):
                try:
                    complete = self._explore()
                except BaseException:  # a second Ctrl-C, or Ray itself failed: a resume goes on
                    self.tracker.close(interrupted=True, timeout=5)
                    raise
                return self._finish(interrupted=not complete)

    def running(self, trial: str, params: dict[str, Any], epoch: int, best: float | None) -> None:
        self.table.update(trial, "running", epoch, params, best)

    def ended(self, record: TrialRecord) -> None:
        self.table.update(record.trial, record.status, record.epochs, record.params, record.value)
        self.tracker.poke()

    def run_id(self, trial: str) -> str | None:
        return self.tracker.run_id(trial)

    def _explore(self) -> bool:
        resources = search.slot(self.spec)
        before = self.folder.environment()
        facts = environment(self.data, self.argv, resources.cpus, before)
        facts["popularity"] = before.get("popularity") or popularity_scores(self.data, self.spec.training.cutoffs)
        self.folder.write_environment(facts)
        study = Study(self.folder, self.space, self.spec.sampler, self.spec.training.seed)
        recover(self.folder, study, self)
        self._track()
        with self.table:
            return search.explore(self.spec, self.folder, self.space, study, self.data, resources, self)

    def _finish(self, interrupted: bool) -> Outcome:
        records = list(self.folder.ledger().values())
        best, path = winner(records) or winner(self._cut_short()), None
        try:
            if best:
                best = self._tested(best)
                if not self.spec.repeat_seeds:  # the best of some seeds is luck
                    path = export_best(self.spec, best, self.folder.environment(), self.folder.path)
        finally:
            if isinstance(self.tracker, NullTracker):
                self._track()
            waiting = self.tracker.close(interrupted)
        return Outcome(records, best, path, interrupted, waiting, self.folder.environment().get("popularity"))

    def _cut_short(self) -> list[TrialRecord]:
        """The trials that the end of the budget or the user stopped, as they stand: better than no result at all."""
        stopped = unfinished(self.folder.trials(), self.folder.ledger())
        trials = [trial for trial in stopped if trial.name != BASELINE and trial.epochs()]
        return [record_of(trial, ("pruned", "the search was stopped"), None) for trial in trials]

    def _track(self) -> None:
        self.tracker = make_tracker(self.spec, self.folder, self.table.say, self._summary)
        self.tracker.start()

    def _summary(self) -> str:
        return report.summary_markdown(self.spec, self.folder.ledger().values(), self.folder.environment())

    def _show_history(self) -> None:
        for record in self.folder.ledger().values():
            self.table.update(record.trial, record.status, record.epochs, record.params, record.value)

    def _work_left(self) -> bool:
        trials, ledger = self.folder.trials(), self.folder.ledger()
        names = {trial.name for trial in trials}
        started = len(names - {BASELINE})
        return (
            bool(unfinished(trials, ledger))
            or started < min(self.spec.budget.trials, self._points())
            or (self.spec.baseline and BASELINE not in names)
        )

    def _points(self) -> float:
        points = self.space.grid_size() if self.spec.sampler == "grid" and not self.spec.repeat_seeds else None
        return float("inf") if points is None else points

    def _tested(self, record: TrialRecord) -> TrialRecord:
        """A winner that was pruned has no test metrics yet: take them from its best weights."""
        trial = self.folder.trial(record.trial)
        if record.test or record.best_epoch is None or not best_file(trial, record.best_epoch).exists():
            return record
        state = build(trial.plan() or {}, self.spec.model, self.data, torch.device("cpu"))
        weights = load_weights(best_file(trial, record.best_epoch))
        test = evaluate(state.model, self.data, "test", self.spec.training.cutoffs, weights)
        return replace(record, test=test)
