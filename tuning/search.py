"""A search from start to export: hold the folder, run what is left, choose the winner, keep the tracker up to date."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from recmodels.data import load_dataset
from recmodels.data.dataset import RecDataset
from recmodels.errors import UserError
from recmodels.evaluation import evaluate, popularity_scores
from recmodels.training.checkpoint import load_weights
from tuning.execution.observer import Observer
from tuning.execution.ray_tune.placement import TrialResources
from tuning.execution.ray_tune.settings import prepare
from tuning.execution.trial import fallback, trained_model
from tuning.export.front import export_front
from tuning.export.mmrec import check_mmrec
from tuning.export.winner import check_export_dir, export_best
from tuning.objectives import objectives_of
from tuning.proposals import check_known, choose_sampler, remaining
from tuning.records import Confirmation, Environment, SearchFolder, Tests, TrialRecord
from tuning.records.front import chosen_trial
from tuning.records.sealed import opened
from tuning.records.trials import record_of
from tuning.reports.resolution import measured_resolution
from tuning.reports.search_report import summary_markdown
from tuning.space.catalogue import check_begins, check_space
from tuning.spec import Scores, SearchSpec
from tuning.tracking.stores import check_stores, tracking_uris
from tuning.tracking.tracker import Tracker

if TYPE_CHECKING:  # it loads optuna
    from tuning.proposals.study import Study


@dataclass(frozen=True)
class Outcome:
    """The result of one start of a search. `waiting`: runs whose records wait on disk for the tracking store.

    `popularity`: the metrics that every model has to beat. `tests`: trial name -> test metrics, of the winner and of
    the others whose test metrics may be seen. `front`: the exports of the points of a front of several objectives.
    """

    records: list[TrialRecord]
    winner: TrialRecord | None
    export: Path | None
    interrupted: bool
    waiting: int
    popularity: Scores | None
    tests: Tests = field(default_factory=dict)
    front: tuple[Path, ...] = ()


class Search:
    """One start of a search; if the spec's folder exists, `run` goes on with what is left.

    `data`: the data set, if it is loaded already. `observer` is told what happens. `argv`: the command line, for the
    record. UserError for a spec that cannot be run, or a folder whose search began with other data.
    """

    def __init__(
        self,
        spec: SearchSpec,
        data: RecDataset | None = None,
        observer: Observer | None = None,
        argv: Sequence[str] = (),
    ):
        folders = (Path(path) if path else None for path in (spec.data_dir, spec.cache_dir))
        self.folder, self.data, self.argv = SearchFolder.of(spec), data or load_dataset(spec.dataset, *folders), argv
        self.observer = observer or Observer()
        environment = self.folder.environment()
        if environment and self.data.fingerprint != environment.data.fingerprint:
            found, expected = self.data.fingerprint[:12], environment.data.fingerprint[:12]
            message = f"not the data this search started with (fingerprint {found}, expected {expected})"
            raise UserError(f"{spec.dataset}: {message}")
        check_space(spec.space, spec.model, spec.strategy)  # a spec's file may have been changed by hand
        check_known(spec)
        if not environment:  # a search that has begun goes on
            check_begins(spec.space, spec.strategy, spec.training.max_epochs)
            if spec.baseline:
                raise UserError("baseline: expected false, a new search has its reference in an experiment")
        sampler = choose_sampler(spec.space, spec.budget.trials, spec.sampler, spec.warm_start.told)
        if sampler != "grid" and spec.space.points:
            raise UserError(f"--sampler {sampler}: the points of --points run in their order: expected auto or grid")
        if sampler == "grid" and spec.space.grid_size() is None:
            raise UserError("--sampler grid: expected a finite space, but a parameter is continuous (give it a step)")
        if spec.export_format == "mmrec":
            check_mmrec(spec.model, spec.strategy, spec.training.metric)
        check_stores(spec, "tracking.stores", "tracking.uri")
        if spec.role == "search":
            check_export_dir(Path(spec.export_dir))
        self.spec = spec.model_copy(update={"sampler": sampler})
        self.trackers: list[Tracker] = []

    @classmethod
    def resume(cls, folder: Path, observer: Observer | None = None, **changes: Any) -> "Search":
        """Make the start that goes on with the search in a folder; `changes`: fields of its spec, such as its budget.

        UserError if the folder holds no search.
        """
        place = {"name": folder.name, "output_dir": str(folder.parent)}  # a folder may have been moved or copied
        spec = SearchFolder(folder).spec().model_dump() | place | changes
        return cls(SearchSpec.model_validate(spec), observer=observer)

    def run(self) -> Outcome:
        """Search until the budget ends or the user interrupts; the best so far is exported in either case."""
        address = prepare(self.spec.resources.ray_address)
        from tuning.execution.ray_tune.cluster import cluster  # imports ray, which reads what `prepare` sets

        with self.folder.locked():
            if self.folder.environment() and not remaining(self.spec, self.folder):
                self.folder.write_spec(self.spec)
                return self._finish(interrupted=False)  # at most the tracking store is behind
            with cluster(address, self.spec, self.observer.say) as resources:
                self.folder.write_spec(self.spec)  # not before Ray runs: a search that cannot run leaves nothing
                try:
                    complete = self._explore(resources)
                except BaseException:  # a second Ctrl-C, or Ray itself failed: a resume goes on
                    for tracker in self.trackers:
                        tracker.close(interrupted=True, timeout=5)
                    raise
                return self._finish(interrupted=not complete)

    def conclude(self) -> Outcome:
        """Export the winner and bring the tracker up to date once more, as what is known of it may have changed."""
        with self.folder.locked():
            if self.spec.objectives:  # another point of the front may have been picked
                self.folder.write_spec(self.spec)
            return self._finish(interrupted=False)

    def _explore(self, resources: TrialResources) -> bool:
        from tuning.execution.ray_tune.sharing import run_with_enough, shared
        from tuning.proposals.study import Study

        resources = shared(resources, self.spec, self.data, self.observer.say)
        before = self.folder.environment()
        if self.folder.popularity() is None:
            self.folder.write_popularity(popularity_scores(self.data, self.spec.training.cutoffs))
        self.folder.write_environment(Environment.now(self.data, self.argv, resources.cpus, before))
        spec = self.spec
        objectives = objectives_of(spec.objectives)
        study = Study(self.folder, spec.space, spec.sampler, spec.training.seed, spec.warm_start, objectives)
        recover(self.folder, study)
        self.folder.confirmation.unlink(missing_ok=True)  # of what was the best before these trials
        self._track()
        self.observer.placed(resources)
        self.observer.begins(list(self.folder.ledger().values()))
        try:
            return run_with_enough(self.spec, self.folder, study, self.data, resources, self.observer)
        finally:
            self.observer.ends()

    def _finish(self, interrupted: bool) -> Outcome:
        records = list(self.folder.ledger().values())
        confirmation = Confirmation.in_file(self.folder.confirmation)
        best, path, front = chosen_trial(self.spec, self.folder.contenders(), confirmation), None, tuple[Path, ...]()
        try:
            chosen = best if confirmation or not self.spec.awaits_confirmation else None
            tests = self._open_tests(records, chosen)  # the choice is made
            if best and self.spec.role == "search":  # the best of some seeds is luck
                test = tests.get(best.trial, {})
                path = export_best(self.spec, best, test, self.folder, self.observer.say, confirmation)
                if self.spec.objectives:
                    front = export_front(self.spec, records, tests, self.folder, self.observer.say)
            self.observer.concluded(self.folder)
        finally:
            if not self.trackers:
                self._track()
            waiting = sum(tracker.close(interrupted) for tracker in self.trackers)
        return Outcome(records, best, path, interrupted, waiting, self.folder.popularity(), tests, front)

    def _track(self) -> None:
        for uri in tracking_uris(self.spec):
            tracker = Tracker(self.folder, self.spec, self.observer.say, self._summary, uri)
            self.trackers.append(tracker)
            tracker.start()

    def _summary(self, records: list[TrialRecord], tests: Tests) -> str:
        folder, told = self.folder, measured_resolution(self.folder, records, self.spec.training.metric)
        confirmation = Confirmation.in_file(folder.confirmation) if self.spec.role == "search" else None
        seen = folder.environment(), folder.popularity(), tests
        return summary_markdown(self.spec, records, *seen, told, confirmation)

    def _open_tests(self, records: list[TrialRecord], best: TrialRecord | None) -> Tests:
        """Return the test metrics that may be seen now that the best trial is chosen: if it was pruned or cut short, it
        has none yet, and its best weights are evaluated."""
        tests = opened(self.folder, self.spec, records, best.trial if best else None)
        if best is None or tests.get(best.trial):
            return tests
        trial = self.folder.trial(best.trial)
        weights = trial.best_weights(best.best_epoch or 0)
        if not weights.exists():
            return tests
        if line := fallback(best.device):
            self.observer.say(line)
        model = trained_model(trial.plan(), self.spec.model, self.data, load_weights(weights))
        measured = evaluate(model, self.data, "test", self.spec.training.cutoffs)
        if best in records:  # one that was cut short may go on
            trial.write_test(measured)
        return {**tests, best.trial: measured}


def recover(folder: SearchFolder, study: "Study") -> None:
    """After a kill: enter results that never reached the ledger, and bring the study up to it."""
    for plan in folder.unfinished():
        trial = folder.trial(plan.trial)
        if result := trial.result():
            folder.append_record(record_of(plan, trial.epochs(), result))
    study.reconcile(folder.ledger(), folder.unfinished())
