"""RecBole's atomic files load as they are, and the tokens come back."""

import logging
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recmodels.data import known_datasets, load_dataset
from recmodels.data.dataset import RecDataset
from recmodels.errors import DataError

HEADER = "user_id:token\titem_id:token\trating:float\ttimestamp:float\n"
PAIRS = [(user, item) for user in ("b", "007", '"q') for item in ("9", "x y", "Ü", "01")]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "ml"
    path.mkdir()
    (path / "ml.inter").write_text(HEADER + "".join(f"{user}\t{item}\t3.5\t1e9\n" for user, item in PAIRS))
    return path


def loaded(folder: Path) -> RecDataset:
    return load_dataset(folder.name, folder.parent, folder.parent / "cache")


def tokens(data: RecDataset, split: str) -> set[tuple[str, str]]:
    ids, part = data.ids, getattr(data, split)
    return {(ids.users[user], ids.items[item]) for user, item in zip(part.users, part.items, strict=True)}


def test_tokens_are_numbered_by_first_appearance_and_split_by_the_rule(folder: Path, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "mirrortune.data")
    data = loaded(folder)
    assert "ml" in known_datasets(folder.parent)
    assert [(len(part), set(part.counts)) for part in (data.train, data.valid, data.test)] == [
        (6, {2}),
        (3, {1}),
        (3, {1}),
    ]
    assert (data.ids.users, data.ids.items) == (["b", "007", '"q'], ["9", "x y", "Ü", "01"])
    parts = [tokens(data, split) for split in ("train", "valid", "test")]
    assert set.union(*parts) == set(PAIRS)
    assert not data.features
    assert "ml.inter: split by the benchmark's rule with seed 0" in caplog.text
    assert loaded(folder) == data


def test_a_copy_in_another_process_reads_the_tokens_again(folder: Path) -> None:
    data = loaded(folder)
    pickled = pickle.dumps(data)
    assert b"x y" not in pickled
    assert pickle.loads(pickled).ids == data.ids
    with (folder / "ml.inter").open("a") as file:
        file.write("new\t9\t1.0\t2e9\n")
    assert len(data.ids.users) == 3  # read once
    with pytest.raises(DataError, match="ids of 4 users and 4 items, expected 3 and 4 as in ml"):
        assert pickle.loads(pickled).ids


def test_a_repeated_line_counts_once(folder: Path, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "mirrortune.data")
    before = loaded(folder)
    with (folder / "ml.inter").open("a") as file:
        file.write("b\t9\t1.0\t2e9\n")
    assert loaded(folder) == before
    assert "left out 1 lines whose user and item are on a line above" in caplog.text


def test_a_set_that_is_split_already_keeps_its_split(folder: Path) -> None:
    (folder / "ml.inter").unlink()
    parts = {"train": PAIRS[0::2], "valid": PAIRS[1:4:2], "test": PAIRS[5::2]}
    for part, pairs in parts.items():
        lines = "".join(f"{item}\t{user}\n" for user, item in pairs)
        (folder / f"ml.{part}.inter").write_text(f"item_id:token\tuser_id:token\n{lines}")
    data = loaded(folder)
    assert {part: tokens(data, part) for part in parts} == {part: set(pairs) for part, pairs in parts.items()}
    (folder / "ml.test.inter").unlink()
    with pytest.raises(DataError, match=r"found ml.train.inter, ml.valid.inter, expected .train, .valid and .test"):
        loaded(folder)


def test_features_need_a_list_of_ids(folder: Path, caplog: Any) -> None:
    matrix = np.array([[1, 0], [4, 4], [9, 9], [2, 6]], dtype=np.float32)
    np.save(folder / "image_feat.npy", matrix)
    assert not loaded(folder).features
    assert "image_feat.npy: not loaded, as there is no image_feat.ids.txt" in caplog.text
    (folder / "image_feat.ids.txt").write_text("01\nx y\nelse\nÜ\n")
    image = loaded(folder).features["image"]
    np.testing.assert_allclose(image, [matrix[[0, 1, 3]].mean(0), [4, 4], [2, 6], [1, 0]], rtol=1e-6)
    (folder / "image_feat.ids.txt").write_text("01\nx y\n")
    with pytest.raises(DataError, match=r"image_feat.ids.txt: 2 ids, expected 4, one for each row of image_feat.npy"):
        loaded(folder)


def test_rows_of_features_with_nan_are_no_rows(folder: Path, caplog: Any) -> None:
    """The second row of an item counts if the first has a missing value."""
    matrix = np.array([[1, np.nan], [4, 4], [2, 6], [9, 9], [0, 8]], dtype=np.float32)
    np.save(folder / "image_feat.npy", matrix)
    (folder / "image_feat.ids.txt").write_text("01\nx y\nÜ\nelse\nÜ\n")
    image = loaded(folder).features["image"]
    np.testing.assert_array_equal(image, [[3, 5], [4, 4], [2, 6], [3, 5]])
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert warning.endswith("image_feat.npy: 1 of 5 rows have missing values and count for no item, the first is row 0")
    np.save(folder / "image_feat.npy", np.where(matrix == 9, matrix, np.nan))
    with pytest.raises(DataError, match=r"image_feat.ids.txt: the rows of all 3 items have a missing value \(4 rows\)"):
        loaded(folder)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("user_id:token\ta:token\tb:token\nx\ty\tz\n", "found the columns 'user_id:token', 'a:token', 'b:token', exp"),
        (HEADER, "found a header and no rows"),
        (HEADER + "u\ti\t1\t1\nu\t\t1\t1\n", "row 2: item_id:token is missing"),
        (HEADER + "u\ti\t1\t1\nu\tj\n", "row 2: found 2 cells, expected 4 as in the header"),
        (HEADER + "u\ti\t1\t1\n", "no row of the 1 is for validation"),
        (HEADER + "u\t\udcff\t1\t1\n", "row 1: item_id:token is b'\\xff', expected text in UTF-8"),
        (
            HEADER + '"u"\ti\t1\t1\n',
            "if they are part of it; a folder is loaded without parameters, but prepare has them",
        ),
        (HEADER + "u\ti\t1\t1\n" + HEADER, "row 2: repeats the header, expected one header"),
    ],
)
def test_a_fault_is_one_line_that_names_the_file(folder: Path, text: str, message: str) -> None:
    (folder / "ml.inter").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(DataError) as caught:
        loaded(folder)
    assert str(caught.value).startswith(f"{folder / 'ml.inter'}:")
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_another_token_column_is_the_item(folder: Path) -> None:
    text = (folder / "ml.inter").read_text()
    (folder / "ml.inter").write_text(text.replace("item_id", "product_id"))
    assert loaded(folder).ids.items == ["9", "x y", "Ü", "01"]
