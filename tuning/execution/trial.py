"""A trial: one configuration and one seed, trained to its end. Needs neither Ray nor Optuna nor MLflow."""

import gc
import math
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.optim import Optimizer

from recmodels.analysis import sharpness
from recmodels.data.dataset import RecDataset
from recmodels.errors import TrainingDiverged
from recmodels.evaluation import Evaluator, evaluate, user_values
from recmodels.metric import Metric
from recmodels.models import MODELS, Recommender
from recmodels.training import EpochReport, TrainingState, make_optimizer, make_strategy, train
from recmodels.training.checkpoint import load_state, load_weights, save_state, save_weights
from recmodels.training.memory import keep_freed_memory
from recmodels.training.optimizers import SETTINGS
from recmodels.training.stopping import best_epoch, epochs_without_improvement
from tuning.execution.memory import memory_lack
from tuning.execution.place_fault import PlaceFault
from tuning.objectives import MEASURED
from tuning.objectives.objective import Subject
from tuning.records import EpochRow, TrialFolder, TrialPlan, TrialResult
from tuning.records.user_values import write_user_values
from tuning.spec import Training

CHECKPOINT_SECONDS = 5.0
"""At most this much training is done again after a kill. A trial that Ray stops saves itself first."""
SAVING_SHARE = 0.05
"""Checkpoints take at most this share of a trial's time: large ones, or those that travel, come more seldom."""

Report = Callable[[EpochRow], None]


def build(plan: TrialPlan, model: str, data: RecDataset, device: torch.device) -> TrainingState:
    """Make a fresh state; the plan's seed fixes initial weights, batches, negatives and whatever the model draws."""
    params, seed = plan.params, plan.seed
    torch.manual_seed(seed)
    made = MODELS[model](data, **params["model"]).to(device)
    options = {name: params["train"][name] for name in ("clip_norm", "precision") if name in params["train"]}
    strategy = make_strategy(plan.strategy, made, params["strategy"], **options, seed=seed)
    return TrainingState(made, fresh_optimizer(plan, made), strategy, np.random.default_rng(seed))


def fresh_optimizer(plan: TrialPlan, model: Recommender) -> Optimizer:
    """Make the plan's optimiser of the model."""
    train = plan.params["train"]
    base = {key: value for key, value in train.items() if key in SETTINGS}
    return make_optimizer(train["optimizer"], model.parameters(), rate_factors=model.rate_factors(), **base)


def run_trial(
    plan: TrialPlan,
    *,
    model: str,
    data: RecDataset,
    training: Training,
    folder: TrialFolder,
    report: Report,
    stops_early: bool = True,
    objectives: Sequence[str] = (),
) -> None:
    """Train a plan from its last checkpoint, or from the start, to its end; leaves result.json and test.json.

    A strategy that waits for the model to converge goes on when the patience is at its end, from the best weights with
    a fresh optimiser, and the patience counts anew. `stops_early`: whether its next end, or for other strategies the
    first, ends the training before `max_epochs`. `objectives`: by name; those that need a trained model are measured at
    the end, with the numbers that follow from the seed of `training`.
    `report` gets each epoch's row, which holds validation metrics alone; if it raises SystemExit (Ray's way to stop a
    trial) the state is saved first. A loss that is not finite makes the result "failed", without a
    test.json; so does any other exception, which is raised again. A lack of memory says nothing of the configuration,
    as another trial on the same card may have caused it: there is no result then, the folder says why, and the
    exception is raised again. So it is for a PlaceFault: where the trial runs, no trial can.
    """
    torch.set_num_threads(plan.threads)
    keep_freed_memory()
    with folder.held():
        folder.write_out_of_memory(None)
        try:
            _Run(plan, model, data, training, folder).finish(report, objectives, stops_early=stops_early)
        except TrainingDiverged as error:
            folder.write_result(TrialResult("failed", str(error)))
        except BaseException as error:
            if isinstance(error, Exception):
                _note(error, folder)
            traceback.clear_frames(error.__traceback__)  # they hold the model
            raise
        finally:
            if plan.device == "cuda":  # the process goes on with another trial, and its neighbours want the memory
                gc.collect()
                torch.cuda.empty_cache()


def _note(error: Exception, folder: TrialFolder) -> None:
    """Write down what ended the trial."""
    if isinstance(error, PlaceFault):
        return
    folder.write_error(traceback.format_exc())
    if lack := memory_lack(error):
        folder.write_out_of_memory(lack.reason)
    else:
        reason = f"{type(error).__name__}: {error}".splitlines()[0]
        folder.write_result(TrialResult("failed", reason))


def epoch_row(report: EpochReport, *, time: float, best: float | None, best_epoch: int | None) -> EpochRow:
    """Return what is kept of an epoch; see `EpochRow` for the rest of the arguments."""
    return EpochRow(
        epoch=report.epoch,
        time=time,
        loss=report.loss,
        terms=report.terms,
        seconds=report.seconds,
        valid_seconds=report.valid_seconds,
        valid=report.valid,
        passes=report.counts.backward,
        steps=report.counts.steps,
        skipped=report.counts.skipped,
        best=best,
        best_epoch=best_epoch,
    )


def device_here(device: str) -> torch.device:
    """Return the device that a trial ran on, or the CPU where torch can use no GPU: `fallback` says so."""
    return torch.device(device if torch.cuda.is_available() else "cpu")


def fallback(device: str) -> str | None:
    """Return a warning if the device that a trial ran on is not to be had here; else None."""
    if device_here(device).type == device:
        return None
    return "warning: trained on a GPU, and torch can use none here: computed on the CPU, where digits may differ"


def trained_model(plan: TrialPlan, model: str, data: RecDataset, weights: dict[str, Tensor]) -> Recommender:
    """Return the model of a plan with its trained weights, in evaluation mode, on the trial's device or the CPU.

    Raises RuntimeError if the weights are of another model.
    """
    made = build(plan, model, data, device_here(plan.device)).model
    made.load_state_dict(weights)
    return made.eval()


class _Run:
    """A trial under way: its state, its scores so far by epoch, and the weights of its best epoch.

    `converged`: the number of epochs until the strategy, which has waited for that, went on; 0 before and for others.
    """

    def __init__(self, plan: TrialPlan, model: str, data: RecDataset, training: Training, folder: TrialFolder):
        self.plan, self.data, self.training, self.folder = plan, data, training, folder
        device = torch.device(plan.device)
        self.batch_size = plan.params["train"]["batch_size"]
        self.state = build(plan, model, data, device)
        self.scores: dict[int, float] = {}
        self.converged = 0
        self.best_weights: dict[str, Tensor] = {}
        if (folder.path / "last.pt").exists():
            saved = load_state(folder.path / "last.pt", device)
            self.state.load_state_dict(saved)
            scores, self.converged = saved["scores"], saved.get("converged", 0)
            # Older checkpoints have a list, as every epoch was evaluated.
            self.scores = scores if isinstance(scores, dict) else dict(enumerate(scores, start=1))
            if best := self._best_file():
                self.best_weights = load_weights(best)
        self._keep_weights(self._best_file())  # others may be of another machine or another number of threads
        folder.forget_epochs_after(self.state.epoch)

    def _best_file(self) -> Path | None:
        """Return the file for the weights of the best epoch; None before the first evaluation."""
        return self.folder.best_weights(best_epoch(self.scores)) if self.scores else None

    def _keep_weights(self, best: Path | None) -> None:
        others = set(self.folder.path.glob("best-*.safetensors")) - {best}
        for other in others:
            other.unlink()
        self.folder.written(*(other.name for other in others))

    def finish(self, report: Report, objectives: Sequence[str], *, stops_early: bool) -> None:
        reason = self._train(report, stops_early)
        self._save(ends=True)
        self.state.model.load_state_dict(self.best_weights)
        by_user = user_values(self.state.model, self.data, "valid", Metric(self.training.metric))
        write_user_values(self.folder, by_user)  # before the result: who has that one has both
        self.folder.write_test(evaluate(self.state.model, self.data, "test", self.training.cutoffs))
        began = time.monotonic()
        measured = self._measured([name for name in objectives if name in MEASURED])
        spent = time.monotonic() - began if measured else 0.0
        self.folder.write_result(TrialResult("finished", reason, measured, spent))

    def _measured(self, objectives: Sequence[str]) -> dict[str, float]:
        """Return the objectives at the best weights, which the model has, without those that are not finite."""
        rule = self.training
        subject = Subject(self.state.model, self.data, Metric(rule.metric), self.batch_size, rule.seed)
        values = {name: measure(subject) for name in objectives if (measure := MEASURED[name].measure)}
        return {name: value for name, value in values.items() if value is not None and math.isfinite(value)}

    def _train(self, report: Report, stops_early: bool) -> str:
        """Train until the trial ends, and say why it ended."""
        saved, pause = time.monotonic(), CHECKPOINT_SECONDS
        if self._is_over() and stops_early:  # restored after its last epoch
            return self._with_notes(self._enough())
        for epoch in train(
            self.state,
            self.data,
            batch_size=self.batch_size,
            max_epochs=self.training.max_epochs,
            evaluator=Evaluator(self.data, "valid", self.training.cutoffs),
            eval_every=self.training.eval_every,
        ):
            row = self._record(epoch)
            if (since := time.monotonic()) - saved > pause:
                self._save()
                saved = time.monotonic()
                pause = max(CHECKPOINT_SECONDS, (saved - since) / SAVING_SHARE)
            try:
                report(row)
            except SystemExit:
                self._save(ends=True)
                raise
            if self._is_over() and stops_early:
                return self._with_notes(self._enough())
        if not self.state.model.trains:
            return "nothing to train"
        return self._with_notes(f"all {self.training.max_epochs} epochs")

    def _is_over(self) -> bool:
        """Return whether the patience is at its end, unless the strategy has waited for that: then it goes on."""
        if self._idle_epochs() <= self.training.patience:
            return False
        has_time = self.state.epoch < self.training.max_epochs
        if not (has_time and self.state.strategy.restart()):
            return True
        self.state.model.load_state_dict(self.best_weights)
        self.state.optimizer = fresh_optimizer(self.plan, self.state.model)
        self.converged = self.state.epoch
        return False

    def _idle_epochs(self) -> int:
        """Return the epochs without improvement at the last evaluation, counted anew after a convergence."""
        return epochs_without_improvement({at: score for at, score in self.scores.items() if at > self.converged})

    def _enough(self) -> str:
        return f"no improvement for {self._idle_epochs()} epochs"

    def _with_notes(self, reason: str) -> str:
        """Return why the trial ended, and what in it was not as its strategy's name suggests."""
        converged = [f"first converged after epoch {self.converged}"] if self.converged else []
        return "; ".join([reason, *converged, *self.state.strategy.idle()])

    def _record(self, epoch: EpochReport) -> EpochRow:
        flatness = self._flatness(epoch.epoch)
        if epoch.valid:
            self.scores[epoch.epoch] = epoch.valid[self.training.metric]
        best = best_epoch(self.scores) if self.scores else None
        if best == epoch.epoch:
            self.best_weights = self.state.strategy.weights()
        value = None if best is None else self.scores[best]
        row = replace(epoch_row(epoch, time=time.time(), best=value, best_epoch=best), flatness=flatness)
        self.folder.append_epoch(row)
        return row

    def _flatness(self, epoch: int) -> dict[str, float]:
        """Return the sharpness of the loss, in every `flatness_every`-th epoch; else {}."""
        every = self.training.flatness_every
        return sharpness(self.state, self.data, batch_size=self.batch_size) if every and epoch % every == 0 else {}

    def _save(self, *, ends: bool = False) -> None:
        # The weights first: last.pt never names a best epoch whose weights are not on disk.
        best = self._best_file()
        if best and not best.exists():
            save_weights(best, self.best_weights)
        progress = {"scores": self.scores, "converged": self.converged}
        save_state(self.folder.path / "last.pt", {**self.state.state_dict(), **progress})
        self.folder.checkpointed(best, ends=ends)
        self._keep_weights(best)
