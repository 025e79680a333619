"""The trained trials of searches and of experiments' confirmations, whose best weights are kept in their folders."""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from recmodels.data import RecDataset
from recmodels.errors import UserError, did_you_mean
from recmodels.models import Recommender
from tuning.analyses.subjects import Origin
from tuning.experiments import Experiment
from tuning.experiments.results import visible_tests
from tuning.export.replay import load_planned
from tuning.records import SearchFolder, TrialRecord
from tuning.records.confirmation import SEEDS
from tuning.records.trials import TrialPlan
from tuning.spec import SearchSpec


@dataclass(frozen=True, eq=False)
class Run:
    """A trained trial. `weights`: the file of its best epoch. `test`: its test metrics, {} while these are sealed."""

    folder: SearchFolder
    spec: SearchSpec
    plan: TrialPlan
    record: TrialRecord
    weights: Path
    test: dict[str, float]

    @property
    def label(self) -> str:
        return f"{self.folder.name} {self.record.trial}"

    @property
    def strategy(self) -> str:
        return self.plan.strategy

    def digest(self, data: RecDataset) -> str:
        """Return the digest of everything that the model is made from."""
        made_from = [self.spec.model, self.strategy, self.plan.params, self.plan.seed, data.fingerprint]
        return hashlib.sha256(json.dumps(made_from, sort_keys=True).encode() + self.weights.read_bytes()).hexdigest()

    def model(self, data: RecDataset) -> Recommender:
        """Return the trained model, in evaluation mode. UserError for weights of another model."""
        return load_planned(self.plan, self.spec.model, data, self.weights)


@dataclass(frozen=True, eq=False)
class Runs:
    """The trials that are analysed, at least one, of one data set. `left_out`: a line for each kind that is not among
    them. `origin`: the names of what they are of, and the searches that are told."""

    runs: tuple[Run, ...]
    left_out: tuple[str, ...]
    origin: Origin

    @property
    def fingerprint(self) -> str:
        """The fingerprint of the data that the trials were trained on."""
        return _fingerprint(self.runs[0].folder)


def read_runs(names: Sequence[str], searches: Path) -> Runs:
    """Read the trials of searches, by name below the folder `searches` or by folder; of an experiment its runs on fresh
    seeds. UserError for an unknown name, one given twice, several data sets, and where no trial has weights."""
    folders, left_out = [], []
    for name in names:
        path = _folder(name, searches)
        if Experiment.is_in(path):
            specs = Experiment.in_folder(path).searches
            found = [SearchFolder(path.parent / f"{spec.name}{SEEDS}") for spec in specs]
            left_out += [f"{each.name}: no runs on fresh seeds" for each in found if not each.exists()]
            folders += [each for each in found if each.exists()]
        else:
            folders.append(SearchFolder(path))
    resolved = [each.path.resolve() for each in folders]
    for folder, path in zip(folders, resolved, strict=True):
        if resolved.count(path) > 1:
            raise UserError(f"{folder.path}: given twice, expected different searches")
    runs: list[Run] = []
    for folder in folders:
        own, lines = _trials(folder)
        runs += own
        left_out += lines
    if not runs:
        raise UserError(f"{', '.join(names)}: no trial with weights ({'; '.join(left_out) or 'none was started'})")
    for folder in dict.fromkeys(run.folder for run in runs):
        if (other := _fingerprint(folder)) != (first := _fingerprint(runs[0].folder)):
            raise UserError(f"{folder.path}: expected searches of one data set, but got {other[:8]} and {first[:8]}")
    told = dict.fromkeys(_told(run.folder) for run in runs)
    return Runs(tuple(runs), tuple(left_out), Origin(tuple(Path(name).name for name in names), tuple(told)))


def _folder(name: str, searches: Path) -> Path:
    for path in (Path(name), searches / name):
        if SearchFolder(path).exists() or Experiment.is_in(path):
            return path
    known = {each.name for each in searches.glob("*") if SearchFolder(each).exists() or Experiment.is_in(each)}
    raise UserError(f"{name}: no such search or experiment in {searches}{did_you_mean(name, known)}")


def _fingerprint(folder: SearchFolder) -> str:
    environment = folder.environment()
    if environment is None:
        raise UserError(f"{folder.path}: expected a search that has begun, but it has no environment.json")
    return environment.data.fingerprint


def _told(folder: SearchFolder) -> Path:
    """Return the search in whose report an analysis of these trials is shown: for runs on fresh seeds the one that they
    confirm."""
    confirmed = SearchFolder(folder.path.with_name(folder.name.removesuffix(SEEDS)))
    return confirmed.path if confirmed.exists() else folder.path


def _trials(folder: SearchFolder) -> tuple[list[Run], list[str]]:
    """Return the trials of a search that have weights, and a line for each kind that does not."""
    spec, ledger = folder.spec(), folder.ledger()
    tests, runs = visible_tests(folder, spec), []
    missing: dict[str, list[str]] = {"not ended": [plan.trial for plan in folder.unfinished()]}
    for record in sorted(ledger.values(), key=lambda record: record.trial):
        path = folder.trial(record.trial).best_weights(record.best_epoch or 0)
        if record.status == "failed":
            missing.setdefault("failed", []).append(record.trial)
        elif record.best_epoch is None or not path.is_file():
            missing.setdefault("without the weights of their best epoch", []).append(record.trial)
        else:
            plan = folder.trial(record.trial).plan()
            runs.append(Run(folder, spec, plan, record, path, dict(tests.get(record.trial, {}))))
    return runs, list(_lines(folder, missing))


def _lines(folder: SearchFolder, missing: dict[str, list[str]]) -> Iterator[str]:
    for why, trials in missing.items():
        if trials:
            yield f"{folder.name}: {len(trials)} left out as {why}: {', '.join(trials)}"
