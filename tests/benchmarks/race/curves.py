"""Learning curves, trained on demand, epoch by epoch, and kept in a folder: all methods of a race share them.

curves/KEY.jsonl        the configuration, then a row for each epoch that was ever asked for
curves/KEY.test.jsonl   test metrics of each epoch that was the best so far, for reports alone
"""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from recmodels.data.dataset import RecDataset
from recmodels.errors import TrainingDiverged, UserError
from recmodels.evaluation import Evaluator
from recmodels.files import read_lines, write_whole
from recmodels.training import train
from tuning.execution.trial import build, epoch_row
from tuning.records import EpochRow, TrialPlan
from tuning.spec import Params

ENDLESS = 10**6
"""Epochs of a curve: who reads it decides where its trial ends."""


@dataclass(frozen=True)
class Configuration:
    """What a curve depends on, but the machine. `fingerprint`: of the data. `metric`: decides which epoch is best."""

    model: str
    fingerprint: str
    strategy: str
    params: Params
    seed: int
    metric: str
    ks: tuple[int, ...]

    def to_json(self) -> dict[str, Any]:
        return json.loads(json.dumps(asdict(self)))

    @property
    def key(self) -> str:
        """The name of its files."""
        return hashlib.sha256(json.dumps(self.to_json(), sort_keys=True).encode()).hexdigest()[:16]


Tested = tuple[EpochRow, dict[str, float]]
"""An epoch, and the test metrics after it if it is the best so far."""
Trainer = Callable[[Configuration], Iterator[Tested]]
"""Trains a configuration for ever; may raise TrainingDiverged."""


def trainer(data: RecDataset) -> Trainer:
    """Return the trainer of real curves, on the CPU with the threads that torch has."""

    def rows(what: Configuration) -> Iterator[Tested]:
        plan = TrialPlan(
            trial=what.key,
            role="search",
            strategy=what.strategy,
            params=what.params,
            point={},
            seed=what.seed,
            threads=torch.get_num_threads(),
            device="cpu",
            time=0.0,
        )
        state = build(plan, what.model, data, torch.device("cpu"))
        test = Evaluator(data, "test", what.ks)
        best, best_epoch = -1.0, 0
        for report in train(
            state,
            data,
            batch_size=what.params["train"]["batch_size"],
            max_epochs=ENDLESS,
            evaluator=Evaluator(data, "valid", what.ks),
        ):
            value, metrics = report.valid[what.metric], {}
            if value > best:
                best, best_epoch = value, report.epoch
                # A trial of a search is tested once, at its end: here nothing may be drawn for it in between.
                with state.strategy.evaluation_weights(), torch.no_grad(), torch.random.fork_rng(devices=[]):
                    metrics = test(*state.model.embed())
            yield epoch_row(report, time=0.0, best=best, best_epoch=best_epoch), metrics

    return rows


@dataclass
class Curve:
    """The epochs of one configuration so far. `failed`: why there are no more, if the training diverged."""

    what: Configuration
    folder: Path
    train: Trainer
    rows: list[EpochRow] = field(default_factory=list)
    failed: str | None = None
    _tests: dict[int, dict[str, float]] = field(default_factory=dict)
    _is_new: bool = False
    _training: Iterator[Tested] | None = None
    _generator: torch.Tensor = field(default_factory=torch.get_rng_state)

    def row(self, epoch: int) -> EpochRow | None:
        """Return an epoch, counted from 1, which is trained if it must be; None if the training fails before it."""
        while len(self.rows) < epoch and self.failed is None:
            self._advance()
        return self.rows[epoch - 1] if len(self.rows) >= epoch else None

    def test(self, epoch: int) -> dict[str, float]:
        """Return the test metrics of an epoch that was the best so far; for reports alone."""
        return self._tests[epoch]

    def keep(self) -> None:
        """Write what is new to the folder, and let go of the training."""
        if self._is_new and len(self.rows) >= len(read_lines(self._path)) - 1:  # another process may be further
            tests = [{"epoch": epoch, "test": metrics} for epoch, metrics in self._tests.items()]
            ends = [{"failed": self.failed}] if self.failed else []
            _write(self._tests_path, tests)
            _write(self._path, [self.what.to_json(), *(row.to_json() for row in self.rows), *ends])
        self._is_new, self._training = False, None

    def restore(self) -> None:
        """Read what the folder has of the curve. UserError for a file that is not this curve's."""
        head, *lines = read_lines(self._path) or [self.what.to_json()]
        if head != self.what.to_json():
            raise UserError(f"{self._path}: not the curve of this configuration, expected {self.what.to_json()}")
        if lines and "failed" in lines[-1]:
            self.failed = lines.pop()["failed"]
        self.rows = [EpochRow.from_json(line, self._path) for line in lines]
        self._tests = {line["epoch"]: line["test"] for line in read_lines(self._tests_path)}

    @property
    def _path(self) -> Path:
        return self.folder / f"{self.what.key}.jsonl"

    @property
    def _tests_path(self) -> Path:
        return self.folder / f"{self.what.key}.test.jsonl"

    def _advance(self) -> None:
        """Train one epoch; the first time, those again that only the folder has."""
        others = torch.get_rng_state()  # several curves train in turn, and what a model draws is its own
        again = 0 if self._training else len(self.rows)
        torch.set_rng_state(self._generator)
        try:
            self._training = self._training or self.train(self.what)
            for epoch in range(1, again + 1):
                row, _ = next(self._training)
                if row.valid != (before := self.rows[epoch - 1]).valid:
                    old, new = (each.valid[self.what.metric] for each in (before, row))
                    fault = f"epoch {epoch} had {self.what.metric} {old} and has {new} now"
                    raise UserError(f"{self._path}: {fault}: trained on another machine? Delete the file to train anew")
            self._is_new = True
            row, test = next(self._training)
            self.rows.append(row)
            if test:
                self._tests[row.epoch] = test
        except TrainingDiverged as error:
            self.failed = str(error)
        finally:
            self._generator = torch.get_rng_state()
            torch.set_rng_state(others)


@dataclass(frozen=True)
class Curves:
    """The curves of one model, strategy and data set in a folder. `metric`, `ks`: as of a Configuration."""

    folder: Path
    train: Trainer
    model: str
    fingerprint: str
    strategy: str
    metric: str
    ks: tuple[int, ...]
    _made: dict[str, Curve] = field(default_factory=dict)

    def of(self, params: Params, seed: int) -> Curve:
        """Return the curve of a trial's parameters and seed, as far as it is known."""
        what = Configuration(self.model, self.fingerprint, self.strategy, params, seed, self.metric, self.ks)
        if what.key not in self._made:
            self._made[what.key] = curve = Curve(what, self.folder, self.train)
            curve.restore()
        return self._made[what.key]


def _write(path: Path, lines: list[dict[str, Any]]) -> None:
    write_whole(path, "".join(json.dumps(line) + "\n" for line in lines))
