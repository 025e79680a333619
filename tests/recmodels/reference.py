"""Numbers made with the field's reference code on toy data; the arrays' meaning stands in the tests that use them."""

from pathlib import Path
from typing import Any

import numpy as np
import torch

from recmodels.data.dataset import Interactions, RecDataset

FOLDER = Path(__file__).parents[1] / "golden"


def load(name: str) -> dict[str, Any]:
    with np.load(FOLDER / f"{name}.npz") as arrays:
        return dict(arrays)


def dataset(golden: dict[str, Any], **features: np.ndarray) -> RecDataset:
    """The toy data set of a model's golden file; no validation or test split."""
    n_users, n_items = int(golden["n_users"]), int(golden["n_items"])
    none = Interactions.from_pairs(np.array([], dtype=np.int64), np.array([], dtype=np.int64), n_users)
    train = Interactions.from_pairs(golden["edges"][:, 0], golden["edges"][:, 1], n_users)
    fingerprint = f"{golden['edges'].tobytes().hex()}-{'-'.join(features)}"
    return RecDataset("golden", n_users, n_items, train, none, none, features, fingerprint)


def batch(golden: dict[str, Any]) -> torch.Tensor:
    return torch.from_numpy(np.stack([golden[name] for name in ("users", "pos", "neg") if name in golden]))


def error(ours: torch.Tensor | float, theirs: Any) -> float:
    """Largest deviation relative to the largest magnitude of the array."""
    theirs = np.asarray(theirs, dtype=np.float64)
    ours = np.asarray(torch.as_tensor(ours).detach(), dtype=np.float64)
    assert ours.shape == theirs.shape
    return float(np.abs(ours - theirs).max() / np.abs(theirs).max())
