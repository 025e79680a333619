"""Features in tables: what is taken as numbers, what is encoded as words, and what happens to missing values."""

import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from pyarrow import parquet

from recmodels.errors import UserError
from recmodels.prepare.folder import Note
from recmodels.prepare.user_features import load, parse

MATRIX = np.random.default_rng(0).normal(size=(50, 6)).astype(np.float32)
ITEMS = [f"B{item:03}" for item in range(50)]
TITLES = [f"{colour} {thing}" for colour in ("red", "blue") for thing in ("hat", "scarf", "shoe", "coat", "sock")] * 5


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path


def write(path: Path, columns: dict[str, Any]) -> Path:
    """A table whose rows are the ITEMS; lists and arrow arrays go to Parquet as they are."""
    if path.suffix == ".parquet":
        parquet.write_table(pa.table({"item": ITEMS, **columns}), path)
    else:
        pd.DataFrame({"item": ITEMS, **columns}).to_csv(path, index=False, sep="," if path.suffix == ".csv" else "\t")
    return path


def loaded(features: str) -> tuple[np.ndarray, Note]:
    return load(parse(features), ITEMS, "item", "tfidf", 0)


def refused(features: str) -> str:
    with pytest.raises(UserError) as caught:
        loaded(features)
    assert "\n" not in str(caught.value)
    return str(caught.value)


FORMS = {
    "blanks": lambda row: " ".join(map(str, row)),
    "commas": lambda row: ",".join(map(str, row)),
    "semicolons": lambda row: "; ".join(map(str, row)) + ";",
    "bars": lambda row: "|".join(map(str, row)),
    "lists": lambda row: str(row.tolist()),
    "lists of numpy's numbers": lambda row: str(list(row)),
    "arrays with line ends": lambda row: np.array2string(row, precision=9, max_line_width=30),
    "arrays' code": lambda row: repr(row),
    "a row of a batch": lambda row: str(row[None].tolist()),
    "other libraries' arrays": lambda row: f"tf.Tensor({row}, shape=(6,), dtype=float32)",
    "vectors of Spark": lambda row: f"DenseVector({row.tolist()})",
    "tensors": lambda row: f"tensor({row.tolist()}, device='cuda:0')",
}


@pytest.mark.parametrize("modality", ["image", "text"])
@pytest.mark.parametrize("form", FORMS)
def test_sequences_of_numbers_are_vectors_whatever_the_modality(place: Path, form: str, modality: str) -> None:
    path = write(place / "t.csv", {"emb": [FORMS[form](row) for row in MATRIX]})
    matrix, note = loaded(f"{modality}={path}:emb")
    np.testing.assert_allclose(matrix, MATRIX, rtol=1e-5)
    assert note == {"items_without": 0, "rows_not_used": 0, "columns": 6}


TYPES: dict[str, Any] = {
    "lists": MATRIX.tolist(),
    "fixed lists": pa.array(MATRIX.tolist(), pa.list_(pa.float32(), 6)),
    "large lists of doubles": pa.array(MATRIX.tolist(), pa.large_list(pa.float64())),
    "tensors": pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.float32(), [6]), pa.array(MATRIX.tolist(), pa.list_(pa.float32(), 6))
    ),
    "lists of texts": [[str(value) for value in row] for row in MATRIX],
}


@pytest.mark.parametrize("kind", TYPES)
def test_embeddings_in_parquet_are_the_numbers(place: Path, kind: str) -> None:
    path = write(place / "t.parquet", {"embedding": TYPES[kind]})
    np.testing.assert_allclose(loaded(f"text={path}:embedding")[0], MATRIX, rtol=1e-6)


@pytest.mark.parametrize("modality", ["image", "text", "image:text"])
def test_the_type_in_a_header_of_recbole_decides(place: Path, modality: str) -> None:
    columns = {
        "emb:float_seq": [FORMS["blanks"](row) for row in MATRIX],
        "price:float": np.arange(50) / 4,
        "code:token": [f"{item % 7:02}" for item in range(50)],
    }
    path = write(place / "ml.item", columns)
    np.testing.assert_allclose(loaded(f"{modality}={path}:emb")[0], MATRIX, rtol=1e-6)
    np.testing.assert_array_equal(loaded(f"{modality}={path}:price")[0][:, 0], np.arange(50) / 4)
    if modality == "image":
        assert "code:token holds words ('00' in row 1), expected numbers, or image:text=" in refused(
            f"image={path}:code"
        )
    else:
        codes, note = loaded(f"{modality}={path}:code")
        assert note["encoder"].startswith("TF-IDF")
        np.testing.assert_allclose(codes @ codes.T, np.equal.outer(np.arange(50) % 7, np.arange(50) % 7), atol=1e-5)


@pytest.mark.parametrize(
    ("column", "cells", "message"),
    [
        ("e:float_seq", ["1 2", "red"], "row 2: e:float_seq is 'red', expected numbers, as the column's name says"),
        ("e:float", ["1", "1 2"], "row 2: e:float is '1 2', expected one number, as the column's name says"),
        ("e", ["1:0.5 7:0.2"], "row 1: e is '1:0.5 7:0.2', expected words, or numbers such as [0.1, 0.2] (a column"),
        ("e", ["2024-01-31"], "row 1: e is '2024-01-31', expected words, or numbers such as [0.1, 0.2] (a column"),
        ("e", ["(4,[0,2],[1.0,3.0])"], "row 1: e is '(4,[0,2],[1.0,3.0])', expected numbers between"),
        ("e", ["v 0.1 0.2"], "row 1: e is 'v 0.1 0.2', expected words, or numbers such as [0.1, 0.2] (a column called"),
        ("e", ["1 2", "1 2 3"], "row 2: e has 3 numbers, expected 2 as in row 1"),
        ("e", ["", "1 2 3", "1 2"], "row 3: e has 2 numbers, expected 3 as in row 2"),
        ("e", ["0,5;0,3"], "row 1: e is '0,5;0,3', expected numbers between blanks, commas, semicolons or bars"),
        ("e", ["1.5,2", "0,5"], "row 2: e is '0,5', expected brackets round two numbers, or a point in one"),
        ("e", ["[1 2]", "[1 ... 2]"], "row 2: e is '[1 ... 2]', expected all numbers: numpy writes ... for those that"),
        ("e", ["[1, 2", "[1, 2]"], "row 1: e is '[1, 2', expected numbers between"),
        ("e", ["1 2", "1 inf"], "row 2: e has inf, expected finite float32 numbers"),
        ("e", ["1e39"], "row 1: e has 1e+39, expected finite float32 numbers"),
        ("e", ["1 2", "1 2", "red"], "row 3: e is 'red', expected the same kind as in row 1, '1 2': all words or all"),
        (
            "e",
            ["red", "[1, 2]", "hat"],
            "row 2: e is '[1, 2]', expected the same kind as in row 1, 'red': all words or",
        ),
        (
            "e",
            ["red", "1 0 1 0 0", "hat"],
            "row 2: e is '1 0 1 0 0', expected the same kind as in row 1, 'red': all words",
        ),
        (
            "e",
            ["red", "7"] * 25,
            "row 2: e is '7', expected the same kind as in row 1, 'red': all words or all numbers (a",
        ),
        (
            "e",
            ["1.5"] * 49 + ["red"],
            "row 50: e is 'red', expected the same kind as in row 1, '1.5': all words or all n",
        ),
        ("e", ["red", "0.1 0.2", "hat"], "row 2: e is '0.1 0.2', expected the same kind as in row 1, 'red': all words"),
    ],
)
def test_cells_that_are_neither_are_one_line_with_the_row(
    place: Path, column: str, cells: list[str], message: str
) -> None:
    path = write(place / "t.tsv", {column: cells + cells[:1] * (50 - len(cells))})
    for modality in ("image", "text"):
        assert message in refused(f"{modality}={path}:e")


def test_words_of_another_modality_than_text_are_encoded_if_asked_for(place: Path) -> None:
    path = write(place / "t.csv", {"title": TITLES, "number": 1})
    for features in (f"image={path}:title", f"image={path}:number,title", f"image={path}"):
        assert f"image={path}: title holds words ('red hat' in row 1), expected numbers, or image:" in refused(features)
    np.testing.assert_array_equal(loaded(f"image:text={path}:title")[0], loaded(f"text={path}:title")[0])


def test_titles_in_digits_stay_words_and_are_counted(place: Path, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "mirrortune.prepare")
    titles = ["1984", "4 5 6", "Rocky 2 (1979)", *TITLES[3:]]
    matrix, note = loaded(f"text={write(place / 't.csv', {'title': titles})}:title")
    assert matrix[0] @ matrix[2] < 0.1
    assert note["encoder"].startswith("TF-IDF")
    assert "title holds words; 2 of its cells are in digits" in caplog.text


def test_titles_with_more_numbers_than_words_are_words(place: Path) -> None:
    titles = [f"Rocky {row} (19{row + 76})" for row in range(len(TITLES))]
    assert loaded(f"text={write(place / 't.csv', {'title': titles})}:title")[1]["encoder"].startswith("TF-IDF")


@pytest.mark.parametrize("ending", ["csv", "parquet"])
def test_a_year_is_a_number_alone_and_part_of_the_text_beside_words(place: Path, ending: str, caplog: Any) -> None:
    """In Parquet a year may be a float, as another one is missing."""
    caplog.set_level(logging.INFO, "mirrortune.prepare")
    years = [None, *(1900.0 + item for item in range(1, 50))]
    path = write(place / f"t.{ending}", {"title": TITLES, "year": years})
    matrix, _ = loaded(f"text={path}:year")
    np.testing.assert_allclose(matrix[:, 0], [1925, *years[1:]])  # type: ignore[list-item]
    assert "numbers, taken as they are, and no words in year" in caplog.text
    together = write(
        place / "u.csv", {"both": [f"{t} {y or '':.0f}" if y else t for t, y in zip(TITLES, years, strict=True)]}
    )
    np.testing.assert_allclose(loaded(f"text={path}:title,year")[0], loaded(f"text={together}:both")[0], atol=1e-5)
    assert "the numbers of year become part of the text" in caplog.text


def test_words_and_vectors_are_not_mixed(place: Path) -> None:
    path = write(place / "t.parquet", {"title": TITLES, "emb": MATRIX.tolist()})
    assert "t.parquet: title holds words and emb numbers, expected words or numbers alone" in refused(
        f"text={path}:title,emb"
    )


@pytest.mark.parametrize("kind", [pa.binary(), pa.large_string(), pa.string_view(), "dictionary"])
def test_text_of_any_type_is_words(place: Path, kind: Any) -> None:
    titles = pa.array(TITLES).dictionary_encode() if kind == "dictionary" else pa.array(TITLES).cast(kind)
    path = write(place / "t.parquet", {"title": TITLES, "other": titles})
    np.testing.assert_array_equal(loaded(f"text={path}:other")[0], loaded(f"text={path}:title")[0])


def test_lists_of_texts_are_words(place: Path) -> None:
    path = write(place / "t.parquet", {"title": TITLES, "words": [[None, *title.split()] for title in TITLES]})
    np.testing.assert_array_equal(loaded(f"text={path}:words")[0], loaded(f"text={path}:title")[0])


HOLES: dict[str, Any] = {
    "null vectors": lambda row: None,
    "empty vectors": lambda row: [],
    "nulls in vectors": lambda row: [*row[:5], None],
    "NaN in vectors": lambda row: [*row[:5], np.nan],
}


@pytest.mark.parametrize(
    ("hole", "size"),
    [(hole, size) for hole in HOLES for size in (-1, 6) if (hole, size) != ("empty vectors", 6)],
)
def test_rows_with_missing_values_count_as_items_without(place: Path, hole: str, size: int, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "mirrortune.prepare")
    rows = [HOLES[hole](row) if number in (3, 40) else row for number, row in enumerate(MATRIX.tolist())]
    path = write(place / "t.parquet", {"emb": pa.array(rows, pa.list_(pa.float32(), size))})
    matrix, note = loaded(f"image={path}:emb")
    known = np.delete(np.arange(50), [3, 40])
    np.testing.assert_array_equal(matrix[known], MATRIX[known])
    np.testing.assert_allclose(matrix[[3, 40]], [MATRIX[known].mean(0)] * 2, atol=1e-6)
    assert note == {
        "missing_in": {"emb": 2},
        "items_without": 2,
        "rows_not_used": 0,
        "columns": 6,
        "rows_with_missing_values": 2,
    }
    assert "emb is missing in 2 of 50 rows, first in row 4" in caplog.text
    assert "2 of 50 items have none and get the mean" in caplog.text


@pytest.mark.parametrize("mark", ["", " ", "NA", "NaN", "null", "None", "N/A", "-"])
def test_empty_cells_and_marks_of_missing_numbers(place: Path, mark: str, caplog: Any) -> None:
    """An item lacks the modality if one of its columns is missing."""
    a, b = ([mark if row in rows else str(row) for row in range(50)] for rows in ((1, 2), (2, *range(20, 50))))
    path = write(place / "t.csv", {"a": a, "b": b})
    matrix, note = loaded(f"audio={path}:a,b")
    known = [0, *range(3, 20)]
    np.testing.assert_array_equal(matrix[known], np.transpose([known, known]))
    np.testing.assert_allclose(matrix[[1, 2, 20, 49]], np.mean(known), rtol=1e-6)
    assert (note["missing_in"], note["items_without"]) == ({"a": 2, "b": 31}, 32)
    mostly = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert [text.partition("t.csv")[2] for text in mostly] == [
        ": b is missing in 31 of 50 rows, in most of them, first in row 3",
        "; 32 of 50 items have none and get the mean; 0 rows of other items are not used",
    ]


@pytest.mark.parametrize(
    "cells",
    [[""] * 50, ["nan"] * 50, pa.array([None] * 50), pa.array([None] * 50, pa.list_(pa.float32(), 3)), [np.nan] * 50],
)
def test_a_column_without_any_value(place: Path, cells: Any) -> None:
    path = write(place / "t.parquet", {"emb": cells})
    for modality in ("image", "text"):
        assert refused(f"{modality}={path}:emb") == (
            f"{path}: emb has a missing value in all 50 rows, expected some without"
        )


def test_a_list_of_ids_and_nan_in_the_matrix(place: Path, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "mirrortune.prepare")
    matrix = np.where(np.arange(50)[:, None] < 45, MATRIX, np.nan)
    np.save(place / "f.npy", matrix)
    (place / "ids.txt").write_text("\n".join(ITEMS))
    found, note = loaded(f"image={place / 'f.npy'}:{place / 'ids.txt'}")
    np.testing.assert_allclose(found[45:], [MATRIX[:45].mean(0)] * 5, atol=1e-6)
    assert note == {"items_without": 5, "rows_not_used": 0, "columns": 6, "rows_with_missing_values": 5}
    assert "the first item without is 'B045'" in caplog.text
    assert "5 rows of" in caplog.text
    assert "have missing values, the first is row 45" in caplog.text


@pytest.mark.parametrize(
    ("cells", "found"),
    [
        (pa.array([{"a": 1}] * 50), "struct<a: int64>"),
        (pa.array([row.tobytes() for row in MATRIX]), "binary that is no text"),
        (pa.array([np.zeros(6, np.float32).tobytes()] * 50), "binary that is no text"),
        (pa.array([[[1.0, 2.0]]] * 50), "lists of list<element: double>"),
        (pa.array([[b"ab"]] * 50), "lists of binary"),
    ],
)
def test_columns_of_other_types(place: Path, cells: Any, found: str) -> None:
    path = write(place / "t.parquet", {"emb": cells})
    assert f"t.parquet: emb is a column of {found}, expected" in refused(f"text={path}:emb")
