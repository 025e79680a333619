"""A replay from the command line says whether the metrics are those of the export."""

from pathlib import Path
from typing import Any

import pytest
import torch

import run_search
from recmodels.models.lightgcn import LightGCN
from tests.recmodels.factories import checkerboard
from tests.recmodels.pretended_gpu import Pretended
from tuning.execution.trial import run_trial
from tuning.records.folder import TrialFolder
from tuning.records.sealed import open_test
from tuning.records.trials import TrialPlan, best_row
from tuning.spec import Training
from tuning.yaml_document import to_yaml

pytestmark = pytest.mark.usefixtures("here", "board")


def exported(path: Path, *, model: str = "LightGCN", device: str = "cpu", **changes: Any) -> dict[str, Any]:
    """Train the checkerboard for three epochs and write the export that a search would."""
    data, folder = checkerboard(), TrialFolder(path.parent / "trial")
    folder.path.mkdir()
    train = {"optimizer": "adam", "learning_rate": 0.003, "weight_decay": 0.0, "batch_size": 64}
    params = {"strategy": {"alpha": 1.0, "beta": 0.2, "interval": 2}, "train": train, "model": {"embedding_size": 4}}
    here = device if torch.cuda.is_available() else "cpu"
    plan = TrialPlan(
        trial="0000", role="search", strategy="mg", params=params, point={}, seed=1, threads=1, device=here, time=0.0
    )
    rule = Training(max_epochs=3, metric="ndcg@5", ks=(1, 5))
    run_trial(plan, model=model, data=data, training=rule, folder=folder, report=lambda row: None)
    best = best_row(folder.epochs())
    assert best is not None
    content = {
        **{key: getattr(plan, key) for key in ("strategy", "seed", "threads")},
        "device": device,
        "model": model,
        "dataset": "demo",
        "parameters": params,
        "training": {"epochs": 3, "best_epoch": best.epoch, "metric": "ndcg@5", "ks": [1, 5], "max_epochs": 1000}
        | {"patience": 20},
        "metrics": {"valid": best.valid, "test": open_test(folder)},
        "data_fingerprint": data.fingerprint,
        "versions": {},
        "search": {"name": "s", "trials": {}, "sampler": "gp", "scheduler": "asha"},
    } | changes
    path.write_text(to_yaml(content))
    return content


def test_a_replay_says_whether_the_metrics_are_the_same(capsys: Any) -> None:
    content = exported(Path("best.yaml"))
    assert run_search.main(["--replay", "best.yaml"]) == 0
    assert "the metrics are the same, digit by digit" in capsys.readouterr().out

    content["metrics"]["test"]["recall@5"] += 1e-12
    Path("best.yaml").write_text(to_yaml(content | {"data_fingerprint": "other"}))
    assert run_search.main(["--replay", "best.yaml"]) == 1
    out = capsys.readouterr().out
    assert "the metrics differ" in out
    assert "warning: demo is not the data of the export" in out
    assert "popularity" not in out  # as in a file of an older search


@pytest.mark.parametrize(
    ("device", "share", "code", "said"),
    [
        ("cuda", 0.0, 0, "the metrics are the same, digit by digit"),
        ("cuda", 0.004, 0, "the metrics are the same within 1%: a GPU, which trained this, adds in no fixed order"),
        ("cuda", 0.04, 1, "the metrics differ by up to 3.85%: those of a GPU are the same within 1%"),
        ("cpu", 1e-12, 1, "the metrics differ"),
        ("cpu", 1e-15, 0, "the metrics are the same but for the rounding of their sums"),
    ],
)
def test_a_gpu_s_metrics_are_the_same_within_its_rounding(
    capsys: Any, device: str, share: float, code: int, said: str
) -> None:
    """On a machine without one too, where the CPU computes and a line says so."""
    content = exported(Path("best.yaml"), device=device)
    content["metrics"]["test"]["recall@5"] *= 1 + share
    Path("best.yaml").write_text(to_yaml(content))
    assert run_search.main(["--replay", "best.yaml"]) == code
    out = " ".join(capsys.readouterr().out.split())
    assert out.endswith(said)
    warning = "warning: trained on a GPU, and torch can use none here: computed on the CPU, where digits may differ"
    assert (warning in out) == (device == "cuda")


@pytest.mark.parametrize("model", ["LightGCN", "MMGCN"])
def test_a_replay_is_on_the_gpu_where_there_is_one(capsys: Any, model: str) -> None:
    with Pretended() as gpu:
        exported(Path("best.yaml"), model=model, device="cuda")
        gpu.forget()
        assert run_search.main(["--replay", "best.yaml"]) == 0
        assert gpu.kernels > 0
    out = capsys.readouterr().out
    assert "the metrics are the same, digit by digit" in out
    assert "warning" not in out


def test_a_lack_of_memory_is_one_line(capsys: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    exported(Path("best.yaml"))

    def full(*_: Any, **__: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total")

    monkeypatch.setattr(LightGCN, "loss", full)
    assert run_search.main(["--replay", "best.yaml"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("run_search.py: out of memory of the GPU (2.00 GiB more did not fit)")
    monkeypatch.setattr(LightGCN, "loss", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run_search.main(["--replay", "best.yaml"])


@pytest.mark.parametrize("epoch", [1, 2])
def test_a_replay_whose_loss_is_not_finite_is_one_line(
    capsys: Any, monkeypatch: pytest.MonkeyPatch, epoch: int
) -> None:
    """On another device it may come to that where the trial did not."""
    exported(Path("best.yaml"))
    epochs, loss = [], LightGCN.loss
    monkeypatch.setattr(LightGCN, "new_epoch", lambda model: epochs.append(1))

    def broken(model: LightGCN, batch: torch.Tensor) -> dict[str, torch.Tensor]:
        factor = float("nan") if len(epochs) >= epoch else 1.0
        return {name: term * factor for name, term in loss(model, batch).items()}

    monkeypatch.setattr(LightGCN, "loss", broken)
    assert run_search.main(["--replay", "best.yaml"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("run_search.py: LightGCN on demo: training it again failed: the loss became nan")


def test_a_replay_shows_popularity_beside_the_metrics(capsys: Any) -> None:
    content = exported(Path("best.yaml"))
    scores = {split: dict.fromkeys(metrics, 0.125) for split, metrics in content["metrics"].items()}
    scores["valid"]["ndcg@5"] = 1.5
    Path("best.yaml").write_text(to_yaml(content | {"popularity": scores}))
    assert run_search.main(["--replay", "best.yaml"]) == 0
    out = capsys.readouterr().out
    rows = {line.split()[1]: line.split()[-1] for line in out.splitlines() if line.startswith("valid")}
    assert rows["recall@5"] == "0.125000"
    assert rows["ndcg@5"] == "1.500000"
    (warning,) = [line for line in out.splitlines() if line.startswith("warning")]
    assert "ndcg@5: valid" in warning
    assert warning.endswith("against 1.5")
