"""One trial alone: what it reports and leaves on disk, and that no interruption changes a bit of it."""

import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch

from recmodels.data.dataset import Interactions, RecDataset, Split
from recmodels.evaluation import Evaluator, popularity_scores, score
from recmodels.models import MODELS, Recommender
from recmodels.models.lightgcn import LightGCN
from recmodels.training.checkpoint import load_state, load_weights, save_state, save_weights
from recmodels.training.strategies.mg import MirrorGradient
from recmodels.training.strategies.names import PARTS
from tests.recmodels.pretended_gpu import Pretended
from tuning.execution import trial
from tuning.execution.trial import fallback, run_trial, trained_model
from tuning.records.folder import TrialFolder
from tuning.records.sealed import open_test
from tuning.records.trials import EpochRow, TrialPlan, TrialResult
from tuning.spec import Training

TRAINED = sorted(name for name, model in MODELS.items() if model.trains)
TRAINING = Training(max_epochs=8, metric="ndcg@5", ks=(1, 5))


class Killed(BaseException):
    """No handler of the trial runs: what SIGKILL leaves is what is on disk."""


@pytest.fixture(autouse=True)
def _threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def data() -> RecDataset:
    """Random likes: nothing to learn, so that validation goes up and down and the best epoch is not the last."""
    rng = np.random.default_rng(6)
    users, items = np.nonzero(rng.random((20, 20)) < 0.4)
    split = rng.choice(3, len(users), p=(0.6, 0.2, 0.2))
    parts = [Interactions.from_pairs(users[split == part], items[split == part], 20) for part in range(3)]
    return RecDataset("random", 20, 20, *parts, {"image": rng.random((20, 3), dtype=np.float32)}, "random")


def plan(**changes: Any) -> TrialPlan:
    train = {"optimizer": "adam", "learning_rate": 0.01, "weight_decay": 0.0, "batch_size": 64}
    params = {
        "strategy": {"alpha": 1.2, "beta": 0.3, "interval": 2},
        "train": train | changes.pop("train", {}),
        "model": {"embedding_size": 4} | changes.pop("model", {}),
    }
    return replace(
        TrialPlan(
            trial="0000",
            role="search",
            strategy="mg",
            params=params,
            point={},
            seed=3,
            threads=1,
            device="cpu",
            time=0.0,
        ),
        **changes,
    )


def ignore(row: EpochRow) -> None:
    pass


def timeless(row: EpochRow) -> EpochRow:
    """The row without what a clock says."""
    return replace(row, time=0.0, seconds=0.0, valid_seconds=0.0)


class End(NamedTuple):
    """How a trial ended, and its test metrics."""

    status: str
    reason: str
    test: dict[str, float]


def run(
    path: Path, data: RecDataset, report: Callable[[EpochRow], None] = ignore, **how: Any
) -> tuple[list[EpochRow], End]:
    """(rows without clocks, end) of a trial in the folder `path`."""
    folder = TrialFolder(path)
    path.mkdir(exist_ok=True)
    how = {"model": "LightGCN", "training": TRAINING, "plan": plan()} | how
    run_trial(how.pop("plan"), data=data, folder=folder, report=report, **how)
    result, lines = folder.result(), (path / "epochs.jsonl").read_text().splitlines()
    assert result is not None
    assert len(lines) == len(folder.epochs())
    return [timeless(row) for row in folder.epochs()], End(result.status, result.reason, open_test(folder))


def files(path: Path) -> set[str]:
    return {file.name for file in path.iterdir()} - {".lock"}


def scores_of(path: Path, data: RecDataset, split: Split, model: str = "LightGCN") -> dict[str, float]:
    """All metrics of the weights on disk, in a model made anew."""
    (weights,) = path.glob("best-*.safetensors")
    made = MODELS[model](data, embedding_size=4)
    made.load_state_dict(load_weights(weights))
    return score.evaluate(made, data, split, TRAINING.cutoffs)


def test_reports_and_rows_follow_validation_with_the_best_so_far(tmp_path: Path, data: RecDataset) -> None:
    reports: list[EpochRow] = []
    rows, result = run(tmp_path, data, reports.append)
    scores = [row.valid["ndcg@5"] for row in rows]
    assert [timeless(row) for row in reports] == rows
    assert [row.epoch for row in reports] == list(range(1, 9))
    assert len(set(scores)) > 3
    for number, row in enumerate(rows, start=1):
        best = max(scores[:number])
        assert (row.epoch, row.passes, row.best, row.best_epoch) == (number, 3, best, scores.index(best) + 1)
        assert row.loss == pytest.approx(sum(row.terms.values()), rel=1e-5)
        assert row.valid.keys() == result.test.keys() == scores_of(tmp_path, data, "test").keys()
    assert (result.status, result.reason) == ("finished", "all 8 epochs")
    assert files(tmp_path) == {
        "epochs.jsonl",
        "last.pt",
        "result.json",
        "test.json",
        "users.npy",
        TrialFolder(tmp_path).best_weights(rows[-1].best_epoch).name,
    }


def test_the_test_split_changes_nothing_but_the_last_word(tmp_path: Path, data: RecDataset) -> None:
    other = replace(data, test=data.valid)
    reports: list[EpochRow] = []
    reports_of_other: list[EpochRow] = []
    rows, result = run(tmp_path / "a", data, reports.append)
    rows_of_other, result_of_other = run(tmp_path / "b", other, reports_of_other.append)
    assert rows == rows_of_other
    assert [timeless(row) for row in reports] == [timeless(row) for row in reports_of_other]
    assert result.test != result_of_other.test


def test_a_trial_leaves_the_validation_value_of_every_user_at_its_best_epoch(tmp_path: Path, data: RecDataset) -> None:
    """And no value of test: those of another test split are the same."""
    rows, _ = run(tmp_path / "a", data)
    run(tmp_path / "b", replace(data, test=data.train))
    values, others = (np.load(tmp_path / name / "users.npy", allow_pickle=False) for name in "ab")
    assert values.dtype == np.float32
    assert len(values) == np.count_nonzero(data.valid.counts)
    assert rows[-1].best_epoch != rows[-1].epoch
    assert values.mean(dtype=np.float64) == pytest.approx(rows[-1].best, rel=1e-6)
    assert len(set(values)) > 2
    assert np.array_equal(values, others)


def test_a_trial_that_is_stopped_leaves_no_values_of_users(tmp_path: Path, data: RecDataset) -> None:
    def stop(row: EpochRow) -> None:
        raise SystemExit

    with pytest.raises(SystemExit):
        run(tmp_path, data, stop)
    assert not TrialFolder(tmp_path).user_values.exists()


@pytest.mark.parametrize("model", TRAINED)
def test_the_weights_on_disk_are_those_of_the_best_epoch(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, data: RecDataset, model: str
) -> None:
    seen: list[tuple[torch.Tensor, torch.Tensor]] = []

    class ThirdIsBest(Evaluator):
        """A chance maximum of a tiny data set may move from machine to machine; this one does not."""

        def metrics(self, model: Recommender) -> dict[str, float]:
            users, items = model.embed()
            seen.append((users.clone(), items.clone()))
            return super().metrics(model) | {"ndcg@5": 2.0 if len(seen) == 3 else 1.0 / len(seen)}

    for module in (trial, score):
        monkeypatch.setattr(module, "Evaluator", ThirdIsBest)
    rows, result = run(tmp_path, data, model=model)
    assert rows[-1].best_epoch == 3
    (weights,) = tmp_path.glob("best-*.safetensors")
    made = MODELS[model](data, embedding_size=4)
    made.load_state_dict(load_weights(weights))
    with torch.no_grad():
        users, items = made.eval().embed()
    *epochs, last = seen  # the last one is of the test split
    assert [torch.equal(users, u) and torch.equal(items, i) for u, i in epochs] == [n == 2 for n in range(8)]
    assert torch.equal(users, last[0])
    assert torch.equal(items, last[1])
    assert result.test.keys() == rows[2].valid.keys()


def test_weights_of_a_killed_start_are_not_taken_for_those_of_this_one(tmp_path: Path, data: RecDataset) -> None:
    """A start that ran with other threads, or on a GPU, may have had other weights at the same epoch."""
    rows, _ = run(tmp_path / "a", data)
    (tmp_path / "b").mkdir()
    stale = TrialFolder(tmp_path / "b").best_weights(rows[-1].best_epoch)
    save_weights(stale, LightGCN(data, embedding_size=4).state_dict())
    run(tmp_path / "b", data)
    assert scores_of(tmp_path / "b", data, "valid") == rows[rows[-1].best_epoch - 1].valid


@pytest.mark.parametrize("model", TRAINED)
def test_a_trial_that_is_stopped_and_goes_on_is_the_unbroken_one(tmp_path: Path, data: RecDataset, model: str) -> None:
    """Ray stops a trial by SystemExit; here three times, in a process that trains something else in between."""
    unbroken = run(tmp_path / "a", data, model=model)
    reported: list[int] = []

    def stop(row: EpochRow) -> None:
        reported.append(row.epoch)
        if row.epoch == epoch:
            raise SystemExit

    for epoch in (1, 3, 8):
        with pytest.raises(SystemExit):
            run(tmp_path / "b", data, stop, model=model)
        assert [row.epoch for row in TrialFolder(tmp_path / "b").epochs()] == list(range(1, epoch + 1))
        assert "result.json" not in files(tmp_path / "b")
        run(tmp_path / f"c{epoch}", data, plan=plan(seed=epoch))
    assert run(tmp_path / "b", data, stop, model=model) == unbroken
    assert reported == [1, 2, 3, 4, 5, 6, 7, 8]
    assert files(tmp_path / "b") == files(tmp_path / "a")
    assert scores_of(tmp_path / "b", data, "valid", model) == scores_of(tmp_path / "a", data, "valid", model)


@pytest.mark.parametrize("seconds", [-1.0, 1e9], ids=["saved each epoch", "never saved"])
@pytest.mark.parametrize(
    ("place", "step", "call"),
    [
        (TrialFolder, "append_epoch", 4),
        (trial, "save_weights", 3),
        (trial, "save_state", 7),
        (trial, "write_user_values", 1),
        (trial, "evaluate", 1),
        (TrialFolder, "write_test", 1),
        (TrialFolder, "write_result", 1),
        (None, "report", 5),
    ],
)
def test_a_kill_at_any_step_changes_nothing(
    tmp_path: Path, data: RecDataset, monkeypatch: pytest.MonkeyPatch, place: Any, step: str, call: int, seconds: float
) -> None:
    unbroken = run(tmp_path / "a", data)
    fatal = 1 if seconds > 0 and step.startswith("save") else call  # the only save is the last one
    calls = 0

    def deadly(*args: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == fatal:
            raise Killed
        return original(*args)

    original = getattr(place, step) if place else ignore
    with monkeypatch.context() as patch:
        patch.setattr(trial, "CHECKPOINT_SECONDS", seconds)
        patch.setattr(trial, "SAVING_SHARE", float("inf"))
        if place:
            patch.setattr(place, step, deadly)
        with pytest.raises(Killed):
            run(tmp_path / "b", data, ignore if place else deadly)
    with open(tmp_path / "b" / "epochs.jsonl", "a") as file:
        file.write('{"epoch": 4, "ti')  # a line that was being written
    assert "result.json" not in files(tmp_path / "b")
    assert run(tmp_path / "b", data) == unbroken
    assert files(tmp_path / "b") == files(tmp_path / "a")
    assert (tmp_path / "b" / "users.npy").read_bytes() == (tmp_path / "a" / "users.npy").read_bytes()


@pytest.mark.parametrize(("share", "saves"), [(0.05, 2), (0.5, 3), (float("inf"), 8)])
def test_checkpoints_that_take_long_come_more_seldom(
    tmp_path: Path, data: RecDataset, monkeypatch: pytest.MonkeyPatch, share: float, saves: int
) -> None:
    """Each epoch takes 6 s and each checkpoint 10 s, by a clock that does not run by itself."""
    now, saved = 0.0, 0

    def save(*arguments: Any) -> None:
        nonlocal now, saved
        now, saved = now + 10.0, saved + 1
        save_state(*arguments)

    def report(row: EpochRow) -> None:
        nonlocal now
        now += 6.0

    monkeypatch.setattr(trial, "time", SimpleNamespace(monotonic=lambda: now, time=time.time))
    monkeypatch.setattr(trial, "save_state", save)
    monkeypatch.setattr(trial, "SAVING_SHARE", share)
    run(tmp_path, data, report)
    assert saved == saves


def test_a_trial_without_anything_to_train_ends_after_one_evaluation(tmp_path: Path, data: RecDataset) -> None:
    nothing = plan()
    nothing.params["model"].clear()
    scores = popularity_scores(data, TRAINING.cutoffs)
    for _ in range(2):  # the second run finds the first one's checkpoint
        rows, result = run(tmp_path, data, model="Popularity", plan=nothing)
        assert [(row.epoch, row.valid, row.terms) for row in rows] == [(1, scores["valid"], {})]
        assert result == End("finished", "nothing to train", scores["test"])


def test_popularity_is_measured_at_every_cutoff(data: RecDataset) -> None:
    scores = popularity_scores(data, Training(metric="ndcg@7", ks=(1,)).cutoffs)
    assert {name for split in scores.values() for name in split} >= {"ndcg@7", "recall@1"}
    swapped = popularity_scores(replace(data, valid=data.test, test=data.valid, fingerprint="swapped"), (1, 7))
    assert (swapped["valid"], swapped["test"]) == (scores["test"], scores["valid"])
    assert scores["valid"] != scores["test"]


def test_popularity_is_ranked_once_for_all_searches_of_an_experiment(
    data: RecDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    scores = popularity_scores(data, (3, 9))
    monkeypatch.setattr(score, "evaluate", lambda *_: pytest.fail("it ranks again"))
    assert popularity_scores(data, (3, 9)) == scores


def test_flatness_is_measured_every_few_epochs_and_changes_nothing(tmp_path: Path, data: RecDataset) -> None:
    unmeasured, result = run(tmp_path / "a", data)
    rows, same = run(tmp_path / "b", data, training=TRAINING.model_copy(update={"flatness_every": 3}))
    flatness = {row.epoch: row.flatness for row in rows if row.flatness}
    assert ([replace(row, flatness={}) for row in rows], same) == (unmeasured, result)
    assert [*flatness] == [3, 6]
    assert all(each.keys() == {"gradient_norm", "sharpness", "mg_penalty"} for each in flatness.values())


THIRD = TRAINING.model_copy(update={"eval_every": 3})


@pytest.mark.parametrize(("every", "evaluated"), [(3, [3, 6, 8]), (4, [4, 8]), (9, [8])])
def test_the_best_is_sought_among_the_epochs_that_are_evaluated(
    tmp_path: Path, data: RecDataset, every: int, evaluated: list[int]
) -> None:
    usual, _ = run(tmp_path / "a", data)
    rows, result = run(tmp_path / "b", data, training=TRAINING.model_copy(update={"eval_every": every}))
    assert [row.epoch for row in rows if row.evaluated] == evaluated
    assert [row.loss for row in rows] == [row.loss for row in usual]
    for row, other in zip(rows, usual, strict=True):
        assert row.valid == (other.valid if row.evaluated else {})
        scores = {epoch: usual[epoch - 1].valid["ndcg@5"] for epoch in evaluated if epoch <= row.epoch}
        best = max(scores, key=lambda epoch: scores[epoch], default=None)
        assert (row.best_epoch, row.best) == (best, best and scores[best])
    assert scores_of(tmp_path / "b", data, "valid") == usual[(rows[-1].best_epoch or 0) - 1].valid
    assert result == End("finished", "all 8 epochs", scores_of(tmp_path / "b", data, "test"))


def test_flatness_is_measured_in_epochs_that_are_not_evaluated_too(tmp_path: Path, data: RecDataset) -> None:
    rows, _ = run(tmp_path, data, training=THIRD.model_copy(update={"flatness_every": 2}))
    assert [row.epoch for row in rows if row.flatness] == [2, 4, 6, 8]


@pytest.mark.parametrize("seconds", [-1.0, 1e9], ids=["saved each epoch", "never saved"])
@pytest.mark.parametrize("kill", [SystemExit, Killed])
@pytest.mark.parametrize("strategy", ["mg", "mg+swa", "mg+ema"])
def test_a_trial_goes_on_wherever_it_ended_between_two_evaluations(
    tmp_path: Path, data: RecDataset, monkeypatch: pytest.MonkeyPatch, strategy: str, kill: Any, seconds: float
) -> None:
    monkeypatch.setattr(trial, "CHECKPOINT_SECONDS", seconds)
    how: dict[str, Any] = {"plan": plan(strategy=strategy), "training": THIRD}
    unbroken = run(tmp_path / "a", data, **how)

    def stop(row: EpochRow, at: int) -> None:
        if row.epoch == at:
            raise kill

    for epoch in range(1, 9):
        with pytest.raises(kill):
            run(tmp_path / "b", data, partial(stop, at=epoch), **how)
    assert run(tmp_path / "b", data, **how) == unbroken
    assert files(tmp_path / "b") == files(tmp_path / "a")


def test_a_checkpoint_from_before_epochs_without_evaluation_goes_on(tmp_path: Path, data: RecDataset) -> None:
    """It has a list of the scores of all epochs."""
    unbroken = run(tmp_path / "a", data)

    def stop(row: EpochRow) -> None:
        if row.epoch == 5:
            raise SystemExit

    with pytest.raises(SystemExit):
        run(tmp_path / "b", data, stop)
    last = tmp_path / "b" / "last.pt"
    saved = load_state(last, torch.device("cpu"))
    save_state(last, saved | {"scores": list(saved["scores"].values())})
    assert run(tmp_path / "b", data) == unbroken


def test_a_seed_alone_fixes_a_trial(tmp_path: Path, data: RecDataset) -> None:
    torch.manual_seed(1)
    first = run(tmp_path / "a", data)
    other = run(tmp_path / "b", data, plan=plan(seed=4))
    assert run(tmp_path / "c", data) == first
    assert other[0] != first[0]


@pytest.mark.parametrize("patience", [0, 2])
def test_patience_ends_a_trial(tmp_path: Path, data: RecDataset, patience: int) -> None:
    training = Training(max_epochs=200, patience=patience, metric="ndcg@5", ks=(1, 5))
    rows, result = run(tmp_path, data, training=training)
    assert len(rows) == rows[-1].best_epoch + patience + 1
    assert result.reason == f"no improvement for {patience + 1} epochs"
    assert result.status == "finished"
    assert result.test == scores_of(tmp_path, data, "test")


@pytest.mark.parametrize(("patience", "every"), [(0, 2), (2, 3), (5, 2), (4, 2)])
def test_patience_is_in_epochs_however_seldom_they_are_evaluated(
    tmp_path: Path, data: RecDataset, patience: int, every: int
) -> None:
    """A trial ends at the first evaluation that is more than `patience` epochs after the best one."""
    training = Training(max_epochs=200, patience=patience, metric="ndcg@5", ks=(1, 5), eval_every=every)
    rows, result = run(tmp_path, data, training=training)
    waited = every * (patience // every + 1)
    assert rows[-1].best_epoch is not None
    assert rows[-1].evaluated
    assert len(rows) == rows[-1].best_epoch + waited
    assert result.reason == f"no improvement for {waited} epochs"


AT_CONVERGENCE = {"adv_warmup": "converged", "adv_eps": 1.0}
TO_THE_END = Training(max_epochs=40, patience=1, metric="ndcg@5", ks=(1, 5))


def adversarial(strategy: str = "amr", **knobs: Any) -> TrialPlan:
    made = plan(strategy=strategy)
    made.params["strategy"] = dict(knobs)
    return made


def flat(model: Recommender) -> torch.Tensor:
    return torch.cat([each.detach().flatten() for each in model.parameters()])


def test_the_adversary_begins_at_the_best_weights_of_the_converged_model(
    tmp_path: Path, data: RecDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Plain training to its end, then another with a patience of its own and a fresh optimiser."""
    plain, _ = run(tmp_path / "plain", data, model="VBPR", plan=adversarial("plain"), training=TO_THE_END)
    starts: list[torch.Tensor] = []
    original = trial.fresh_optimizer

    def noted(plan: TrialPlan, model: Recommender) -> torch.optim.Optimizer:
        starts.append(flat(model).clone())
        return original(plan, model)

    monkeypatch.setattr(trial, "fresh_optimizer", noted)
    how: dict[str, Any] = {"model": "VBPR", "plan": adversarial(**AT_CONVERGENCE), "training": TO_THE_END}
    rows, result = run(tmp_path / "amr", data, **how)
    n = len(plain)
    assert rows[:n] == plain
    assert [row.passes for row in rows] == [2 if row.epoch <= n else 4 for row in rows]
    second = [row.valid["ndcg@5"] for row in rows[n:]]
    assert len(second) == second.index(max(second)) + 1 + 2
    assert result.reason == f"no improvement for 2 epochs; first converged after epoch {n}"
    (weights,) = (tmp_path / "plain").glob("best-*.safetensors")
    best = MODELS["VBPR"](data, embedding_size=4)
    best.load_state_dict(load_weights(weights))
    assert torch.equal(starts[1], flat(best))


def test_an_adversary_that_waits_begins_after_an_evaluation(tmp_path: Path, data: RecDataset) -> None:
    """From the best weights that were evaluated, with a patience that counts anew."""
    training = TO_THE_END.model_copy(update={"eval_every": 2})
    plain, _ = run(tmp_path / "plain", data, model="VBPR", plan=adversarial("plain"), training=training)
    how: dict[str, Any] = {"model": "VBPR", "plan": adversarial(**AT_CONVERGENCE), "training": training}
    rows, result = run(tmp_path / "amr", data, **how)
    n = len(plain)
    assert n % 2 == 0
    assert rows[:n] == plain
    assert [row.passes for row in rows] == [2 if row.epoch <= n else 4 for row in rows]
    second = {row.epoch: row.valid["ndcg@5"] for row in rows[n:] if row.evaluated}
    assert max(second) == max(second, key=lambda epoch: second[epoch]) + 2
    assert result.reason == f"no improvement for 2 epochs; first converged after epoch {n}"


@pytest.mark.parametrize("every", [1, 3])
def test_a_trial_that_converges_goes_on_wherever_it_was_stopped(tmp_path: Path, data: RecDataset, every: int) -> None:
    """At every epoch, the one between the two parts of the training among them; averages begin anew as well."""
    training = TO_THE_END.model_copy(update={"eval_every": every})
    how: dict[str, Any] = {"model": "VBPR", "plan": adversarial("amr+ema", **AT_CONVERGENCE), "training": training}
    unbroken = run(tmp_path / "a", data, **how)
    assert "first converged" in unbroken[1].reason

    def stop(row: EpochRow) -> None:
        raise SystemExit

    for _ in unbroken[0]:
        with pytest.raises(SystemExit):
            run(tmp_path / "b", data, stop, **how)
    assert run(tmp_path / "b", data, stop, **how) == unbroken


def test_a_replay_converges_where_its_search_did(tmp_path: Path, data: RecDataset) -> None:
    """It trains for the winner's epochs, whatever its scores, and knows the patience of the search."""
    how: dict[str, Any] = {"model": "VBPR", "plan": adversarial(**AT_CONVERGENCE)}
    rows, _ = run(tmp_path / "a", data, training=TO_THE_END, **how)
    longer = TO_THE_END.model_copy(update={"max_epochs": len(rows) + 3})
    again, result = run(tmp_path / "b", data, training=longer, stops_early=False, **how)
    assert again[: len(rows)] == rows
    assert result.reason.startswith(f"all {len(rows) + 3} epochs; first converged after epoch ")


@pytest.mark.parametrize(
    ("model", "strategy", "knobs", "note"),
    [
        ("VBPR", "amr", {"adv_warmup": "converged"}, "the adversary never began (adv_warmup=converged)"),
        ("VBPR", "amr", {"adv_warmup": 8}, "the adversary never began (adv_warmup=8)"),
        ("VBPR", "amr", {"adv_warmup": 7}, ""),
        ("VBPR", "mg+swa", {"swa_start": 8}, "no two epochs were averaged (swa_start=8)"),
        ("VBPR", "mg+swa", {"swa_start": 7}, ""),
        ("VBPR", "mg", {"phase": "global", "interval": 17}, "no batch was mirrored (interval=17, phase=global)"),
        ("VBPR", "mg", {"phase": "global", "interval": 16}, ""),
        ("VBPR", "mg", {"phase": "epoch_first", "interval": 17}, ""),
        ("LightGCN", "sam", {"scope": "dense"}, "nothing was perturbed (no weight is in the scope)"),
        ("VBPR", "sam", {"scope": "dense"}, ""),
    ],
)
def test_a_result_says_what_never_happened(
    tmp_path: Path, data: RecDataset, model: str, strategy: str, knobs: dict[str, Any], note: str
) -> None:
    """Such a trial is plain training under another name."""
    _, result = run(tmp_path, data, model=model, plan=adversarial(strategy, **knobs))
    assert result.reason == ("all 8 epochs; " + note if note else "all 8 epochs")


def test_a_trial_gets_its_plan(tmp_path: Path, data: RecDataset, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Noted(MirrorGradient):
        def __init__(self, *, alpha: float, beta: float, interval: int):
            made.append({"alpha": alpha, "beta": beta, "interval": interval})
            super().__init__(alpha=alpha, beta=beta, interval=interval)

    monkeypatch.setitem(PARTS, "mg", Noted)
    threads: list[int] = []
    run(tmp_path, data, lambda row: threads.append(torch.get_num_threads()), plan=plan(threads=3))
    assert made == [{"alpha": 1.2, "beta": 0.3, "interval": 2}]
    assert set(threads) == {3}


@pytest.mark.parametrize(
    "changed", [{"optimizer": "sgd"}, {"learning_rate": 0.02}, {"weight_decay": 0.1}, {"batch_size": 32}]
)
def test_every_training_parameter_counts(tmp_path: Path, data: RecDataset, changed: dict[str, Any]) -> None:
    once = Training(max_epochs=2, metric="ndcg@5")
    usual, _ = run(tmp_path / "a", data, training=once)
    other, _ = run(tmp_path / "b", data, training=once, plan=plan(train=changed))
    assert usual[-1].loss != other[-1].loss


class Fragile(LightGCN):
    """Breaks in its third epoch."""

    epochs = 0
    error: BaseException | None = None

    def new_epoch(self) -> None:
        self.epochs += 1

    def loss(self, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        terms = super().loss(batch)
        if self.epochs < 3:
            return terms
        if self.error:
            raise self.error
        return {name: term * float("nan") for name, term in terms.items()}


NAN_IN_THE_THIRD = "the loss became nan in batch 2 of epoch 3, and no other batch of the epoch could be used"


def test_a_loss_that_is_not_finite_is_a_result(
    tmp_path: Path, data: RecDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "Fragile", Fragile)
    rows, result = run(tmp_path, data, model="Fragile")
    assert result == End("failed", NAN_IN_THE_THIRD, {})
    assert [row.epoch for row in rows] == [1, 2]
    assert "error.txt" not in files(tmp_path)


def test_any_other_exception_is_a_result_and_is_raised(
    tmp_path: Path, data: RecDataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(MODELS, "Fragile", Fragile)
    monkeypatch.setattr(Fragile, "error", RuntimeError("out of memory\ntried to allocate"))
    with pytest.raises(RuntimeError, match="out of memory"):
        run(tmp_path, data, model="Fragile")
    folder = TrialFolder(tmp_path)
    assert folder.result() == TrialResult("failed", "RuntimeError: out of memory")
    assert [row.epoch for row in folder.epochs()] == [1, 2]
    assert "tried to allocate" in (tmp_path / "error.txt").read_text()
    assert "in loss" in (tmp_path / "error.txt").read_text()


def test_a_parameter_that_the_model_does_not_have_is_a_result_too(tmp_path: Path, data: RecDataset) -> None:
    wrong = plan(model={"n_layres": 2})
    with pytest.raises(TypeError, match="n_layres"):
        run(tmp_path, data, plan=wrong)
    result = TrialFolder(tmp_path).result()
    assert result is not None
    assert result.reason.startswith("TypeError: ")


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has"), "--gpus-per-trial"),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
            "--gpus-per-trial",
        ),
        (MemoryError("Unable to allocate 2.00 GiB for an array"), "--max-concurrent"),
    ],
)
def test_a_lack_of_memory_is_no_result_and_the_trial_may_be_tried_again(
    tmp_path: Path, data: RecDataset, monkeypatch: pytest.MonkeyPatch, error: Exception, named: str
) -> None:
    monkeypatch.setitem(MODELS, "Fragile", Fragile)
    monkeypatch.setattr(trial, "CHECKPOINT_SECONDS", -1.0)
    unbroken = run(tmp_path / "a", data)
    monkeypatch.setattr(Fragile, "error", error)
    with pytest.raises(type(error)):
        run(tmp_path / "b", data, model="Fragile")
    folder = TrialFolder(tmp_path / "b")
    assert folder.result() is None
    reason = folder.out_of_memory()
    assert reason is not None
    assert reason.startswith("out of memory of the ")
    assert named in reason
    assert [row.epoch for row in folder.epochs()] == [1, 2]
    assert run(tmp_path / "b", data) == unbroken  # with room for it
    assert folder.out_of_memory() is None


@pytest.mark.parametrize("end", [None, SystemExit, torch.OutOfMemoryError("CUDA out of memory."), KeyError("x")])
def test_a_trial_on_a_gpu_leaves_its_memory_to_the_next(
    tmp_path: Path, data: RecDataset, monkeypatch: pytest.MonkeyPatch, end: Any
) -> None:
    """However it ends. The process goes on with another trial: when the cache is emptied nothing of the model is left.

    SystemExit is how Ray prunes.
    """
    alive: list[weakref.ref[Any]] = []
    when_emptied: list[bool] = []

    class Counted(Fragile):
        def __init__(self, *given: Any, **named: Any) -> None:
            super().__init__(*given, **named)
            self.views = [self]  # as a model of others may refer to itself
            alive.append(weakref.ref(self))

    monkeypatch.setitem(MODELS, "Counted", Counted)
    monkeypatch.setattr(Fragile, "error", end)
    once = Training(max_epochs=3 if isinstance(end, Exception) else 2, metric="ndcg@5", ks=(1, 5))

    def report(row: EpochRow) -> None:
        if end is SystemExit:
            raise end

    with Pretended() as gpu:
        monkeypatch.setattr(torch.cuda, "empty_cache", lambda: when_emptied.append(alive[-1]() is not None))
        with pytest.raises(end if end is SystemExit else type(end)) if end else nullcontext():
            run(tmp_path / "a", data, report, model="Counted", plan=plan(device="cuda"), training=once)
        assert gpu.kernels > 0
        assert when_emptied == [False]
        run(tmp_path / "b", data, plan=plan(device="cpu"), training=once)
        assert when_emptied == [False]


@pytest.mark.parametrize("model", ["LightGCN", "MMGCN"])
def test_a_trial_runs_on_the_device_of_its_plan(tmp_path: Path, data: RecDataset, model: str) -> None:
    """Its results are the CPU's up to rounding, and its best weights are read without a GPU."""
    _, expected = run(tmp_path / "a", data, model=model)
    with Pretended() as gpu:
        rows, result = run(tmp_path / "b", data, model=model, plan=plan(device="cuda"))
        uploads = gpu.uploads.total()
        kept = load_weights(TrialFolder(tmp_path / "b").best_weights(rows[-1].best_epoch))
        again = trained_model(plan(device="cuda"), model, data, kept)
        assert again.device.type == "cuda"
        assert gpu.uploads.total() > uploads
        found = Evaluator(data, "test", (1, 5))(*again.embed())
    assert found == result.test
    assert result.test == pytest.approx(expected.test, rel=1e-3)
    here = trained_model(plan(device="cuda"), model, data, kept)
    assert here.device.type == "cpu"
    assert "digits may differ" in str(fallback("cuda"))
    assert fallback("cpu") is None
