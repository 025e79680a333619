"""A trial: one configuration and one seed, trained to its end. Needs neither Ray nor Optuna nor MLflow."""

import time
import traceback
from collections.abc import Callable

import numpy as np
import torch
from filelock import FileLock
from torch import Tensor

from recmodels.analysis import sharpness
from recmodels.data.dataset import RecDataset
from recmodels.errors import TrainingDiverged
from recmodels.evaluation import Evaluator, evaluate
from recmodels.models import MODELS
from recmodels.training import EpochReport, TrainingState, make_optimizer, make_strategy, train
from recmodels.training.checkpoint import load_state, load_weights, save_state, save_weights
from recmodels.training.optimizers import SETTINGS
from recmodels.training.stopping import best_evaluation, should_stop
from tuning.records import EpochRow, TrialFolder, TrialPlan, TrialResult
from tuning.spec import Training

CHECKPOINT_SECONDS = 5.0
"""At most this much training is done again after a kill. A trial that Ray stops saves itself first."""

Report = Callable[[EpochRow], None]


def build(plan: TrialPlan, model: str, data: RecDataset, device: torch.device) -> TrainingState:
    """Make a fresh state; the plan's seed fixes initial weights, batches, negatives and whatever the model draws."""
    params, seed = plan.params, plan.seed
    torch.manual_seed(seed)
    made = MODELS[model](data, **params["model"]).to(device)
    base = {key: value for key, value in params["train"].items() if key in SETTINGS}
    factors = made.rate_factors()
    optimizer = make_optimizer(params["train"]["optimizer"], made.parameters(), rate_factors=factors, **base)
    clip_norm = params["train"].get("clip_norm")
    strategy = make_strategy(plan.strategy, made, params["strategy"], clip_norm=clip_norm, seed=seed)
    return TrainingState(made, optimizer, strategy, np.random.default_rng(seed))


def run_trial(
    plan: TrialPlan, *, model: str, data: RecDataset, training: Training, folder: TrialFolder, report: Report
) -> None:
    """Train a plan from its last checkpoint, or from the start, to its end; leaves result.json in the folder.

    `report` gets each epoch's row, which holds validation metrics alone; if it raises SystemExit (Ray's way to stop a
    trial) the state is saved first. A loss that is not finite makes the result "failed"; so does any other exception,
    which is raised again.
    """
    torch.set_num_threads(plan.threads)
    with FileLock(folder.path / ".lock"):  # the worker of a killed driver may take a moment to die
        try:
            _Run(plan, model, data, training, folder).finish(report)
        except TrainingDiverged as error:
            folder.write_result(TrialResult("failed", str(error)))
        except Exception as error:
            (folder.path / "error.txt").write_text(traceback.format_exc())
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            folder.write_result(TrialResult("failed", reason))
            raise


class _Run:
    """A trial under way: its state, its scores so far, and the weights of its best epoch."""

    def __init__(self, plan: TrialPlan, model: str, data: RecDataset, training: Training, folder: TrialFolder):
        self.data, self.training, self.folder = data, training, folder
        device = torch.device(plan.device)
        self.batch_size = plan.params["train"]["batch_size"]
        self.state = build(plan, model, data, device)
        self.scores: list[float] = []
        self.best_weights: dict[str, Tensor] = {}
        if (folder.path / "last.pt").exists():
            saved = load_state(folder.path / "last.pt", device)
            self.state.load_state_dict(saved)
            self.scores = saved["scores"]
            self.best_weights = load_weights(folder.best_weights(self.best_epoch))
        # Other weights of a killed start may be of another machine or another number of threads.
        for stale in folder.path.glob("best-*.safetensors"):
            if not self.scores or stale != folder.best_weights(self.best_epoch):
                stale.unlink()
        folder.forget_epochs_after(self.state.epoch)

    @property
    def best_epoch(self) -> int:
        return best_evaluation(self.scores) + 1

    def finish(self, report: Report) -> None:
        reason = self._train(report)
        self._save()
        self.state.model.load_state_dict(self.best_weights)
        test = evaluate(self.state.model, self.data, "test", self.training.cutoffs)
        self.folder.write_result(TrialResult("finished", reason, test))

    def _train(self, report: Report) -> str:
        """Train until the trial ends, and say why it ended."""
        patience, saved = self.training.patience, time.monotonic()
        enough = f"no improvement for {patience + 1} epochs"
        if should_stop(self.scores, patience):  # restored after its last epoch
            return enough
        for epoch in train(
            self.state,
            self.data,
            batch_size=self.batch_size,
            max_epochs=self.training.max_epochs,
            evaluator=Evaluator(self.data, "valid", self.training.cutoffs),
        ):
            row = self._record(epoch)
            if time.monotonic() - saved > CHECKPOINT_SECONDS:
                self._save()
                saved = time.monotonic()
            try:
                report(row)
            except SystemExit:
                self._save()
                raise
            if should_stop(self.scores, patience):
                return enough
        return f"all {self.training.max_epochs} epochs" if self.state.model.trains else "nothing to train"

    def _record(self, epoch: EpochReport) -> EpochRow:
        flatness = self._flatness(epoch.epoch)
        self.scores.append(epoch.valid[self.training.metric])
        if self.best_epoch == epoch.epoch:
            self.best_weights = self.state.strategy.weights()
        row = EpochRow(
            epoch=epoch.epoch,
            time=time.time(),
            loss=epoch.loss,
            terms=epoch.terms,
            seconds=epoch.seconds,
            valid_seconds=epoch.valid_seconds,
            valid=epoch.valid,
            passes=epoch.counts.backward,
            steps=epoch.counts.steps,
            skipped=epoch.counts.skipped,
            best=max(self.scores),
            best_epoch=self.best_epoch,
            flatness=flatness,
        )
        self.folder.append_epoch(row)
        return row

    def _flatness(self, epoch: int) -> dict[str, float]:
        """Return the sharpness of the loss, in every `flatness_every`-th epoch; else {}."""
        every = self.training.flatness_every
        return sharpness(self.state, self.data, batch_size=self.batch_size) if every and epoch % every == 0 else {}

    def _save(self) -> None:
        # The weights first: last.pt never names a best epoch whose weights are not on disk.
        best = self.folder.best_weights(self.best_epoch)
        if not best.exists():
            save_weights(best, self.best_weights)
        save_state(self.folder.path / "last.pt", {**self.state.state_dict(), "scores": self.scores})
        for old in set(self.folder.path.glob("best-*.safetensors")) - {best}:
            old.unlink()
