"""Item graphs made of lists, against dense counts and cosines."""

import numpy as np
import pytest
import torch

from recmodels.data import Interactions, RecDataset
from recmodels.graphs import behaviour_graph, consistent_graph, lists

U, I = 20, 9  # noqa: E741 - numbers of users and items


def data(**features: np.ndarray) -> RecDataset:
    users, items = np.nonzero(np.random.default_rng(0).random((U, I)) < 0.3)
    pairs = Interactions.from_pairs(users, items, U)
    return RecDataset("listed", U, I, pairs, pairs, pairs, features, f"listed-{features}")


def dense(graph: torch.nn.Module) -> torch.Tensor:
    return graph.matrix.rows.tensor(I).to_dense().double()


def rooted(kept: torch.Tensor) -> torch.Tensor:
    """1 over the roots of both rows' numbers of entries, at the entries (I, I) that are kept."""
    sizes = kept.double().sum(1) + 1e-7
    return kept / (sizes[:, None] * sizes).sqrt()


@pytest.mark.parametrize("pairs", [1, 2**24])
@pytest.mark.parametrize(("k", "least"), [(2, 2), (3, 1), (1, 3), (0, 2)])
def test_partners_share_most_users_and_equal_ones_go_by_number(
    monkeypatch: pytest.MonkeyPatch, pairs: int, k: int, least: int
) -> None:
    monkeypatch.setattr(lists, "PAIRS", pairs)
    made = data()
    has = np.zeros((U, I), dtype=int)
    has[made.train.users, made.train.items] = 1
    shared = has.T @ has
    kept = torch.eye(I, dtype=torch.bool)
    for item in range(I):
        others = sorted((other for other in range(I) if other != item), key=lambda other: (-shared[item, other], other))
        kept[item, [other for other in others if shared[item, other] >= least][:k]] = True
    torch.testing.assert_close(dense(behaviour_graph(made, k, least)), rooted(kept), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("block", [1, 2**24])
@pytest.mark.parametrize("k", [2, 100])
def test_consistent_items_agree_in_every_modality(monkeypatch: pytest.MonkeyPatch, block: int, k: int) -> None:
    monkeypatch.setattr(lists, "BLOCK", block)
    rng = np.random.default_rng(1)
    features = {"image": rng.random((I, 3), dtype=np.float32), "text": rng.standard_normal((I, 4), dtype=np.float32)}
    features["text"][4] = 0  # consistent with itself, whatever its cosine
    units = {name: torch.nn.functional.normalize(torch.from_numpy(each).double()) for name, each in features.items()}
    cosines = {name: unit @ unit.T for name, unit in units.items()}
    consistent = torch.stack([each >= each.mean() for each in cosines.values()]).all(0) | torch.eye(I, dtype=torch.bool)
    for name, cosine in cosines.items():
        found = cosine.masked_fill(~consistent, -torch.inf).fill_diagonal_(torch.inf)
        top = torch.zeros_like(consistent).scatter(1, found.topk(min(k, I)).indices, True) & consistent
        torch.testing.assert_close(
            dense(consistent_graph(data(**features), name, k)), rooted(top), rtol=1e-6, atol=1e-7
        )
