"""AMR's folder format: what is read, what is held out, what is refused and in which words."""

import logging
import pickle
from pathlib import Path

import numpy as np
import pytest

from recmodels.data import known_datasets, load_dataset
from recmodels.data.dataset import RecDataset
from recmodels.data.formats.amr import load_amr
from recmodels.data.synthetic import synthetic
from recmodels.errors import DataError
from tests.recmodels.data.formats import amr_folders

PAIRS = "0 0\n0,1\n1\t2\n2  3\n2,\t4\n1 0\n"
LISTS = "2 3 4 5\n3,4,5,1\n0\t1\t2\t5\n"
FEATURES = np.array([[1, 2], [3, 4], [-8, 6], [0, 0], [1, 1], [2, 2]], dtype=np.float64)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A sound folder of 3 users and 6 items."""
    path = tmp_path / "pins"
    path.mkdir()
    (path / "pos.txt").write_text(PAIRS)
    (path / "neg.txt").write_text(LISTS)
    np.save(path / "f_resnet.npy", FEATURES)
    return path


def pairs(data: RecDataset, *splits: str) -> list[tuple[int, int]]:
    parts = [getattr(data, split) for split in splits]
    return sorted(pair for part in parts for pair in zip(part.users.tolist(), part.items.tolist(), strict=True))


def test_sizes_splits_features_and_candidates(folder: Path) -> None:
    data = load_amr(folder)
    assert (data.name, data.n_users, data.n_items) == ("pins", 3, 6)
    assert pairs(data, "train", "valid") == [(0, 0), (0, 1), (1, 0), (1, 2), (2, 3), (2, 4)]
    assert pairs(data, "test") == [(0, 2), (1, 3), (2, 0)]
    assert len(data.valid) == 1
    assert data.candidates["test"].tolist() == [[3, 4, 5], [4, 5, 1], [1, 2, 5]]
    assert data.candidates["valid"].shape == (1, 3)
    assert set(data.features) == {"image"}
    assert data.features["image"].dtype == np.float32
    np.testing.assert_array_equal(data.features["image"], (FEATURES / 8).astype(np.float32))


@pytest.fixture(scope="module")
def larger(tmp_path_factory: pytest.TempPathFactory) -> tuple[RecDataset, RecDataset]:
    """A made data set and what is read of it."""
    made = synthetic("made", n_users=150, n_items=90, n_interactions=700, dims={"image": 5})
    path = tmp_path_factory.mktemp("amr") / "made"
    amr_folders.write(path, made, 20)
    return made, load_amr(path)


def test_reads_what_was_written(larger: tuple[RecDataset, RecDataset]) -> None:
    made, data = larger
    assert pairs(data, "train", "valid", "test") == pairs(made, "train", "valid", "test")
    assert data.test.counts.tolist() == [1] * 150
    assert (data.n_users, data.n_items, data.candidates["test"].shape) == (150, 90, (150, 20))


def test_a_tenth_of_the_users_with_two_pairs_give_one_for_validation(larger: tuple[RecDataset, RecDataset]) -> None:
    _, data = larger
    several = (data.train.counts + data.valid.counts) > 1
    assert len(data.valid) == several.sum() // 10 > 0
    assert data.valid.counts.max() == 1
    assert (data.train.counts[data.valid.users] > 0).all()
    own = set(pairs(data, "train", "valid", "test"))
    for user, row in zip(data.valid.users, data.candidates["valid"], strict=True):
        assert len(set(row.tolist())) == 20
        assert not own & {(int(user), item) for item in row.tolist()}
    assert len(np.unique(data.candidates["valid"])) > 80  # from all over the 90


def test_the_order_of_the_lines_and_the_place_do_not_matter(folder: Path, tmp_path: Path) -> None:
    first = load_amr(folder)
    lines = PAIRS.splitlines()
    (folder / "pos.txt").write_text("\r\n".join(reversed(lines)) + "\r\n\r\n")
    assert load_amr(folder) == first
    (folder / "neg.txt").write_text(LISTS.replace("2 3 4 5", "2 3 5 4"))
    assert load_amr(folder) != first
    folder.rename(tmp_path / "other")
    (tmp_path / "other" / "neg.txt").write_text(LISTS)
    assert load_amr(tmp_path / "other") == first


def test_is_a_data_set_by_its_pairs(folder: Path) -> None:
    assert load_dataset("pins", folder.parent, folder.parent / "cache") == load_amr(folder)
    assert known_datasets(folder.parent)[-1] == "pins"


FAULTS = {
    "a word": ("pos.txt", "0 0\n0 x\n", ":2: found 'x', expected an integer"),
    "half an item": ("pos.txt", "0 0\n0 1.5\n", ":2: found '1.5', expected an integer"),
    "one number": ("pos.txt", "0 0\n0\n", ":2: found 1 numbers, expected 2: a user and an item"),
    "a rating": ("pos.txt", "0 0 5\n0 1 4\n", ":1: found 3 numbers, expected 2: a user and an item"),
    "an empty line": ("pos.txt", "0 0\n\n0 1\n", ":2: found 0 numbers, expected 2: a user and an item"),
    "an unknown user": ("pos.txt", "0 0\n3 1\n", ":2: user is 3, expected 0 to 2, as neg.txt has 3 lines"),
    "a negative user": ("pos.txt", "0 0\n-1 1\n", ":2: user is -1, expected 0 to 2, as neg.txt has 3 lines"),
    "an unknown item": ("pos.txt", "0 0\n0 6\n", ":2: item is 6, expected 0 to 5, as f_resnet.npy has 6 rows"),
    "a pair twice": (
        "pos.txt",
        "0 0\n0 1\n0 0\n",
        ":3: user 0 and item 0 were on line 1 already, expected each pair once over all splits",
    ),
    "no pair": ("pos.txt", "\n", ": the file is empty, expected in each line a user and an item"),
    "one pair each": (
        "pos.txt",
        "0 0\n1 1\n2 2\n",
        ": no user has two lines, expected one to hold out for validation",
    ),
    "lists of two lengths": (
        "neg.txt",
        "2 3 4 5\n3 4 5\n0 1 2 5\n",
        ":2: found 3 numbers, expected 4: the test item, then as many negatives as on line 1",
    ),
    "no negatives": (
        "neg.txt",
        "2\n3\n0\n",
        ":1: found 1 numbers, expected 2: the test item, then as many negatives as on line 1",
    ),
    "an unknown negative": (
        "neg.txt",
        "2 3 4 5\n3 4 5 1\n0 1 7 5\n",
        ":3: item is 7, expected 0 to 5, as f_resnet.npy has 6 rows",
    ),
    "a positive among its negatives": (
        "neg.txt",
        "2 3 4 5\n3 4 3 1\n0 1 2 5\n",
        ":2: the test item, 3, is among its negatives",
    ),
    "a test item of training": (
        "neg.txt",
        "2 3 4 5\n0 4 5 1\n0 1 2 5\n",
        ":2: user 1 and item 0 were on line 6 of pos.txt already, expected each pair once over all splits",
    ),
}


@pytest.mark.parametrize(("name", "text", "message"), FAULTS.values(), ids=FAULTS)
def test_says_what_is_wrong_and_on_which_line(folder: Path, name: str, text: str, message: str) -> None:
    (folder / name).write_text(text)
    with pytest.raises(DataError) as error:
        load_amr(folder)
    assert str(error.value) == f"{folder / name}{message}"


@pytest.mark.parametrize("name", ["pos.txt", "neg.txt", "f_resnet.npy"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(DataError, match=f"^{folder / name}: .*No such file or directory"):
        load_amr(folder)


def test_no_pickle_is_opened(folder: Path) -> None:
    np.save(folder / "f_resnet.npy", np.array([[{}], [{}]], dtype=object), allow_pickle=True)
    with pytest.raises(DataError, match=r"f_resnet\.npy: holds pickled Python objects, which are never opened"):
        load_amr(folder)
    (folder / "f_resnet.npy").write_bytes(pickle.dumps(FEATURES))
    with pytest.raises(DataError, match=r"f_resnet\.npy: not a readable \.npy array"):
        load_amr(folder)


def test_a_row_of_features_with_nan_gets_the_mean(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    features = FEATURES.astype(np.float32)
    features[4] = np.nan
    np.save(folder / "f_resnet.npy", features)
    image = load_amr(folder).features["image"]
    others = np.delete(image, 4, axis=0)
    np.testing.assert_allclose(image[4], others.mean(0), rtol=1e-6)
    assert np.abs(others).max() == 1
    assert "f_resnet.npy: 1 of 6 rows have missing values (the first is row 4) and get the mean" in caplog.text


def test_no_features_at_all(folder: Path) -> None:
    np.save(folder / "f_resnet.npy", np.empty((0, 2), dtype=np.float32))
    with pytest.raises(DataError, match=r"f_resnet\.npy: no row 0, expected 1 rows"):
        load_amr(folder)
    np.save(folder / "f_resnet.npy", np.zeros((6, 2), dtype=np.float32))
    assert (load_amr(folder).features["image"] == 0).all()


def test_training_items_among_the_negatives_stay_with_a_warning(folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    (folder / "neg.txt").write_text("2 3 4 0\n3 4 2 0\n0 1 2 5\n")
    with caplog.at_level(logging.WARNING, logger="mirrortune.data"):
        data = load_amr(folder)
    assert data.candidates["test"].tolist()[:2] == [[3, 4, 0], [4, 2, 0]]
    assert [record.message for record in caplog.records] == [
        f"{folder / 'neg.txt'}: 3 negatives of 2 users are training items of theirs, ranked all the same, "
        "as the reference does"
    ]


def test_too_few_items_to_rank_a_validation_item_against(folder: Path) -> None:
    (folder / "neg.txt").write_text("2 3 4 5 5\n3 4 5 1 1\n0 1 2 5 5\n")
    with pytest.raises(DataError) as error:
        load_amr(folder)
    assert "has neither trained on nor is tested on 3 items, expected at least the 4 of a line of neg.txt" in str(
        error.value
    )
