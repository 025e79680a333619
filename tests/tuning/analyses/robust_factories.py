"""A robustness analysis of toy models, made in milliseconds."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from recmodels.analysis.measures import measure
from recmodels.data.dataset import RecDataset
from recmodels.metric import Metric
from recmodels.models import MODELS, Recommender
from tests.recmodels.factories import checkerboard, held_out
from tuning.analyses.points import PointStore
from tuning.analyses.robustness import Robustness, Settings, measure_robustness
from tuning.analyses.subjects import Trained
from tuning.export import Export

DATA = held_out()
BOARD = checkerboard(60)


def made(name: str, data: RecDataset = DATA, seed: int = 0) -> Recommender:
    torch.manual_seed(seed)
    return MODELS[name](data)


def perfect(size: float = 1.0, rotated: float = 0.0) -> Recommender:
    """A BPR that ranks every held item of BOARD first: all users and items are the direction of their parity."""
    model = MODELS["BPR"](BOARD, embedding_size=2)
    with torch.no_grad():
        for name in ("user_emb", "item_emb"):
            parity = torch.arange(60) % 2
            model.get_parameter(name).copy_(size * torch.eye(2)[parity] + rotated)
    return model


def trained(label: str, model: Recommender) -> Trained:
    return Trained(label, f"digest of {label}", lambda: model)


def settings(*names: str, repeats: int = 2, **changes: Any) -> Settings:
    measures = [measure(name) for name in names or ("embedding", "mix")]
    usual: dict[str, Any] = {"metric": Metric("recall@5"), "split": "test", "seed": 9, "target": None}
    chosen = tuple((each, (0.0, 0.2, 1.0)) for each in measures)
    return Settings(measures=chosen, repeats=repeats, **{**usual, **changes})


def analysis(folder: Path, models: Sequence[str] = ("GRCN", "BM3"), **changes: Any) -> Robustness:
    chosen = [trained(name, made(name)) for name in models]
    return measure_robustness(chosen, DATA, settings(**changes), PointStore(folder))


def exports(*models: str) -> list[Export]:
    content = {
        "dataset": "held",
        "strategy": "plain",
        "parameters": {"strategy": {}, "train": {"optimizer": "adam"}, "model": {}},
        "seed": 3,
        "training": {"epochs": 1, "best_epoch": 1, "metric": "recall@5", "ks": [5], "max_epochs": 1, "patience": 1},
        "metrics": {"valid": {}, "test": {}},
        "data_fingerprint": "",
        "versions": {},
        "threads": 1,
        "device": "cpu",
        "search": {"name": "s", "trials": {}, "sampler": "auto", "scheduler": "none"},
    }
    return [Export.model_validate({**content, "model": model}) for model in models]
