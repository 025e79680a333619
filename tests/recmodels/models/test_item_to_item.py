"""Models that score items by the user's own, against dense algebra and the reference's numbers."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.errors import DataError
from recmodels.evaluation import Evaluator
from recmodels.graphs import similar
from recmodels.models import MODELS, Recommender, ease, item_to_item
from recmodels.testing import small_data
from tests.recmodels import reference as golden
from tests.recmodels.factories import held_out

NAMES = ("EASE", "ItemKNN", "ItemKNNCBF")


def scored(model: Recommender, n_users: int) -> Tensor:
    """The scores (U, I), of all users at once and in another order."""
    order = torch.randperm(n_users)
    found = model.scorer()(order).t()
    return torch.empty_like(found).index_copy_(0, order, found)


def interactions(data: RecDataset) -> np.ndarray:
    """The training pairs, (U, I)."""
    dense = np.zeros((data.n_users, data.n_items))
    dense[data.train.users, data.train.items] = 1
    return dense


@pytest.mark.parametrize(
    ("prefix", "modalities", "shrink"),
    [
        ("", ("image", "text"), 10.0),
        ("small_shrink_", ("image", "text"), 0.5),
        ("only_visual_", ("image",), 10.0),
        ("only_text_", ("text",), 10.0),
    ],
)
@pytest.mark.parametrize("block", [1, 300, 2**24])
def test_itemknncbf_reproduces_the_reference(
    monkeypatch: pytest.MonkeyPatch, block: int, prefix: str, modalities: tuple[str, ...], shrink: float
) -> None:
    monkeypatch.setattr(similar, "BLOCK", block)
    z = golden.load("itemknncbf")
    data = golden.dataset(z, **{name: z[{"image": "v_feat", "text": "t_feat"}[name]] for name in modalities})
    model = MODELS["ItemKNNCBF"](data, knn_k=z["hp_knn_k"].item(), shrink=shrink)
    assert golden.error(scored(model, data.n_users), z[f"{prefix}scores"]) < 1e-5
    users, items = model.embed()
    assert golden.error(users @ items.T, z[f"{prefix}scores"]) < 1e-5
    graph = np.zeros((data.n_items, data.n_items))
    graph[z[f"{prefix}item_graph_row"], z[f"{prefix}item_graph_col"]] = z[f"{prefix}item_graph_val"]
    assert golden.error(items.T, graph) < 1e-5


@pytest.mark.parametrize("shrink", [0.0, 10.0])
@pytest.mark.parametrize("block", [1, 90, 2**24])
def test_itemknn_is_the_cosine_of_the_training_pairs(
    monkeypatch: pytest.MonkeyPatch, block: int, shrink: float
) -> None:
    """Of equally similar items the smaller id is nearer; an item is not its own neighbour, nor one without users."""
    monkeypatch.setattr(similar, "BLOCK", block)
    data, k = held_out(), 5
    x = interactions(data)
    x[:, 7] = 0  # nobody's
    users, items = x.nonzero()
    data = replace(data, train=type(data.train).from_pairs(users, items, data.n_users), fingerprint="nobody's")
    lengths = np.sqrt(x.sum(0))
    cosines = (x.T @ x) / np.maximum(np.outer(lengths, lengths) + shrink, 1e-12)
    np.fill_diagonal(cosines, -1.0)
    weights = np.zeros_like(cosines)
    for row, cosine in zip(weights, cosines.astype(np.float32), strict=True):
        near = np.argsort(-cosine, kind="stable")[:k]
        row[near] = np.maximum(cosine[near], 0.0)
    assert not weights[7].any()
    found = scored(MODELS["ItemKNN"](data, knn_k=k, shrink=shrink), data.n_users)
    np.testing.assert_allclose(found, x @ weights, rtol=1e-5, atol=1e-6)


def test_all_items_may_be_neighbours() -> None:
    data = held_out()
    found = MODELS["ItemKNN"](data, knn_k=1000)
    assert scored(found, data.n_users).isfinite().all()
    assert found.embed()[1].diagonal().eq(0).all()


@pytest.mark.parametrize("reg_weight", [0.5, 100.0])
def test_ease_is_the_least_squares_map_without_the_item_itself(reg_weight: float) -> None:
    """Each column of the closed form is a ridge regression of an item on the others."""
    data = held_out()
    x = interactions(data)
    users, items = MODELS["EASE"](data, reg_weight=reg_weight).embed()
    assert torch.equal(users, torch.from_numpy(x).float())
    for item in range(data.n_items):
        others = np.delete(np.arange(data.n_items), item)
        ridge = x[:, others].T @ x[:, others] + reg_weight * np.eye(len(others))
        expected = np.linalg.solve(ridge, x[:, others].T @ x[:, item])
        assert items[item, item] == 0
        np.testing.assert_allclose(items[item, others], expected, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("name", NAMES)
def test_ranking_needs_no_dense_matrices(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    data = held_out()
    model, evaluator = MODELS[name](data), Evaluator(data, "valid", (5, 20))
    embedded = model.embed()
    assert evaluator.metrics(model) == pytest.approx(evaluator(*embedded), abs=1e-9)
    torch.testing.assert_close(scored(model, data.n_users), embedded[0] @ embedded[1].T)
    monkeypatch.setattr(item_to_item, "EMBEDDED", 5_999)
    message = f"{name}: the embeddings of 40 users and 60 items with a column for each item take 0.0 GiB, expected at"
    with pytest.raises(DataError, match=message):
        model.embed()
    assert evaluator.metrics(model) == evaluator.metrics(MODELS[name](data))


def test_ease_says_how_much_memory_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ease, "LARGEST", 28)
    with pytest.raises(
        DataError, match=r"small-: EASE needs a matrix of 29 items by 29, 0\.0 GiB, expected at most 28 "
    ):
        MODELS["EASE"](small_data())
    monkeypatch.setattr(ease, "LARGEST", 2**16)
    monkeypatch.setattr(ease.os, "sysconf", lambda name: {"SC_PHYS_PAGES": 1, "SC_PAGE_SIZE": 3363}[name])
    with pytest.raises(DataError, match="the memory of this machine"):
        MODELS["EASE"](small_data())


def test_ease_of_a_penalty_that_is_too_small_is_one_line() -> None:
    with pytest.raises(DataError, match="no inverse in single precision at reg_weight=1e-30, expected a larger one"):
        MODELS["EASE"](held_out(), reg_weight=1e-30)


@pytest.mark.parametrize(
    ("name", "values", "message"),
    [
        ("EASE", {"reg_weight": 0.0}, "reg_weight > 0 must hold"),
        ("ItemKNN", {"knn_k": 0}, "knn_k >= 1 must hold"),
        ("ItemKNNCBF", {"shrink": -1.0}, "shrink >= 0 must hold"),
    ],
)
def test_a_wrong_value_is_one_line(name: str, values: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        MODELS[name](small_data("image"), **values)
