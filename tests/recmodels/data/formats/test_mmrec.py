"""MMRec's folder format: what is read, what is refused and in which words, what is cached."""

import io
import logging
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from recmodels.data import known_datasets, load_dataset
from recmodels.data.cache import default_cache_dir
from recmodels.data.formats import feature_file, mmrec
from recmodels.data.formats.inter_file import parse_inter
from recmodels.data.formats.mmrec import load_mmrec
from recmodels.data.published import AMAZON_SETS
from recmodels.errors import DataError
from tests.recmodels import reference as golden

HEADER = "userID\titemID\trating\tx_label\n"
LINES = ["0\t0\t5.0\t0\n", "0\t2\t1.0\t1\n", "1\t1\t?\t0\n", "1\t0\t\t2\n", "1\t3\tabc\t0\n"]  # file lines 2 to 6
IMAGE = np.arange(8, dtype=np.float16).reshape(4, 2)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A sound folder `toy` of 2 users and 4 items with image features, and a cache of its own."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = tmp_path / "toy"
    path.mkdir()
    (path / "toy.inter").write_text(HEADER + "".join(LINES))
    np.save(path / "image_feat.npy", IMAGE)
    return path


def pairs(split):
    return list(zip(split.users.tolist(), split.items.tolist(), strict=True))


def test_sizes_splits_and_features(folder):
    data = load_mmrec(folder)
    assert (data.name, data.n_users, data.n_items) == ("toy", 2, 4)
    assert pairs(data.train) == [(0, 0), (1, 1), (1, 3)]
    assert pairs(data.valid) == [(0, 2)]
    assert pairs(data.test) == [(1, 0)]
    image = data.features["image"]
    assert (image.dtype, image.flags.c_contiguous, type(image)) == (np.float32, True, np.ndarray)
    np.testing.assert_array_equal(image, IMAGE)


def test_reads_as_the_reference_loader_does(tmp_path):
    """Its splits have three users without a training line, and an item that only a test line names."""
    theirs = golden.load("protocol")
    lines = ["\t".join(map(str, row)) for row in theirs["inter"].tolist()]
    (tmp_path / "any.inter").write_text("\n".join(["userID\titemID\tx_label", *lines]))
    data = load_mmrec(tmp_path, tmp_path / "cache")
    assert (data.n_users, data.n_items) == (theirs["n_users"], theirs["n_items"])
    for split in ("train", "valid", "test"):
        assert pairs(getattr(data, split)) == sorted(map(tuple, theirs[f"{split}_edges"].tolist()))


def test_drops_users_without_a_training_line_in_one_warning(folder, caplog):
    with (folder / "toy.inter").open("a") as file:
        file.write("2\t1\t0\t1\n2\t2\t0\t2\n3\t2\t0\t2\n")
    data = load_mmrec(folder)
    assert (data.n_users, len(data.valid), len(data.test)) == (4, 1, 1)
    assert [record.message for record in caplog.records] == [
        f"{folder / 'toy.inter'}: dropped 3 validation and test lines of 2 users without a training line"
    ]


FAULTS = {
    "non-integer user": (HEADER, ["1.5\t0\t0\t0\n"], ":7: userID is '1.5', expected an integer"),
    "word as item": (HEADER, ["2\tabc\t0\t0\n"], ":7: itemID is 'abc', expected an integer"),
    "blank item": (HEADER, ["2\t\t0\t0\n"], ":7: itemID is '', expected an integer"),
    "too few fields": (HEADER, ["2\t1\n"], ":7: x_label is '', expected an integer"),
    "after an empty line": (
        HEADER,
        ["\n", "2\t-7\t0\t0\n"],
        ":8: itemID is -7, expected an id numbered from 0 without large gaps (at most 600 here)",
    ),
    "negative user": (
        HEADER,
        ["2\t2\t0\t0\n", "-1\t1\t0\t0\n"],
        ":8: userID is -1, expected an id numbered from 0 without large gaps (at most 700 here)",
    ),
    "raw key as id": (
        HEADER,
        ["2\t9780439893\t0\t0\n"],
        ":7: itemID is 9780439893, expected an id numbered from 0 without large gaps (at most 600 here)",
    ),
    "label": (HEADER, ["2\t1\t0\t3\n"], ":7: x_label is 3, expected 0 (training), 1 (validation) or 2 (test)"),
    "pair in two splits": (
        HEADER,
        ["2\t1\t0\t0\n", "1\t1\t0\t2\n", "0\t0\t0\t0\n"],
        ":8: user 1 and item 1 were on line 4 already, expected each pair once over all splits",
    ),
    "shifted columns": (HEADER, ["2\t1\t\t0\t1\n"], ":7: found 5 fields, expected 4 as in the header"),
    "missing column": (
        "userID\titemID\trating\tlabel\n",
        [],
        ":1: no tab-separated column 'x_label'; did you mean 'label'?",
    ),
    "other separator": (
        "userID,itemID,x_label\n",
        [],
        ":1: no tab-separated column 'userID'; known: userID,itemID,x_label",
    ),
}


@pytest.mark.parametrize(("header", "more", "message"), FAULTS.values(), ids=FAULTS)
def test_says_what_is_wrong_with_the_interactions_and_on_which_line(folder, header, more, message):
    path = folder / "toy.inter"
    path.write_text(header + "".join(LINES + more))
    with pytest.raises(DataError) as error:
        load_mmrec(folder)
    assert str(error.value) == f"{path}{message}"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ": the file is empty, expected a header line with userID, itemID, x_label"),
        (HEADER + "\n", ": found a header line and no interactions"),
        (HEADER + LINES[1] + LINES[3], ": no line with x_label 0, expected a training split"),
        (HEADER + LINES[0] + LINES[3], ": no line with x_label 1, expected a validation split"),
        (HEADER + LINES[0] + LINES[1], ": no line with x_label 2, expected a test split"),
        (
            HEADER + "".join(LINES[:2] + LINES[3:4]),
            ": every test line (x_label 2) is of a user without a training line",
        ),
    ],
)
def test_refuses_an_empty_file_or_split(folder, text, message):
    (folder / "toy.inter").write_text(text)
    with pytest.raises(DataError) as error:
        load_mmrec(folder)
    assert str(error.value) == f"{folder / 'toy.inter'}{message}"


def with_value(row, column, value, dtype=np.float32):
    features = IMAGE.astype(dtype)
    features[row, column] = value
    return features


FEATURE_FAULTS = {
    "too few rows": (IMAGE[:3], ": no row 3, expected 4 rows (1 + the largest itemID)"),
    "NaN in all rows": (IMAGE * np.nan, ": each of its 4 rows has a missing value (NaN), expected some without"),
    "infinity": (with_value(0, 1, -np.inf), ": row 0, column 1 is -inf, expected a finite float32"),
    "beyond float32": (with_value(3, 0, 1e300, np.float64), ": row 3, column 0 is 1e+300, expected a finite float32"),
    "vector": (IMAGE[:, 0], ": shape is (4,), expected (items, columns) with at least one column"),
    "no columns": (IMAGE[:, :0], ": shape is (4, 0), expected (items, columns) with at least one column"),
    "a cube": (np.zeros((4, 2, 2)), ": shape is (4, 2, 2), expected (items, columns) with at least one column"),
    "complex": (IMAGE.astype(np.complex64), ": dtype is complex64, expected floats, whole numbers or bool"),
    "texts": (IMAGE.astype(str), ": dtype is <U32, expected floats, whole numbers or bool"),
    "times": (IMAGE.astype("M8[s]"), ": dtype is datetime64[s], expected floats, whole numbers or bool"),
}


@pytest.mark.parametrize(("features", "message"), FEATURE_FAULTS.values(), ids=FEATURE_FAULTS)
def test_says_what_is_wrong_with_the_features(folder, features, message):
    np.save(folder / "audio_feat.npy", features)
    with pytest.raises(DataError) as error:
        load_mmrec(folder)
    assert str(error.value) == f"{folder / 'audio_feat.npy'}{message}"


@pytest.mark.parametrize("kind", ["?", "i1", "u1", "<i2", ">i4", "i8", "u8", ">f4", "f2", "f8", "g"])
def test_takes_matrices_of_any_real_numbers(folder, kind):
    """Multi-hot features are whole numbers; other machines write the other byte order, MATLAB columns first."""
    matrix = (IMAGE > 2).astype(kind)
    for order in ("C", "F"):
        np.save(folder / "tags_feat.npy", np.asarray(matrix, order=order))
        tags = load_mmrec(folder).features["tags"]
        np.testing.assert_array_equal(tags, [[0, 0], [0, 1], [1, 1], [1, 1]])
        assert tags.dtype == np.float32
        assert tags.flags.c_contiguous


def test_a_row_with_nan_gets_the_mean_of_the_others_with_a_warning(folder, caplog):
    matrix = IMAGE.astype(np.float64)
    matrix[2] = np.nan
    np.save(folder / "image_feat.npy", matrix)
    image = load_mmrec(folder).features["image"]
    np.testing.assert_allclose(image, [[0, 1], [2, 3], [8 / 3, 11 / 3], [6, 7]], rtol=1e-6)
    matrix[[0, 1], 1] = np.nan
    np.save(folder / "image_feat.npy", matrix)
    np.testing.assert_array_equal(load_mmrec(folder).features["image"], [[6, 7]] * 4)
    path, mean = folder / "image_feat.npy", "and get the mean of the others"
    assert [record.message for record in caplog.records] == [
        f"{path}: 1 of 4 rows have missing values (the first is row 2) {mean}",
        f"{path}: 3 of 4 rows, most of them have missing values (the first is row 0) {mean}",
    ]


def test_a_row_with_nan_is_found_beyond_the_first_block(folder, monkeypatch):
    monkeypatch.setattr(feature_file, "BLOCK", 3)
    np.save(folder / "image_feat.npy", with_value(3, 1, np.nan))
    np.testing.assert_array_equal(load_mmrec(folder).features["image"][3], [2, 3])
    np.save(folder / "image_feat.npy", with_value(3, 1, np.inf))
    with pytest.raises(DataError, match="row 3, column 1 is inf, expected a finite float32"):
        load_mmrec(folder)


@pytest.mark.parametrize("name", ["image_feat.pt", "audio_feat.npz", "text_feat.h5", "text_feat.npy.gz"])
def test_features_in_another_kind_of_file_are_named(folder, caplog, name):
    (folder / name).write_bytes(b"anything")
    assert set(load_mmrec(folder).features) == {"image"}
    (record,) = caplog.records
    assert record.message.startswith(f"{folder / name}: not loaded, features are read from a file such as ")


def test_refuses_a_second_array_in_a_file(folder):
    with (folder / "image_feat.npy").open("wb") as file:
        np.save(file, IMAGE.astype(np.float32))
        np.save(file, IMAGE)
    with pytest.raises(DataError, match=r"image_feat.npy: \d+ bytes follow the array of shape \(4, 2\), expected one"):
        load_mmrec(folder)


class Trap:
    def __reduce__(self):
        return pytest.fail, ("a pickle was opened",)


def test_opens_no_pickle(folder):
    path = folder / "image_feat.npy"
    np.save(path, np.array([[Trap()]] * 4), allow_pickle=True)
    with pytest.raises(DataError, match="pickled Python objects, which are never opened"):
        load_mmrec(folder)
    path.write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match=r"image_feat\.npy: not a readable \.npy array \("):
        load_mmrec(folder)


def test_refuses_damaged_feature_files(folder):
    path = folder / "image_feat.npy"
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(
        DataError, match=r"image_feat.npy: truncated, 3 bytes are missing for shape \(4, 2\) of float16$"
    ):
        load_mmrec(folder)
    for damaged in (b"", whole[:40], whole.replace(b"{'descr'", b"(('descr'"), whole.replace(b"(4, 2)", b"(4,-2)")):
        path.write_bytes(damaged)
        with pytest.raises(DataError, match=r"image_feat.npy: (not a readable .npy array \(|shape is)"):
            load_mmrec(folder)


@pytest.mark.parametrize("name", ["", "image.v2"])
def test_refuses_a_modality_name_that_no_part_of_a_model_can_bear(folder, name):
    np.save(folder / f"{name}_feat.npy", IMAGE)
    with pytest.raises(
        DataError, match=f"modality '{name}', expected letters, digits and underscores before _feat.npy$"
    ):
        load_mmrec(folder)


def test_cuts_feature_rows_after_the_last_item_with_a_warning(folder, caplog):
    np.save(folder / "image_feat.npy", np.vstack([IMAGE, np.full((2, 2), np.nan)]))
    np.testing.assert_array_equal(load_mmrec(folder).features["image"], IMAGE)
    path = folder / "image_feat.npy"
    assert [record.message for record in caplog.records] == [
        f"{path}: 6 rows for 4 items, the rows after them are not used"
    ]


def test_takes_the_file_named_like_the_folder_or_the_only_one(folder):
    (folder / "other.inter").write_text("nonsense")
    assert load_mmrec(folder).n_items == 4
    (folder / "toy.inter").rename(folder / "third.inter")
    with pytest.raises(
        DataError, match=r"toy: found other.inter, third.inter, expected toy.inter or exactly one .inter"
    ):
        load_mmrec(folder)
    (folder / "other.inter").unlink()
    assert load_mmrec(folder).n_items == 4
    (folder / "third.inter").unlink()
    with pytest.raises(DataError, match=r"toy: found no \.inter file, expected toy\.inter"):
        load_mmrec(folder)
    with pytest.raises(DataError, match=r"nowhere: no such folder, expected one with nowhere\.inter"):
        load_mmrec(folder.parent / "nowhere")


def test_line_ends_byte_order_mark_and_further_columns_make_no_difference(folder):
    plain = load_mmrec(folder)
    text = (
        'x_label\tuserID\tname\titemID\r\n0\t0\tM\xfcller\t0\r\n1\t0\t"\t2\r\n\r\n0\t1\t#\t1\r\n2\t1\t\t0\r\n0\t1\t\t3'
    )
    for encoded in (b"\xef\xbb\xbf" + text.encode(), text.encode("latin-1")):
        (folder / "toy.inter").write_bytes(encoded)
        assert load_mmrec(folder) == plain


def test_fingerprint_follows_the_content_and_not_the_place(folder, tmp_path):
    original = load_mmrec(folder)
    twin = folder.rename(tmp_path / "renamed")
    assert load_mmrec(twin).fingerprint == original.fingerprint
    np.save(twin / "image_feat.npy", IMAGE.astype(np.float64))
    assert load_mmrec(twin).fingerprint == original.fingerprint
    prints = {original.fingerprint}
    np.save(twin / "image_feat.npy", with_value(3, 1, 7.5))
    prints.add(load_mmrec(twin).fingerprint)
    (twin / "image_feat.npy").rename(twin / "audio_feat.npy")
    prints.add(load_mmrec(twin).fingerprint)
    (twin / "toy.inter").write_text(HEADER + "".join([*LINES[:-1], "1\t3\t0\t1\n"]))
    prints.add(load_mmrec(twin).fingerprint)
    assert len(prints) == 4


def test_second_load_is_equal_and_does_not_parse(folder, monkeypatch):
    first = load_mmrec(folder)
    monkeypatch.setattr(mmrec, "parse_inter", lambda path, raw: pytest.fail("parsed again"))
    second = load_mmrec(folder)
    assert second == first
    assert [pairs(s) for s in (second.train, second.valid, second.test)] == [
        pairs(s) for s in (first.train, first.valid, first.test)
    ]


def test_a_changed_source_is_never_served_from_the_cache(folder):
    load_mmrec(folder)
    path = folder / "toy.inter"
    before = path.stat()
    path.write_text(path.read_text().replace("0\t2\t1.0\t1", "0\t1\t1.0\t1"))
    assert path.stat().st_size == before.st_size
    assert pairs(load_mmrec(folder).valid) == [(0, 1)]


def test_a_damaged_cache_file_is_built_again(folder, caplog):
    first = load_mmrec(folder)
    (entry,) = default_cache_dir().iterdir()
    whole = entry.read_bytes()
    middle = len(whole) // 2
    np.savez(pickled := io.BytesIO(), allow_pickle=True, table=np.array([Trap()]))
    flipped = whole[:middle] + b"\xff" + whole[middle + 1 :]
    for damaged in (b"", b"no archive", whole[:-30], flipped, pickled.getvalue()):
        entry.write_bytes(damaged)
        caplog.clear()
        assert load_mmrec(folder) == first
        assert "unreadable cache file, built again" in caplog.text
        assert [entry] == list(default_cache_dir().iterdir())
        with np.load(entry, allow_pickle=False) as stored:
            assert stored["table"].shape == (5, 3)


def test_goes_on_without_a_cache_folder_that_can_be_written(folder, tmp_path, caplog):
    (tmp_path / "file").touch()
    with caplog.at_level(logging.WARNING, logger="mirrortune.data"):
        assert load_mmrec(folder, tmp_path / "file") == load_mmrec(folder)
    assert "not cached" in caplog.text


def test_names_of_data_sets(folder):
    data_dir = folder.parent
    assert load_dataset("toy", data_dir) == load_mmrec(folder)
    assert known_datasets() == known_datasets(data_dir)[:-1]
    assert known_datasets(data_dir)[-1] == "toy"
    assert {"demo", "synthetic:clothing"} < set(known_datasets())


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("dmeo", "; did you mean 'demo'?"),
        ("tiktok", "; did you mean 'synthetic:tiktok'?"),
        ("qqqq", f"; known: {', '.join(sorted({*known_datasets(), *AMAZON_SETS}))}"),
    ],
)
def test_unknown_name_without_a_data_folder(name, hint):
    with pytest.raises(DataError) as error:
        load_dataset(name)
    assert str(error.value) == f"data set {name!r} is not built in (for a folder of your own pass `data_dir`){hint}"


def test_unknown_name_in_a_data_folder(folder):
    with pytest.raises(DataError, match=r"no data set 'toys'; did you mean 'toy'\?$"):
        load_dataset("toys", folder.parent)
    with pytest.raises(DataError, match=r"did you mean 'synthetic:sports'\?"):
        load_dataset("synthetic:sport", folder.parent)
    with pytest.raises(DataError, match=r"`data_dir` .*absent: no such folder, expected the one that holds 'toy'"):
        load_dataset("toy", folder.parent / "absent")


def test_line_of_a_fault_far_down_a_large_file():
    """The fast reader does not know lines; the number must come out right behind 20,000 sound ones."""
    lines = [f"{row}\t{row}\t0\n" for row in range(20_000)]
    text = "userID\titemID\tx_label\n" + "".join(lines) + "7\t7\t1\n"
    with pytest.raises(DataError, match=r"^big:20002: user 7 and item 7 were on line 9 already"):
        parse_inter(Path("big"), text.encode())


def test_loading_needs_no_torch():
    code = "import sys, recmodels.data; assert not {'torch', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[4])
