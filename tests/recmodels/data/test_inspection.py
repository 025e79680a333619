"""The facts about data whose every number can be counted by hand."""

import json
from dataclasses import replace

import numpy as np
import pytest

from recmodels.data import RecDataset
from recmodels.data import inspection as at
from recmodels.data.dataset import Interactions

IMAGE = np.array([[3, 4], [0, 0], [0, -0.0], [3, 4], [3, 4], [6, 8]], dtype=np.float32)
TEXT = np.array([[1, 0, 7], [0, 1, 7], [2, 0, 7], [0, 2, 7], [1, 1, 7], [3, 3, 7]], dtype=np.float32)


def split(*pairs: tuple[int, int]) -> Interactions:
    users, items = np.array(pairs).T
    return Interactions.from_pairs(users, items, 5)


@pytest.fixture
def data() -> RecDataset:
    """5 users, 6 items: user 4 and items 4 and 5 are not in training; (0, 1) is in training and test."""
    return RecDataset(
        name="hand",
        n_users=5,
        n_items=6,
        train=split((0, 0), (0, 1), (0, 2), (1, 0), (2, 0), (2, 3), (3, 1)),
        valid=split((1, 4), (2, 4), (3, 2)),
        test=split((0, 1), (0, 5), (1, 2)),
        features={"image": IMAGE, "text": TEXT},
        fingerprint="f" * 64,
    )


def test_sizes_and_splits(data: RecDataset) -> None:
    assert at.sizes(data) == {
        "users": 5,
        "items": 6,
        "interactions": 13,
        "density": 13 / 30,
        "ranked_against": None,
    }
    assert at.split_sizes(data.train) == {"interactions": 7, "users": 4, "items": 4}
    assert at.split_sizes(data.valid) == {"interactions": 3, "users": 3, "items": 2}
    lists = replace(data, candidates={"valid": np.zeros((3, 7), int), "test": np.zeros((2, 9), int)})
    assert at.sizes(lists)["ranked_against"] == {"valid": 7, "test": 9}


def test_degrees_are_of_training_and_count_who_has_none(data: RecDataset) -> None:
    assert at.training_counts(data).tolist() == [3, 2, 1, 1, 0, 0]
    users, items = at.degrees(data.train.counts), at.degrees(at.training_counts(data))
    assert users == {
        "mean": 1.4, "min": 0, "p5": 0.2, "p25": 1, "median": 1, "p75": 2, "p95": 2.8, "max": 3, "none": 1,
    }  # fmt: skip
    assert (items["mean"], items["median"], items["max"], items["none"]) == (7 / 6, 1, 3, 2)


def test_cold_items_and_users(data: RecDataset) -> None:
    assert at.cold(data) == {
        "items": 2,
        "items_in": {"valid": 1, "test": 1},
        "interactions_in": {"valid": 2, "test": 1},
        "users": 1,
        "users_not_evaluated": {"valid": 2, "test": 3},
    }


def test_leaks(data: RecDataset) -> None:
    none = {"train_and_valid": 0, "train_and_test": 0, "valid_and_test": 0, "repeated": 0}
    assert at.leaks(data) == none | {"train_and_test": 1}
    worse = replace(data, valid=split((0, 1), (0, 1), (0, 1), (1, 2)))
    assert at.leaks(worse) == {"train_and_valid": 1, "train_and_test": 1, "valid_and_test": 2, "repeated": 2}


def test_features_that_tell_nothing() -> None:
    image, text = at.features(IMAGE), at.features(TEXT)
    assert image["shape"] == [6, 2]
    assert image["norms"]["median"] == 5
    assert (image["norms"]["min"], image["norms"]["max"], image["norms"]["mean"]) == (0, 10, 25 / 6)
    assert {key: image[key] for key in ("zero_rows", "repeated_rows", "commonest_rows", "commonest_is")} == {
        "zero_rows": 2,
        "repeated_rows": 5,  # three of one, two of zeros: their sign does not matter
        "commonest_rows": 3,
        "commonest_is": "other",
    }
    assert (image["constant_columns"], text["constant_columns"]) == (0, 1)
    assert (text["zero_rows"], text["repeated_rows"], text["commonest_rows"], text["commonest_is"]) == (0, 0, 0, None)


@pytest.mark.parametrize(("fill", "kind"), [("mean", "mean"), ("zero", "zero"), ("one", "other")])
def test_how_missing_rows_were_filled(fill: str, kind: str) -> None:
    matrix = np.random.default_rng(0).standard_normal((200, 16)).astype(np.float32) + 1
    missing = slice(20, 50)
    matrix[missing] = {"mean": np.delete(matrix, missing, axis=0).mean(axis=0), "zero": 0, "one": 1}[fill]
    for stored in (matrix, matrix.astype(np.float16).astype(np.float32)):
        found = at.features(stored)
        assert (found["commonest_rows"], found["commonest_is"]) == (30, kind)


def test_all_facts_are_plain_json(data: RecDataset) -> None:
    for each in (data, replace(data, features={})):
        facts = at.inspect_data(each)
        assert json.loads(json.dumps(facts, allow_nan=False)) == facts
