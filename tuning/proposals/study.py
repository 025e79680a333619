"""The Optuna side of a search: samplers by name, and a study that agrees with the search's ledger. Imports optuna."""

import os
import warnings
from collections.abc import Callable, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

import optuna
from optuna import samplers
from optuna.distributions import BaseDistribution, CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers import BaseSampler
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock
from optuna.trial import TrialState, create_trial

from tuning.objectives import Objective
from tuning.proposals.first import first_points
from tuning.proposals.forecast import ForecastingGP
from tuning.records import SearchFolder, TrialPlan, TrialRecord
from tuning.space import Choice, Range, Space
from tuning.spec import NOTHING, KnownPoint, WarmStart

KNOWN = "known"
"""The attribute of Optuna's trials that an earlier search has measured: their place among the known points."""

SAMPLERS: dict[str, Callable[[int, int], BaseSampler]] = {
    "gp": lambda seed, done: samplers.GPSampler(seed=seed + done),
    "gp_forecast": lambda seed, done: ForecastingGP(seed),  # a study goes on where it was
    "tpe": lambda seed, done: samplers.TPESampler(seed=seed + done, multivariate=True, constant_liar=True),
    "cmaes": lambda seed, done: samplers.CmaEsSampler(seed=seed + done, warn_independent_sampling=False),
    "random": lambda seed, done: samplers.RandomSampler(seed=seed + done),
    "qmc": lambda seed, done: samplers.QMCSampler(
        seed=seed,  # it counts in the study itself, but for categoricals and its first points
        independent_sampler=samplers.RandomSampler(seed=seed + done),
        scramble=True,
        warn_independent_sampling=False,
    ),
    "nsga2": lambda seed, done: samplers.NSGAIISampler(seed=seed + done),
    "grid": lambda seed, done: samplers.RandomSampler(seed=seed + done),  # never asked: every point is enqueued
}
"""Name -> sampler from the seed and the number of trials so far: a resumed sampler must not propose once more what its
seed proposed first."""


def optuna_distributions(space: Space) -> dict[str, BaseDistribution]:
    """Return Optuna's distribution of the same values for each dimension, by name."""

    def convert(distribution: Choice | Range) -> BaseDistribution:
        if isinstance(distribution, Choice):
            return CategoricalDistribution(distribution.values)
        low, high, step, log = distribution.low, distribution.high, distribution.step, distribution.log
        if distribution.whole:
            return IntDistribution(int(low), int(high), log=log, step=int(step or 1))
        return FloatDistribution(low, high, log=log, step=step)

    return {name: convert(distribution) for name, distribution in space.dimensions.items()}


class Study:
    """One search's study in a journal. Trials go by the search's names ("0003"); Optuna's numbers stay in here.

    Optuna state RUNNING means that the trial is unfinished; an orderly interruption ends it as FAIL and a resume opens
    a new one with the same parameters, so that nothing stays RUNNING for ever. `objectives`: none for the value of the
    metric alone.
    """

    def __init__(
        self,
        folder: SearchFolder,
        space: Space,
        sampler: str,
        seed: int,
        warm_start: WarmStart = NOTHING,
        objectives: Sequence[Objective] = (),
    ):
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        _drop_torn_line(folder.journal)
        journal = str(folder.journal)
        for stale in folder.path.glob(f"{folder.journal.name}.lock*"):
            stale.unlink()  # of a killed driver: the search's own lock is held by now
        self.storage = JournalStorage(JournalFileBackend(journal, lock_obj=JournalFileOpenLock(journal)))
        self.space, self.distributions = space, optuna_distributions(space)
        self.grid, self.objectives = sampler == "grid", objectives
        directions = [each.direction for each in objectives] or ["maximize"]
        self.study = optuna.create_study(
            study_name=folder.name, storage=self.storage, directions=directions, load_if_exists=True
        )
        self.study_id = self.storage.get_study_id_from_name(folder.name)
        self.first = [start.point for start in first_points(space, warm_start)]
        self._learn(warm_start.points)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            self.study.sampler = SAMPLERS[sampler](seed, len(self.study.get_trials(deepcopy=False)))
        self.numbers: dict[str, int] = {}

    def reconcile(self, ledger: Mapping[str, TrialRecord], unfinished: Sequence[TrialPlan]) -> None:
        """Bring the study up to the ledger; the `unfinished` trials, but a baseline, are RUNNING when this returns."""
        open_points = {plan.trial: plan.point for plan in unfinished if plan.role != "baseline"}
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            self.storage.set_trial_state_values(self._id(trial.number), TrialState.FAIL)  # enqueued, never asked for
        for trial in self.study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
            name = trial.user_attrs.get("trial", "")
            self.numbers[name] = trial.number
            if name in ledger:
                self.tell(ledger[name])
            elif name not in open_points:  # killed between the proposal and the plan
                self._end(name, TrialState.FAIL)
        for name, point in open_points.items():
            if name not in self.numbers:
                self._reopen(name, point)

    def ask(self, name: str, index: int) -> dict[str, Any] | None:
        """The sampler's next point, for the `index`-th trial of the search, called `name`; None: no point is left."""
        for point in self._planned(index):
            self.study.enqueue_trial(point)
        if self.grid and not self.study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            return None
        trial = self.study.ask(self.distributions)
        trial.set_user_attr("trial", name)
        self.numbers[name] = trial.number
        return trial.params

    def report(self, name: str, epoch: int, best: float) -> None:
        """The best value so far after an epoch; without effect for a trial that the study did not propose, and with
        several objectives, of which it would be one."""
        if name in self.numbers and not self.objectives:
            self.storage.set_trial_intermediate_value(self._id(self.numbers[name]), epoch, best)

    def tell(self, record: TrialRecord) -> None:
        """Finished with its best value, pruned with the best so far, failed as failed, and so is one that lacks an
        objective."""
        if record.trial not in self.numbers:
            return
        values = [each.of(record) for each in self.objectives]
        if record.status == "finished" and None not in values:
            own = [value for value in values if value is not None]
            self.study.tell(self.numbers[record.trial], own or record.value)
        else:
            self._end(record.trial, TrialState.PRUNED if record.status == "pruned" else TrialState.FAIL)

    def interrupt(self, name: str) -> None:
        if name in self.numbers:
            self._end(name, TrialState.FAIL)
            del self.numbers[name]

    def _planned(self, index: int) -> Sequence[dict[str, Any]]:
        if self.grid:
            return list(islice(self.space.grid() or (), index, index + 1))
        return self.first[index : index + 1]

    def _learn(self, known: Sequence[KnownPoint]) -> None:
        """Enter what earlier searches have measured as complete trials without a name, each once, however often the
        search starts."""
        trials = self.study.get_trials(deepcopy=False)
        entered = {trial.user_attrs[KNOWN] for trial in trials if KNOWN in trial.user_attrs}
        for number, each in enumerate(known):
            if each.value is not None and number not in entered:
                self.study.add_trial(
                    create_trial(
                        value=each.value,
                        params=each.point,
                        distributions=self.distributions,
                        user_attrs={KNOWN: number, "source": each.source},
                    )
                )

    def _end(self, name: str, state: TrialState) -> None:
        self.study.tell(self.numbers[name], state=state)

    def _reopen(self, name: str, point: dict[str, Any]) -> None:
        template = create_trial(
            state=TrialState.RUNNING, params=point, distributions=self.distributions, user_attrs={"trial": name}
        )
        trial_id = self.storage.create_new_trial(self.study_id, template)
        self.numbers[name] = self.storage.get_trial_number_from_id(trial_id)

    def _id(self, number: int) -> int:
        return self.storage.get_trial_id_from_study_id_trial_number(self.study_id, number)


def _drop_torn_line(journal: Path) -> None:
    """A power cut may leave half a line at the end, which Optuna would never read past."""
    if journal.exists():
        os.truncate(journal, journal.read_bytes().rfind(b"\n") + 1)
