"""A replay from the command line says whether the metrics are those of the export."""

from pathlib import Path
from typing import Any

import pytest

import run_search
from tests.recmodels.factories import checkerboard
from tuning.execution.trial import run_trial
from tuning.records.folder import TrialFolder
from tuning.records.trials import TrialPlan, best_row
from tuning.spec import Training
from tuning.yaml_document import to_yaml

pytestmark = pytest.mark.usefixtures("here", "board")


def exported(path: Path, **changes: Any) -> dict[str, Any]:
    """Train the checkerboard for three epochs and write the export that a search would."""
    data, folder = checkerboard(), TrialFolder(path.parent / "trial")
    folder.path.mkdir()
    train = {"optimizer": "adam", "learning_rate": 0.003, "weight_decay": 0.0, "batch_size": 64}
    params = {"strategy": {"alpha": 1.0, "beta": 0.2, "interval": 2}, "train": train, "model": {"embedding_size": 4}}
    plan = TrialPlan(
        trial="0000", role="search", strategy="mg", params=params, point={}, seed=1, threads=1, device="cpu", time=0.0
    )
    rule = Training(max_epochs=3, metric="ndcg@5", ks=(1, 5))
    run_trial(plan, model="LightGCN", data=data, training=rule, folder=folder, report=lambda row: None)
    best, result = best_row(folder.epochs()), folder.result()
    assert best is not None
    assert result is not None
    content = {
        **{key: getattr(plan, key) for key in ("strategy", "seed", "threads", "device")},
        "model": "LightGCN",
        "dataset": "demo",
        "parameters": params,
        "training": {"epochs": 3, "best_epoch": best.epoch, "metric": "ndcg@5", "ks": [1, 5], "max_epochs": 1000}
        | {"patience": 20},
        "metrics": {"valid": best.valid, "test": result.test},
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
