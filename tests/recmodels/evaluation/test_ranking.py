"""Metrics and ranking against the reference evaluator's numbers, before rounding."""

import itertools
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recmodels.data.dataset import Interactions, RecDataset
from recmodels.data.formats.amr import load_amr
from recmodels.data.synthetic import synthetic
from recmodels.evaluation import METRICS, Evaluator, counting, evaluate
from recmodels.evaluation.metrics import Ranks
from recmodels.evaluation.recommend import top_items
from recmodels.metric import NAMES, Metric
from recmodels.models import MODELS
from tests.recmodels import reference as golden
from tests.recmodels.data.formats import amr_folders
from tests.recmodels.factories import checkerboard

KS = (5, 10, 20, 50)


def split(edges: np.ndarray, n_users: int) -> Interactions:
    return Interactions.from_pairs(edges[:, 0], edges[:, 1], n_users)


def of_splits(train: np.ndarray, positives: np.ndarray, n_users: int, n_items: int) -> RecDataset:
    """A data set whose validation and test split are the positives."""
    part = split(positives, n_users)
    return RecDataset("splits", n_users, n_items, split(train, n_users), part, part, {}, "splits")


def as_embeddings(scores: np.ndarray) -> tuple[torch.Tensor, torch.Tensor]:
    """User and item matrices whose inner products are exactly `scores`."""
    return torch.from_numpy(scores), torch.eye(scores.shape[1])


def hits(ranks: Ranks, k: int) -> np.ndarray:
    """Whether the item at each rank is a positive, (B, k); nothing is tied."""
    found = np.zeros((len(ranks.n_positives), k), dtype=bool)
    users = np.repeat(np.arange(len(found)), ranks.n_positives)
    listed = ranks.better < k
    found[users[listed], ranks.better[listed]] = True
    return found


@pytest.mark.parametrize("block_scores", [2**24, 1000])
def test_metrics_equal_the_reference(block_scores: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "BLOCK_SCORES", block_scores)
    z = golden.load("metrics")
    data = of_splits(z["train_edges"], z["true_edges"], 50, 200)
    evaluate = Evaluator(data, "valid", KS)
    users, items = as_embeddings(z["scores"])
    found_by_user = evaluate.per_user(users, items)
    assert np.array_equal(top_items(users, items, np.arange(50), 50, data.train)[1], z["top50"])
    assert np.array_equal(found_by_user.users, np.unique(z["true_edges"][:, 0]))
    assert np.array_equal(hits(found_by_user.ranks, 50), z["hits"])
    assert np.array_equal(found_by_user.ranks.n_positives, z["n_pos"])
    found = evaluate(users, items)
    for name in ("recall", "precision", "map", "ndcg"):
        for column, k in enumerate(KS):
            per_user = found_by_user.values(Metric(f"{name}@{k}"))
            np.testing.assert_allclose(per_user, z[f"{name}_per_user"][:, column], atol=1e-9)
            assert found[f"{name}@{k}"] == pytest.approx(z[name][column], abs=1e-9)


@pytest.mark.parametrize("part", ["valid", "test"])
def test_protocol_equals_the_reference(part: str) -> None:
    z = golden.load("protocol")
    n_users = int(z["n_users"])
    data = of_splits(z["train_edges"], z[f"{part}_edges"], n_users, int(z["n_items"]))
    evaluate = Evaluator(data, part, KS)
    found = evaluate(*as_embeddings(z["scores"]))
    for name in ("recall", "precision", "map", "ndcg"):
        for column, k in enumerate(KS):
            assert found[f"{name}@{k}"] == pytest.approx(z[f"{part}_{name}"][column], abs=1e-9)


def test_hit_ratio_is_the_share_of_users_with_a_hit() -> None:
    ranks = Ranks.of(np.array([2, 1]), better=np.array([2, 1, 3]), tied=np.ones(3, dtype=np.int64))
    assert METRICS["hit"](ranks, 1).tolist() == [0, 0]
    assert METRICS["hit"](ranks, 2).tolist() == [1, 0]


def test_k_beyond_the_number_of_items() -> None:
    """Three items, one of them seen: the user's positive is found, precision still divides by k."""
    none = np.array([[0, 0]])
    evaluate = Evaluator(of_splits(none, np.array([[0, 2]]), 1, 3), "valid", (5,))
    found = evaluate(torch.ones(1, 1), torch.tensor([[3.0], [2.0], [1.0]]))
    assert found["recall@5"] == found["hit@5"] == 1.0
    assert found["precision@5"] == pytest.approx(1 / 5)
    assert found["map@5"] == pytest.approx(1 / 2)  # second among the unseen


def listed(positives: list[int], lists: list[list[int]], n_items: int) -> RecDataset:
    """User u has positives[u] in both splits, ranked against lists[u] for test and against the list reversed for
    validation, and item 0 for training."""
    users, negatives = np.arange(len(positives)), np.array(lists)
    part = Interactions.from_pairs(users, np.array(positives), len(users))
    train = Interactions.from_pairs(users, np.zeros_like(users), len(users))
    candidates = {"valid": np.ascontiguousarray(negatives[:, ::-1]), "test": negatives}
    return RecDataset("listed", len(users), n_items, train, part, part, {}, "listed", candidates=candidates)


@pytest.mark.parametrize("block_scores", [2**24, 1])
@pytest.mark.parametrize("name", ["valid", "test"])
def test_ranks_one_positive_among_its_candidates(block_scores: int, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ties count against the positive, a repeated negative counts twice, and nothing else takes part."""
    monkeypatch.setattr(counting, "BLOCK_SCORES", block_scores)
    scores = np.array(
        [
            [9.0, 5.0, 4.0, 3.0, 2.0],  # nothing of 2, 3, 4 is above item 1, and item 0 is no candidate
            [0.0, 5.0, 5.0, 3.0, 2.0],  # one tie
            [9.0, 1.0, 4.0, 3.0, 2.0],  # all three above
            [9.0, 3.0, 4.0, 3.0, 2.0],  # 3 ties, and counts twice
            [9.0, np.nan, 4.0, 3.0, 2.0],  # a broken score is the last one
        ],
        dtype=np.float32,
    )
    data = listed([1] * 5, [[2, 3, 4], [2, 3, 4], [2, 3, 4], [4, 3, 3], [2, 3, 4]], 5)
    evaluate = Evaluator(data, name, (1, 2, 5))
    ranks = np.array([0, 1, 3, 2, 3])
    by_user = evaluate.per_user(*as_embeddings(scores))
    assert by_user.users.tolist() == [0, 1, 2, 3, 4]
    assert by_user.ranks.better.tolist() == ranks.tolist()
    assert by_user.ranks.tied.tolist() == by_user.ranks.n_positives.tolist() == [1] * 5
    found = evaluate(*as_embeddings(scores))
    for k in (1, 2, 5):
        assert found[f"hit@{k}"] == found[f"recall@{k}"] == (ranks < k).mean()
        ndcg = np.where(ranks < k, np.log(2) / np.log(ranks + 2), 0).mean()
        assert found[f"ndcg@{k}"] == pytest.approx(ndcg, abs=1e-12)


def test_a_data_set_without_candidates_is_ranked_in_full() -> None:
    """Item 0 is seen; of the others user 0 has item 2 first, user 1 item 1, and their positives are 1 and 2."""
    data = listed([1, 2], [[3], [3]], 4)
    final = as_embeddings(np.array([[9, 2, 3, 1], [9, 3, 2, 1]], dtype=np.float32))
    assert Evaluator(replace(data, candidates=None), "test", (1, 2))(*final)["hit@1"] == 0.0
    assert Evaluator(replace(data, candidates=None), "test", (1, 2))(*final)["hit@2"] == 1.0
    assert Evaluator(data, "test", (1, 2))(*final)["hit@1"] == 1.0  # against item 3 alone


def test_an_amr_folder_is_ranked_by_its_own_lists(tmp_path: Path) -> None:
    """As in the README's example: the data set's protocol without a word about it."""
    made = synthetic("made", n_users=120, n_items=80, n_interactions=600, dims={"image": 6})
    amr_folders.write(tmp_path / "pins", made, n_negatives=30)
    data = load_amr(tmp_path / "pins")
    final = torch.randn(data.n_users, 4), torch.randn(data.n_items, 4)
    in_full = {split: Evaluator(replace(data, candidates=None), split, (31,)) for split in ("valid", "test")}
    for split, whole in in_full.items():
        assert Evaluator(data, split, (31,))(*final)["hit@31"] == 1.0  # nothing ranks below 31 candidates
        assert whole(*final)["hit@31"] < 1.0


def test_metrics_have_the_names_that_need_no_torch() -> None:
    assert tuple(METRICS) == NAMES


def best_first(scores: np.ndarray) -> list[tuple[int, ...]]:
    """Every order of the items in which none follows one with a smaller score."""
    orders = itertools.permutations(range(len(scores)))
    return [order for order in orders if all(scores[a] >= scores[b] for a, b in itertools.pairwise(order))]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("seed", range(6))
def test_a_metric_is_its_mean_over_the_orders_of_equal_scores(name: str, seed: int) -> None:
    """Six items with at most three different scores; each order is ranked as scores without ties."""
    rng = np.random.default_rng(seed)
    scores, n_items = rng.integers(0, 3, 6).astype(np.float32), 6
    positives = rng.choice(n_items, rng.integers(1, 5), replace=False)
    seen = rng.choice(np.setdiff1d(np.arange(n_items), positives), rng.integers(0, 2), replace=False)
    edges = [np.stack([np.zeros_like(each), each], axis=1) for each in (seen, positives)]
    evaluate = Evaluator(of_splits(*edges, 1, n_items), "valid", ks := (1, 2, 3, 5, 6))
    orders = best_first(scores)
    each = [evaluate(*as_embeddings(-np.argsort(order)[None].astype(np.float32))) for order in orders]
    found = evaluate(*as_embeddings(scores[None]))
    for k in ks:
        assert found[f"{name}@{k}"] == pytest.approx(np.mean([of[f"{name}@{k}"] for of in each]), abs=1e-12)


def test_popularity_has_the_same_metrics_at_any_cutoff_block_size_and_numbering(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = synthetic("made", n_users=80, n_items=60, n_interactions=500, dims={})
    alone = evaluate(MODELS["Popularity"](data), data, "valid", (20,))
    others = evaluate(MODELS["Popularity"](data), data, "valid", (20, 60))
    assert alone.items() <= others.items()
    new = np.random.default_rng(0).permutation(data.n_items)
    parts = [Interactions.from_pairs(each.users, new[each.items], data.n_users) for each in data.splits]
    renumbered = RecDataset("renumbered", data.n_users, data.n_items, *parts, {}, "renumbered")
    assert evaluate(MODELS["Popularity"](renumbered), renumbered, "valid", (20,)) == pytest.approx(alone, abs=1e-12)
    monkeypatch.setattr(counting, "BLOCK_SCORES", 1)
    monkeypatch.setattr(counting, "MIN_USERS", 1)
    assert evaluate(MODELS["Popularity"](data), data, "valid", (20,)) == alone


def test_scores_that_are_no_numbers_come_last() -> None:
    data = of_splits(np.array([[0, 0]]), np.array([[0, 1], [0, 2]]), 1, 5)
    for scores, recall in (
        ([9, np.nan, 2, 1, 0], 0.5),  # item 1 is last of four
        ([9, 3, 2, np.nan, 0], 1.0),
        ([np.nan] * 5, 0.0),
    ):
        found = Evaluator(data, "valid", (2,))(torch.ones(1, 1), torch.tensor(scores).unsqueeze(1))
        assert found["recall@2"] == recall


def test_lists_have_equal_scores_in_the_order_of_the_numbers_at_any_length() -> None:
    scores = torch.from_numpy(np.random.default_rng(0).integers(0, 3, (7, 40)).astype(np.float32))
    expected = scores.sort(dim=1, descending=True, stable=True).indices
    for k in (1, 5, 17, 40):
        values, best = top_items(scores, torch.eye(40), np.arange(7), k)
        assert torch.equal(best, expected[:, :k])
        assert torch.equal(values, scores.gather(1, best))


def test_a_model_is_scored_at_its_weights_in_evaluation_mode() -> None:
    data = checkerboard()
    model, other = (MODELS["BPR"](data, embedding_size=4) for _ in range(2))
    own = evaluate(model.train(), data, "test", (1, 3))
    assert not model.training
    with torch.no_grad():
        assert own == Evaluator(data, "test", (1, 3))(*model.embed())
    model.load_state_dict(other.state_dict())
    assert evaluate(model, data, "test", (1, 3)) == evaluate(other, data, "test", (1, 3))
