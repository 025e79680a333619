"""The batches of an epoch: every training pair once, negatives uniform over what the protocol allows."""

import numpy as np
import pytest
from scipy.stats import chisquare

from recmodels.data import BatchSampler, Interactions, RecDataset
from recmodels.errors import DataError, UserError
from tests.recmodels import reference as golden
from tests.recmodels.factories import checkerboard


def dataset(train, n_users, n_items):
    """`train`: (user, item) pairs; nothing held out, no features."""
    users, items = np.array(train, dtype=np.int64).T
    none = Interactions.from_pairs(users[:0], items[:0], n_users)
    return RecDataset("made", n_users, n_items, Interactions.from_pairs(users, items, n_users), none, none, {}, "made")


@pytest.fixture(scope="module")
def protocol():
    theirs = golden.load("protocol")
    return dataset(theirs["train_edges"], int(theirs["n_users"]), int(theirs["n_items"])), theirs


def epochs(sampler, n, seed=0):
    """All triples (3, n * pairs) of `n` epochs."""
    rng = np.random.default_rng(seed)
    return np.concatenate([batch for _ in range(n) for batch in sampler.epoch(rng)], axis=1)


def test_batches_cover_the_training_pairs_once(protocol):
    data, theirs = protocol
    sampler = BatchSampler(data, 50)
    batches = list(sampler.epoch(np.random.default_rng(0)))
    assert [batch.shape for batch in batches] == [(3, 50)] * 3 + [(3, 12)]
    assert len(sampler) == 4
    assert {batch.dtype for batch in batches} == {np.dtype(np.int64)}
    pairs = np.concatenate(batches, axis=1)[:2].T
    assert sorted(pairs.tolist()) == sorted(theirs["train_edges"].tolist())
    assert pairs.tolist() != sorted(pairs.tolist())


@pytest.mark.parametrize(("batch_size", "n_batches"), [(1, 162), (81, 2), (162, 1), (163, 1)])
def test_number_of_batches(protocol, batch_size, n_batches):
    sampler = BatchSampler(protocol[0], batch_size)
    assert len(sampler) == len(list(sampler.epoch(np.random.default_rng(0)))) == n_batches


def test_negatives_are_all_training_items_the_user_has_not(protocol):
    """Exact support: what the reference sampler may draw, less the user's own items, and all of it."""
    data, theirs = protocol
    users, _, negatives = epochs(BatchSampler(data, 2048), 300)
    for user in range(data.n_users):
        own = data.train.items[data.train.indptr[user] : data.train.indptr[user + 1]]
        allowed = set(theirs["negative_candidates"].tolist()) - set(own.tolist()) if len(own) else set()
        assert set(negatives[users == user].tolist()) == allowed


def test_negatives_are_uniform():
    """User 0 has items 0, 2, 3, 7 of 0..7 and 9; user 1 has 9, 1, 4, 5, 6. Item 8 has no training pair."""
    data = dataset([(0, i) for i in (0, 2, 3, 7)] + [(1, i) for i in (9, 1, 4, 5, 6)], 2, 10)
    users, _, negatives = epochs(BatchSampler(data, 4), 2000)
    for user, others in ((0, [1, 4, 5, 6, 9]), (1, [0, 2, 3, 7])):
        drawn, counts = np.unique(negatives[users == user], return_counts=True)
        assert drawn.tolist() == others
        assert chisquare(counts).pvalue > 1e-3


def test_negatives_are_uniform_for_a_user_with_all_items_but_two():
    data = dataset([(0, i) for i in range(99) if i != 50] + [(1, 50), (1, 99)], 2, 100)
    users, _, negatives = epochs(BatchSampler(data, 4096), 30)
    _, counts = np.unique(negatives[users == 0], return_counts=True)
    assert len(counts) == 2
    assert chisquare(counts).pvalue > 1e-3


def test_order_and_negatives_are_new_in_each_epoch_and_follow_from_the_generator(protocol):
    sampler, rng = BatchSampler(protocol[0], 64), np.random.default_rng(3)
    list(sampler.epoch(rng))
    state = rng.bit_generator.state
    second, third = (np.concatenate(list(sampler.epoch(rng)), axis=1) for _ in range(2))
    rng.bit_generator.state = state
    np.testing.assert_array_equal(np.concatenate(list(sampler.epoch(rng)), axis=1), second)
    by_pair = [epoch[:, np.lexsort(epoch[1::-1])] for epoch in (second, third)]
    assert (second[:2] != third[:2]).any()
    assert (by_pair[0][2] != by_pair[1][2]).mean() > 0.9


def test_an_epoch_is_drawn_when_it_is_asked_for(protocol):
    """Whoever uses the generator between two batches does not change the later ones."""
    sampler = BatchSampler(protocol[0], 64)
    rng = np.random.default_rng(0)
    batches = sampler.epoch(rng)
    rng.random(1000)
    np.testing.assert_array_equal(np.concatenate(list(batches), axis=1), epochs(sampler, 1))


def test_a_user_with_all_training_items_is_refused():
    with pytest.raises(DataError) as error:
        BatchSampler(dataset([(0, 1), (2, 1), (2, 3)], 3, 5), 2)
    assert str(error.value) == (
        "made: user 2 has all 2 training items, expected every user to leave one to be drawn as a negative"
    )


@pytest.mark.parametrize("batch_size", [0, -5])
def test_batch_size_below_one_is_refused(protocol, batch_size):
    with pytest.raises(UserError, match=f"batch_size must be at least 1, but got {batch_size}"):
        BatchSampler(protocol[0], batch_size)


def test_batches_without_negatives() -> None:
    data = checkerboard()
    rows = np.concatenate(list(BatchSampler(data, 16, negatives=False).epoch(np.random.default_rng(0))), axis=1)
    assert sorted(zip(*rows.tolist(), strict=True)) == sorted(
        zip(data.train.users.tolist(), data.train.items.tolist(), strict=True)
    )
