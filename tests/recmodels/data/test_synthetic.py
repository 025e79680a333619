"""Made data: exact sizes, the benchmark's split, and a planted structure that can be found again."""

import numpy as np
import pytest
from numpy.random import PCG64, Generator

from recmodels.data import load_dataset
from recmodels.data.synthetic import PAPER_SETS, synthetic, tastes
from recmodels.errors import DataError


@pytest.fixture(scope="module")
def demo():
    return load_dataset("demo")


def all_pairs(data):
    splits = (data.train, data.valid, data.test)
    return np.concatenate([split.users for split in splits]), np.concatenate([split.items for split in splits])


def recall_at_20(scores, data):
    """Mean over the test users of the share of their test items among the 20 best that they have not trained on."""
    scores = scores.copy()
    scores[data.train.users, data.train.items] = -np.inf
    top = np.argsort(-scores, axis=1)[:, :20]
    wanted = np.zeros(scores.shape, dtype=bool)
    wanted[data.test.users, data.test.items] = True
    return (np.take_along_axis(wanted, top, axis=1).sum(axis=1) / data.test.counts).mean()


@pytest.mark.parametrize(
    ("n_users", "n_items", "n_interactions"), [(300, 200, 3000), (300, 200, 1500), (80, 3000, 5000), (40, 20, 390)]
)
def test_sizes_are_exact_and_pairs_distinct(n_users, n_items, n_interactions):
    """Among them: 5 for every user, far more items than a user sees, and nearly half of the items for every user."""
    data = synthetic(
        "made", n_users=n_users, n_items=n_items, n_interactions=n_interactions, dims={"image": 8, "tag": 3}
    )
    users, items = all_pairs(data)
    assert len(users) == len(set(zip(users, items, strict=True))) == n_interactions
    assert (data.n_users, data.n_items) == (n_users, n_items)
    assert np.unique(items).tolist() == list(range(n_items))
    assert np.bincount(users, minlength=n_users).min() >= 5
    assert {name: (matrix.shape, matrix.dtype) for name, matrix in data.features.items()} == {
        "image": ((n_items, 8), np.float32), "tag": ((n_items, 3), np.float32)
    }  # fmt: skip


def test_splits_by_the_rule_of_the_benchmark(demo):
    counts = demo.train.counts + demo.valid.counts + demo.test.counts
    assert (counts < 10).any()
    assert (counts >= 15).any()
    for n, valid, test in zip(counts, demo.valid.counts, demo.test.counts, strict=True):
        held = 2 if n < 10 else int(0.2 * n)
        assert (valid, valid + test) == (held // 2, held)


def test_fewer_interactions_a_user_where_the_sizes_ask_for_it():
    data = load_dataset("synthetic:pinterest")
    users, _ = all_pairs(data)
    assert (data.n_users, data.n_items, len(users)) == PAPER_SETS["pinterest"][:3]
    assert data.train.counts.min() == 1


def test_same_seed_same_data(demo):
    assert load_dataset("demo").fingerprint == demo.fingerprint


def test_the_seed_changes_everything_and_the_widths_only_the_features():
    sizes = {"n_users": 100, "n_items": 80, "n_interactions": 1000}
    first, wider, other = (
        synthetic("made", **sizes, dims={"image": width}, seed=seed) for width, seed in ((8, 0), (9, 0), (8, 1))
    )
    assert np.array_equal(first.train.items, wider.train.items)
    assert first != wider
    assert not np.array_equal(first.train.items, other.train.items)
    assert not np.array_equal(first.features["image"], other.features["image"])


@pytest.mark.parametrize("n_items", [300, 3000])
def test_popularity_has_a_long_tail(n_items):
    """Where a user sees nearly all items and where few: a tenth of them takes more than a fifth."""
    data = synthetic("made", n_users=500, n_items=n_items, n_interactions=4000, dims={})
    counts = np.sort(np.bincount(all_pairs(data)[1]))[::-1]
    assert counts[: len(counts) // 10].sum() > 0.21 * counts.sum()


def test_features_tell_tastes_and_tastes_tell_interactions(demo):
    """Popularity is far behind a profile of the features of a user's training items, and that behind the truth."""
    trained = np.zeros((demo.n_users, demo.n_items))
    trained[demo.train.users, demo.train.items] = 1
    user_taste, item_taste = tastes(Generator(PCG64(0)), demo.n_users, demo.n_items)
    popularity = recall_at_20(np.tile(trained.sum(axis=0), (demo.n_users, 1)), demo)
    profiles = {name: trained @ (f - f.mean(axis=0)) @ (f - f.mean(axis=0)).T for name, f in demo.features.items()}
    recalls = {name: recall_at_20(scores, demo) for name, scores in profiles.items()}
    assert min(recalls.values()) > 2 * popularity
    assert recall_at_20(sum(profiles.values()), demo) > max(recalls.values())
    assert recall_at_20(user_taste @ item_taste.T, demo) > 5 * popularity


@pytest.mark.parametrize("n_interactions", [2 * 50 + 1, 50 * 20 + 1])
def test_sizes_that_cannot_be_met_are_refused(n_interactions):
    with pytest.raises(DataError) as error:
        synthetic("made", n_users=50, n_items=40, n_interactions=n_interactions, dims={})
    assert str(error.value) == (
        f"made: {n_interactions} interactions of 50 users with 40 items, expected 3 to 20 a user and at least 1 an item"
    )
