"""Tables of one's own: ids stay as written, features find their items, each fault is one line with file and row."""

import gzip
import json
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from recmodels.data.formats.dialect import Dialect
from recmodels.data.formats.mmrec import load_mmrec
from recmodels.errors import UserError
from recmodels.prepare.user_table import prepare_own

USERS = ["007", "7", "u,1", "Zoë", "NA", "1.0"]
ITEMS = [f"item {number}" for number in range(8)]
PLAYS = pd.DataFrame(
    [(user, item, 1 + (row + place + 1) % 5, 100 + place) for row, user in enumerate(USERS) for place, item in
     enumerate(ITEMS[row % 3 :])],
    columns=["user", "item", "rating", "time"],
)  # fmt: skip


@pytest.fixture
def plays(tmp_path: Path) -> Path:
    path = tmp_path / "plays.csv"
    PLAYS.to_csv(path, index=False)
    return path


def prepared(table: Path, *features: str, **options: Any) -> Path:
    options = {"encoder": "tfidf", **options}
    return prepare_own(table, name="own", data_dir=table.parent / "data", features=features, **options)


def refused(table: Path, *features: str, **options: Any) -> str:
    with pytest.raises(UserError) as caught:
        prepared(table, *features, **options)
    assert "\n" not in str(caught.value)
    assert not list(table.parent.glob("data/*"))
    return str(caught.value)


def rows_of(folder: Path) -> set[tuple[str, str]]:
    """The pairs in the original ids."""
    data = load_mmrec(folder, folder.parent / "cache")
    ids = data.ids
    return {
        (ids.users[user], ids.items[item])
        for split in (data.train, data.valid, data.test)
        for user, item in zip(split.users, split.items, strict=True)
    }


def test_ids_are_text_as_written_numbered_by_first_appearance(plays: Path) -> None:
    folder = prepared(plays)
    assert rows_of(folder) == set(zip(PLAYS["user"], PLAYS["item"], strict=True))
    ids = load_mmrec(folder, folder.parent / "cache").ids
    assert (list(ids.users), list(ids.items)) == (USERS, ITEMS)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["counts"]["interactions"] == len(PLAYS)
    assert manifest["sources"][0]["bytes"] == plays.stat().st_size


@pytest.mark.parametrize("kind", ["tsv", "csv.gz", "parquet", "categories"])
def test_any_kind_of_table_makes_the_same_folder(plays: Path, kind: str) -> None:
    other = plays.with_name(f"other.{kind}")
    if kind == "csv.gz":
        other.write_bytes(gzip.compress(plays.read_bytes()))
    elif kind == "tsv":
        PLAYS.to_csv(other, index=False, sep="\t")
    else:
        other = other.with_suffix(".parquet")
        PLAYS.astype({"user": "category"} if kind == "categories" else {}).to_parquet(other)
    expected = prepared(plays)
    made = prepare_own(other, name="own", data_dir=plays.parent / "else")
    for file in ("own.inter", "user_ids.tsv", "item_ids.tsv"):
        assert (made / file).read_bytes() == (expected / file).read_bytes()


@pytest.mark.parametrize("kind", ["int64", "Int64", "float64"])
def test_numbers_in_parquet_have_no_point(tmp_path: Path, kind: str) -> None:
    table = tmp_path / "numbers.parquet"
    codes = PLAYS["user"].factorize()[0] + 10
    PLAYS.assign(user=pd.array(codes, dtype=kind)).to_parquet(table)  # type: ignore[call-overload]
    assert {user for user, _ in rows_of(prepared(table))} == {"10", "11", "12", "13", "14", "15"}


def test_repeats_low_ratings_and_the_core_are_left_out_and_counted(plays: Path, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "mirrortune.prepare")
    rare = pd.DataFrame({"user": ["007", "x"], "item": ["item 0", "item 0"], "rating": [5, 5], "time": [0, 0]})
    pd.concat([PLAYS, rare]).to_csv(plays, index=False)
    folder = prepared(plays, min_rating=2, k_core=2)
    high = PLAYS[PLAYS["rating"] >= 2]
    assert rows_of(folder) == set(zip(high["user"], high["item"], strict=True))
    counts = json.loads((folder / "manifest.json").read_text())["counts"]
    low = int((PLAYS["rating"] < 2).sum())
    assert (counts["rated_lower"], counts["repeated"], counts["outside_core"]) == (low, 1, 1)
    steps = [record.getMessage().partition("left out ")[2] for record in caplog.records]
    assert [step for step in steps if step] == [
        f"{low} of {len(PLAYS) + 2} rows, which are rated below 2",
        f"1 of {len(PLAYS) + 2 - low} rows, which repeat a user and an item (the latest row of each stays)",
        f"1 of {len(PLAYS) + 1 - low} rows, which are not in the 2-core",
    ]


def revised() -> pd.DataFrame:
    """40 users rate one of 21 items 2 and later 5, and 8 others 5."""
    first = [(f"u{user}", f"revised {user % 21}", 2, 1) for user in range(40)]
    others = [(f"u{user}", f"i{(user + 7 * n) % 40}", 5, 2 + n) for user in range(40) for n in range(8)]
    later = [(user, item, 5, 100) for user, item, _, _ in first]
    return pd.DataFrame(first + others + later, columns=["user", "item", "rating", "time"])


@pytest.mark.parametrize("columns", [["user", "item", "rating", "time"], ["user", "item", "rating"]])
def test_a_low_rating_does_not_stand_for_a_later_high_one(plays: Path, columns: list[str]) -> None:
    revised()[columns].to_csv(plays, index=False)
    counts = json.loads((prepared(plays, min_rating=4) / "manifest.json").read_text())["counts"]
    assert (counts["rows"], counts["rated_lower"], counts["repeated"]) == (400, 40, 0)
    assert (counts["interactions"], counts["items"]) == (360, 61)


@pytest.mark.parametrize("name", ["time", "unnamed", "broken"])
def test_the_latest_of_repeated_rows_stays_if_there_are_times(plays: Path, name: str, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "mirrortune.prepare")
    table = pd.concat([PLAYS, PLAYS.head(8).assign(rating=1, time=[300] * 4 + [50] * 4)])
    table["time"] = table["time"].astype(str)
    if name == "broken":
        table.iloc[3, 3] = "noon"
    table.rename(columns={"time": "unnamed"} if name == "unnamed" else {}).to_csv(plays, index=False)
    folder = prepared(plays, rating_col="rating")
    manifest = json.loads((folder / "manifest.json").read_text())
    kept = "latest" if name == "time" else "first"
    assert manifest["repeats"] == f"the {kept} row counts"
    assert f"left out 8 of {len(PLAYS) + 8} rows, which repeat a user and an item (the {kept} row" in caplog.text
    assert ("row 4: time is 'noon', expected a date" in caplog.text) == (name == "broken")
    ratings = pd.read_csv(folder / "own.inter", sep="\t")["rating"]
    assert (ratings == 1).sum() == (PLAYS["rating"] == 1).sum() + (4 if name == "time" else 0)
    assert manifest["columns_not_used"] == {"time": [], "unnamed": ["unnamed"], "broken": ["time"]}[name]


def test_of_repeated_rows_at_the_same_time_the_last_stays(plays: Path) -> None:
    pd.concat([PLAYS, PLAYS.head(1).assign(rating=9)]).to_csv(plays, index=False)
    ratings = pd.read_csv(prepared(plays, rating_col="rating") / "own.inter", sep="\t")["rating"]
    assert (ratings == 9).sum() == 1


def test_ratings_that_are_not_used_are_mentioned(plays: Path, caplog: Any) -> None:
    caplog.set_level(logging.INFO, "mirrortune.prepare")
    prepared(plays)
    assert "the ratings in 'rating' are not used: each row is an interaction, whatever its rating" in caplog.text
    caplog.clear()
    prepared(plays, min_rating=1, overwrite=True)
    assert "not used" not in caplog.text


def test_a_set_like_movielens_is_read_in_its_dialect(plays: Path, caplog: Any) -> None:
    """`::` between cells, no header, Latin-1, an unclosed mark in a title; the items' table ends like the ratings."""
    caplog.set_level(logging.INFO, "mirrortune.prepare")
    codes = [PLAYS[name].factorize()[0] + 1 for name in ("user", "item")]
    ratings, movies = plays.with_name("ratings.dat"), plays.with_name("movies.dat")
    rows = zip(*codes, PLAYS["rating"], PLAYS["time"], strict=True)
    ratings.write_text("".join("::".join(map(str, row)) + "\n" for row in rows))
    words = ["Amélie", "Zürich", '"Heat', "Æon", "Heat", "Ronin", "Alien", "Speed"]
    movies.write_bytes("".join(f"{row}::{word} (1995)::Drama\n" for row, word in enumerate(words, 1)).encode("latin-1"))
    dialect = Dialect(sep="::", encoding="latin-1", header=False)
    folder = prepared(ratings, f"text={movies}:1,2", dialect=dialect, rating_col="2", min_rating=2)
    high = PLAYS["rating"].to_numpy() >= 2
    assert rows_of(folder) == set(zip(codes[0][high].astype(str), codes[1][high].astype(str), strict=True))
    assert "without a header, column 0 is taken for the user" in caplog.text
    assert "without a header, column 1 is taken for the item" in caplog.text
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["columns"] == {"user": "0", "item": "1", "rating": "2"}
    assert manifest["columns_not_used"] == ["3"]
    assert manifest["dialect"] == {"sep": "::", "encoding": "latin-1", "header": False}
    assert manifest["features"]["text"]["items_without"] == 0


def test_positions_of_columns_say_nothing_about_tables_with_a_header(plays: Path) -> None:
    """Users and items are in columns 0 and 1; the features have columns of these names, and one called `item`."""
    table, features = plays.with_name("u.data"), plays.with_name("size.csv")
    table.write_text("".join(f"{user}\t{item}\n" for user in range(5) for item in range(9)))
    features.write_text("0,item,1\n" + "".join(f"{item}.5,{item},{8 - item}\n" for item in range(9)))
    folder = prepared(table, f"size={features}", dialect=Dialect(header=False))
    size = load_mmrec(folder, folder.parent / "cache").features["size"]
    np.testing.assert_array_equal(size, [[item + 0.5, 8 - item] for item in range(9)])


def test_a_header_of_numbers_is_suspicious(plays: Path) -> None:
    """Taken for a header, this first row would make ratings of the column called 1 the items."""
    table = plays.with_name("u.data")
    table.write_text("0\t5\t1\n" + "".join(f"{user}\t{item}\t1\n" for user in range(5) for item in range(9)))
    assert "expected `header=False` if it has none" in refused(table, user_col="0", item_col="1")
    table.write_text("".join(f"u{user}\ti{item}\n" for user in range(5) for item in range(9)))
    assert "expected `user_col` NAME, or `header=False` if these are no names (found 'u0', 'i0')" in refused(table)
    table.write_text("user\titem\n" + "".join(f"{user}\t{item}\n" for user in range(5) for item in range(9)))
    message = refused(table, dialect=Dialect(header=False))
    assert message == f"{table}: row 1: 'user' and 'item' are names, expected no `header=False`"


def test_a_dialect_without_a_text_table_has_no_meaning(plays: Path) -> None:
    table = plays.with_name("plays.parquet")
    PLAYS.to_parquet(table)
    message = refused(table, dialect=Dialect(sep=";"))
    assert message == "`sep`: no meaning for .parquet, expected a text table such as .csv"
    items = plays.with_name("items.dat")
    items.write_text("item;size\n" + "".join(f"{item};{len(item)}\n" for item in ITEMS))
    prepared(table, f"size={items}", dialect=Dialect(sep=";"))


def test_encoding_and_marks_hold_for_text_tables_of_other_endings_too(plays: Path) -> None:
    items = plays.with_name("items.tsv")
    titles = ['"Café', *(f"word{row}" for row in range(7))]
    rows = "".join(f"{item}\t{title}\n" for item, title in zip(ITEMS, titles, strict=True))
    items.write_bytes(f"item\ttitle\n{rows}".encode("latin-1"))
    table = plays.with_name("ascii.csv")
    table.write_text("user;item\n" + "".join(f"{user};{item}\n" for user in range(6) for item in ITEMS))
    assert "items.tsv: row 1: torn quotation" in refused(table, f"text={items}:title", dialect=Dialect(sep=";"))
    dialect = Dialect(sep=";", quote="none", encoding="latin-1")
    note = json.loads((prepared(table, f"text={items}:title", dialect=dialect) / "manifest.json").read_text())
    assert note["features"]["text"]["items_without"] == 0


@pytest.mark.parametrize("kind", ["jsonl", "json.gz"])
def test_json_lines_make_the_same_folder(plays: Path, kind: str) -> None:
    other = plays.with_name(f"other.{kind}")
    PLAYS.to_json(other, orient="records", lines=True)
    folder = prepare_own(other, name="own", data_dir=plays.parent / "else")
    assert (folder / "own.inter").read_bytes() == (prepared(plays) / "own.inter").read_bytes()


def test_the_latest_rows_are_held_out(plays: Path) -> None:
    PLAYS.assign(time=pd.to_datetime(PLAYS["time"], unit="D")).sample(frac=1, random_state=0).to_csv(plays, index=False)
    folder = prepared(plays, rule="leave-last-out")
    data = load_mmrec(folder, folder.parent / "cache")
    ids = data.ids
    assert {ids.items[item] for item in data.test.items} == {ITEMS[-1]}
    assert {ids.items[item] for item in data.valid.items} == {ITEMS[-2]}


def test_rows_of_features_find_their_items(plays: Path, caplog: Any) -> None:
    """The matrix is in another order, lacks item 3, has a row of nobody's and one twice."""
    caplog.set_level(logging.INFO, "mirrortune.prepare")
    order = ["item 7", "nobody", *ITEMS[:3], *ITEMS[4:7], "item 7"]
    matrix = np.arange(2 * len(order), dtype=np.float16).reshape(-1, 2)
    np.save(plays.with_name("f.npy"), matrix)
    plays.with_name("ids.txt").write_text("\n".join(order) + "\n")
    folder = prepared(plays, f"image={plays.with_name('f.npy')}:{plays.with_name('ids.txt')}")
    image = load_mmrec(folder, folder.parent / "cache").features["image"]
    known = [number for number in range(8) if number != 3]
    np.testing.assert_array_equal(image[known], [matrix[order.index(ITEMS[number])] for number in known])
    np.testing.assert_allclose(image[3], image[known].mean(0))
    assert "1 of 8 items have none and get the mean; 2 rows of other items are not used" in caplog.text
    note = json.loads((folder / "manifest.json").read_text())["features"]["image"]
    assert note == {"items_without": 1, "rows_not_used": 2, "columns": 2}


def test_texts_are_encoded_and_an_empty_one_is_none(plays: Path) -> None:
    words = ["red shoe", "red\nshoe", "blue hat", "", "", "green coat", "warm coat", "cold coat"]
    items = pd.DataFrame({"item": ITEMS, "title": words, "more": ["", "", "", "", "wool", "", "", ""]})
    items.to_csv(plays.with_name("items.csv"), index=False)
    folder = prepared(plays, f"text={plays.with_name('items.csv')}:title,more")
    text = load_mmrec(folder, folder.parent / "cache").features["text"]
    np.testing.assert_allclose(text[0], text[1], atol=1e-6)
    assert text[0] @ text[2] < 0.1
    np.testing.assert_allclose(text[3], text[[0, 1, 2, 4, 5, 6, 7]].mean(0), atol=1e-6)
    note = json.loads((folder / "manifest.json").read_text())["features"]["text"]
    assert (note["items_without"], note["encoder"][:6]) == (1, "TF-IDF")


def test_a_set_of_recbole_gets_its_texts(plays: Path) -> None:
    inter, items = plays.with_name("own.inter"), plays.with_name("own.item")
    PLAYS.set_axis(["user_id:token", "song:token", "rating:float", "time:float"], axis=1).to_csv(
        inter, sep="\t", index=False
    )
    items.write_text("song:token\ttitle:token_seq\n" + "".join(f'{item}\t"quote word{item[-1]}\n' for item in ITEMS))
    folder = prepared(inter, f"text={items}:title", item_col="song", time_col="time", rule="time")
    assert rows_of(folder) <= set(zip(PLAYS["user"], PLAYS["item"], strict=True))
    assert load_mmrec(folder, folder.parent / "cache").features["text"].shape[0] == 8


@pytest.mark.parametrize("kind", ["columns.csv", "columns.parquet", "lists.csv", "lists.parquet"])
def test_numbers_in_a_table_are_features_as_they_are(plays: Path, kind: str) -> None:
    matrix = np.arange(16, dtype=np.float64).reshape(8, 2) / 4
    items: dict[str, Any] = {"item": ITEMS, "a": matrix[:, 0], "b": matrix[:, 1]}
    if kind.startswith("lists"):
        items = {"item": ITEMS, "a": [row.tolist() for row in matrix]}
    path = plays.with_name(kind)
    frame = pd.DataFrame(items)
    frame.to_csv(path, index=False) if path.suffix == ".csv" else frame.to_parquet(path)
    folder = prepared(plays, f"audio={path}")
    np.testing.assert_array_equal(load_mmrec(folder, folder.parent / "cache").features["audio"], matrix)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "plays.csv: the file is empty, expected a table"),
        ("user,item\n", "found a header and no rows"),
        ("user,item\na,b\nc,\nd, \n", "row 2: item is missing, expected an id in each row (2 have none)"),
        ("user,item\na,b\nc\n", "row 2: found 1 cell, expected 2 as in the header ('c')"),
        ("user,item,item\na,b,c\n", "two columns are called 'item', expected each name once"),
        ("who,item\na,b\n", "no known name of the user column, expected `user_col` NAME (found 'who', 'item')"),
        (
            "user,userID,item\na,b,c\n",
            "'userID' and 'user' may be the user column, expected `user_col` NAME (found 'user', 'userID', 'item')",
        ),
        ("user,item\na\tb,c\n", "plays.csv: user 0: its id is 'a\\tb', expected text without tabs and line ends"),
        ("user,item\na,b\na,c\n", "`rule` benchmark: no row of the 2 is for validation"),
    ],
)
def test_a_table_that_does_not_do(plays: Path, text: str, message: str) -> None:
    plays.write_text(text)
    if "its id" in message:
        plays.write_text(text + "".join(f"{user},{item}\n" for user in "pq" for item in "xyz"))
    assert message in refused(plays)


@pytest.mark.parametrize(
    ("column", "values", "options", "message"),
    [
        ("rating", "x", {"min_rating": 3}, "row 1: rating is 'x', expected a number"),
        ("rating", 1, {"min_rating": 3}, "rows that are left are rated below 3, expected some to stay"),
        ("user", 1, {"k_core": 3}, "rows that are left are not in the 3-core, expected some to stay"),
        ("time", "soon", {"rule": "time"}, "row 1: time is 'soon', expected a date such as 2024-01-31 or"),
        ("time", 1, {"rule": "tiem"}, "plays.csv: `rule` tiem: expected one of benchmark"),
        ("time", 1, {"user_col": "usr"}, "no column 'usr', found 'user', 'item', 'rating', 'time'"),
        ("time", 1, {"user_col": "item"}, "'item' is the user column and another too"),
    ],
)
def test_options_that_do_not_fit_the_table(
    plays: Path, column: str, values: Any, options: dict[str, Any], message: str
) -> None:
    PLAYS.assign(**{column: values}).to_csv(plays, index=False)
    assert message in refused(plays, **options)


@pytest.mark.parametrize(
    ("features", "message"),
    [
        (("image",), "`features` image: expected MODALITY=FEATURES.npy:IDS.txt"),
        (("image=f.npy",), "does not say which item each row belongs to, expected image=f.npy:IDS.txt"),
        (("image=f.pt:ids.txt",), "a .pt is never opened, expected a .npy, made once by numpy.save('f.npy', torch.l"),
        (("image=f.npz",), "made once by numpy.save('f.npy', numpy.load('f.npz')[NAME], allow_pickle=False)"),
        (("image=a/f.H5:ids.txt",), "made once by numpy.save('a/f.npy', h5py.File('a/f.H5')[NAME][:], allow_pickle=F"),
        (("image=f.npy.gz:ids.txt",), "a .npy.gz is never opened, expected a .npy, made once by numpy.save('f.npy'"),
        (("image=f.pkl",), "a .pkl is never opened, expected a .npy, made once by numpy.save('f.npy', MATRIX, allow_"),
        (("text=items.xlsx:title",), "a .xlsx is never opened, expected a table such as items.parquet or items.csv"),
        (("image:words=items.csv",), "'words' before =, expected image= or, for words, image:text="),
        (("image:text=f.npy:ids.txt",), "a .npy holds no words, expected image= before it"),
        (("my-image=f.npy:ids.txt",), "modality 'my-image', expected letters"),
        (("image=f.npy:ids.txt", "image=items.csv:a"), "'image' is there twice"),
        (("image=none.npy:ids.txt",), "none.npy: not a readable .npy array"),
        (("image=f.npy:none.txt",), "none.txt: cannot be read (No such file or directory)"),
        (("image=f.npy:short.txt",), "short.txt: 1 ids, expected 8, one for each row of"),
        (("image=f.npy:others.txt",), "others.txt: none of its 8 ids is an item of the interactions (such as '0'"),
        (("image=f.npy:hole.txt",), "hole.txt:2: the line is empty, expected an id in each"),
        (("text=items.csv:title,colour",), "items.csv: no column 'colour', found 'item', 'title', 'a', 'list'"),
        (("text=items.csv",), "`features` text=items.csv: expected :COLUMN,... with the columns to encode"),
        (("audio=items.csv:title",), "=items.csv: title holds words ('a word' in row 1), expected numbers, or audio:"),
        (("audio=items.csv:list",), "items.csv: row 2: list has 1 numbers, expected 2 as in row 1"),
        (("text=nameless.csv:title",), "no known name of the item column, expected one called 'item' (found 'title')"),
    ],
)
def test_features_that_do_not_fit(
    plays: Path, monkeypatch: pytest.MonkeyPatch, features: tuple[str, ...], message: str
) -> None:
    monkeypatch.chdir(plays.parent)
    np.save("f.npy", np.ones((8, 2), dtype=np.float32))
    Path("ids.txt").write_text("\n".join(ITEMS))
    Path("short.txt").write_text("item 1")
    Path("others.txt").write_text("\n".join("01234567"))
    Path("hole.txt").write_text("a\n\nb")
    items = pd.DataFrame({"item": ITEMS, "title": "a word", "a": ["1", "2", "", *"45678"], "list": "[1, 2]"})
    items.loc[1, "list"] = "[1]"
    items.to_csv("items.csv", index=False)
    items[["title"]].to_csv("nameless.csv", index=False)
    assert message in refused(plays, *features)


def test_nothing_is_replaced_unless_asked(plays: Path) -> None:
    folder = prepared(plays)
    before = (folder / "own.inter").read_bytes()
    with pytest.raises(UserError, match="exists already"):
        prepared(plays, seed=1)
    assert (folder / "own.inter").read_bytes() == before
    prepared(plays, seed=1, overwrite=True)
    assert (folder / "own.inter").read_bytes() != before
