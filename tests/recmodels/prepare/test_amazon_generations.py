"""Amazon's files of 2014, 2018 and 2023 are known by their keys, and give the same data set."""

import gzip
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from recmodels.data import load_dataset
from recmodels.errors import DataError
from recmodels.prepare.amazon import Sources, prepare_amazon
from recmodels.prepare.amazon_files import read_ratings, read_reviews
from recmodels.prepare.amazon_texts import read_texts
from recmodels.prepare.image_features import read_image_features
from tests.recmodels.prepare.raw_files import asin, record, reviewer

N_USERS, N_ITEMS = 8, 7
TRIPLES = [(user, item, 1_400_000_000 + 90 * user + item) for user in range(N_USERS) for item in range(N_ITEMS)]
ROWS = {asin(item): item for item in range(N_ITEMS)}

REVIEWS: dict[str, Callable[[int, int, int], dict[str, Any]]] = {
    "2014": lambda user, item, time: {
        "reviewerID": reviewer(user), "asin": asin(item), "helpful": [0, 0], "overall": 4.0, "unixReviewTime": time
    },
    "2018": lambda user, item, time: {
        "overall": 4.0, "verified": True, "reviewerID": reviewer(user), "asin": asin(item), "unixReviewTime": time
    },
    "2023": lambda user, item, time: {
        "rating": 4.0, "title": "Good", "asin": f"V{item:09}", "parent_asin": asin(item), "user_id": reviewer(user),
        "timestamp": 1000 * time + 999,
    },
}  # fmt: skip
ITEM = {
    "2014": {
        "asin": asin(0), "title": "Warm &amp; soft", "brand": "Acme", "categories": [["Baby", "Hats"], ["Other"]],
        "description": "Of wool.\nRed.", "related": {"also_bought": [asin(1)]}
    },
    "2018": {
        "category": ["Baby", "Hats"], "tech1": "", "description": ["Of wool.", "Red."], "title": "Warm &amp; soft",
        "also_buy": [asin(1)], "brand": "Acme", "feature": ["Washable", "Light"], "asin": asin(0)
    },
    "2023": {
        "main_category": "Baby", "title": "Warm &amp; soft", "features": ["Washable", "Light"],
        "description": ["Of wool.", "Red."], "store": "Acme", "categories": ["Baby", "Hats"],
        "details": {"Brand": "X", "asin": "B999999999"}, "parent_asin": asin(0)
    },
}  # fmt: skip
TEXT = {
    "2014": "Warm &amp; soft Acme Baby Hats Of wool. Red.",
    "2018": "Warm & soft Acme Baby Hats Of wool. Red. Washable Light",
    "2023": "Warm & soft Acme Baby Hats Of wool. Red. Washable Light",
}


def written(path: Path, rows: list[dict[str, Any]], *, python: bool = False, zipped: bool = False) -> Path:
    lines = "".join((repr(row) if python else json.dumps(row)) + "\n" for row in rows).encode()
    path.write_bytes(gzip.compress(lines) if zipped else lines)
    return path


def reviews(path: Path, year: str, **form: bool) -> Path:
    return written(path, [REVIEWS[year](*triple) for triple in TRIPLES], **form)


def metadata(path: Path, year: str, *, items: int = N_ITEMS - 1, **form: bool) -> Path:
    """Of all items but the last, item 1 twice."""
    key = "parent_asin" if year == "2023" else "asin"
    others = [ITEM[year] | {key: asin(item), "title": f"thing {item}"} for item in range(1, items)]
    return written(
        path, [ITEM[year] | {key: "B999999999"}, ITEM[year], *others, others[0] | {"title": "again"}], **form
    )


def prepared(place: Path, files: dict[str, Path], **options: Any) -> Path:
    options = {"images": False, "encoder": "tfidf", "data_dir": place / "data", **options}
    return prepare_amazon("baby", sources=Sources(files), **options)


@pytest.mark.parametrize("form", ["json", "python", "zipped"])
@pytest.mark.parametrize("year", REVIEWS)
def test_each_generation_becomes_the_same_data_set(tmp_path: Path, year: str, form: str) -> None:
    options = {"python": form == "python", "zipped": form == "zipped"}
    files = {"reviews": reviews(tmp_path / "r", year, **options), "metadata": metadata(tmp_path / "m", year, **options)}
    folder = prepared(tmp_path, files)
    data = load_dataset("baby", tmp_path / "data", tmp_path / "cache")
    assert (data.n_users, data.n_items, data.features["text"].shape[0]) == (N_USERS, N_ITEMS, N_ITEMS)
    lines = [line.split("\t") for line in (folder / "baby.inter").read_text().splitlines()[1:]]
    assert [(int(user), int(item), int(time)) for user, item, _, time, _ in lines] == TRIPLES
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["generations"] == {"reviews": year, "metadata": year}
    note = manifest["features"]["text"]
    assert (note["items_without"], note["lines_repeated"]) == (1, 1)


@pytest.mark.parametrize("year", ITEM)
def test_all_texts_of_an_item_are_in_its_text(tmp_path: Path, year: str) -> None:
    for python in (False, True):
        read = read_texts(metadata(tmp_path / "m", year, python=python), ROWS)
        assert read.texts[:2] == [TEXT[year], TEXT[year].replace(TEXT[year][:15].split(" Ac")[0], "thing 1")]
        assert (read.years, read.n_missing, read.n_repeated, read.n_nameless) == (year, 1, 1, 0)


def test_a_nested_id_and_lines_without_one(tmp_path: Path) -> None:
    """`details` of 2023 may hold any keys, before the item's own id too; a line without an id is counted."""
    entry = {"details": {"asin": "B999999999"}, "title": "thing", "parent_asin": asin(0)}
    read = read_texts(written(tmp_path / "m", [entry, entry | {"parent_asin": asin(1)}, {"title": "x"}]), ROWS)
    assert [text.strip() for text in read.texts[:3]] == ["thing", "thing", ""]
    assert (read.n_missing, read.n_nameless) == (N_ITEMS - 2, 1)


ASINS_FIRST = "the first column has Amazon's item ids, read as item,user,rating,timestamp, the order of 2018"
RATINGS: dict[str, tuple[str, Callable[[str, str, int], str], str]] = {
    "2014": ("", lambda user, item, time: f"{user},{item},4.0,{time}", "2014"),
    "2018": ("", lambda user, item, time: f"{item},{user},4.0,{time}", "2018"),
    "2023": (
        "user_id,parent_asin,rating,timestamp\n",
        lambda user, item, time: f"{user},{item},4.0,{1000 * time + 7}",
        "2023",
    ),
    "2023 with a history": (
        '\ufeff"user_id","parent_asin","rating","timestamp","history"\r\n',
        lambda user, item, time: f'"{user}",{item},4.0,{1000 * time + 7},B000000001 B000000002\r',
        "2023",
    ),
    "a header of 2014's keys": (
        "asin,reviewerID,overall,unixReviewTime\n",
        lambda user, item, time: f"{item},{user},4.0,{time}",
        "2014 or 2018",
    ),
    "a plain header": (
        "timestamp,user,item,rating\n",
        lambda user, item, time: f"{time},{user},{item},4.0",
        "2014 or 2018",
    ),
}


@pytest.mark.parametrize("kind", RATINGS)
def test_ratings_of_each_generation(tmp_path: Path, kind: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "mirrortune.prepare")
    header, line, years = RATINGS[kind]
    path = tmp_path / "ratings.csv"
    path.write_text(header + "\n".join(line(reviewer(user), asin(item), time) for user, item, time in TRIPLES))
    read = read_ratings(path)
    assert list(read) == list(read_reviews(reviews(tmp_path / "r", "2014")))
    assert read.years == years
    assert (ASINS_FIRST in caplog.text) == (kind == "2018")
    manifest = json.loads((prepared(tmp_path, {"ratings": path}, text=False) / "manifest.json").read_text())
    assert manifest["generations"] == {"ratings": years}


def test_times_may_have_a_point(tmp_path: Path) -> None:
    """pandas writes whole numbers so if one of them is missing."""
    (tmp_path / "ratings.csv").write_text("A1,B000000001,4.0,1400000000.0\nA1,B000000002,4.0,\n")
    assert [row.time for row in read_ratings(tmp_path / "ratings.csv")] == [1_400_000_000, None]


def test_an_order_of_ids_that_cannot_be_told_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "ratings.csv").write_text("ann,hat,4.0,1400000000\n")
    assert [(row.user, row.item) for row in read_ratings(tmp_path / "ratings.csv")] == [("ann", "hat")]
    assert "neither column of ids looks like Amazon's item ids alone, read as user,item" in caplog.text


KNOWN = (
    "expected those of Amazon's reviews: of 2014 or 2018 reviewerID, asin, overall, unixReviewTime; "
    "of 2023 user_id, parent_asin, rating, timestamp"
)


@pytest.mark.parametrize(
    ("kind", "content", "message"),
    [
        ("reviews", '{"user": "a", "item": "b"}', f"f:1: found user, item, {KNOWN}"),
        ("reviews", "{}", f"f:1: found no keys, {KNOWN}"),
        ("reviews", '{"user_id": "a", "asin": "b", "rating": 1, "timestamp": 1}', "found user_id, asin, rating, times"),
        ("reviews", "{1: 2}", "f:1: not a JSON object ("),
        ("reviews", "\n \n", "f: the file is empty, expected an entry a line"),
        ("ratings", "who,what,stars,when\na,b,1,2", f"f:1: found who, what, stars, when, {KNOWN}"),
        ("ratings", "A1,B000000001,4.0", "f:1: expected user,item,rating,timestamp, found 'A1,B000000001,4.0'"),
        ("ratings", "B000000001,A1,4.0,1\nB000000001,A2", "f:2: expected item,user,rating,timestamp, found"),
        ("ratings", "A1,B000000001,4.0,1400000000000", "f:1: time is 1400000000000, expected seconds since 1970"),
        ("ratings", 'A1,"B000000001,4.0,1', "f:1: not a line between commas (unexpected end of data)"),
        ("metadata", '{"sku": "a", "name": "b"}', "f:1: found sku, name, expected those of Amazon's metadata: of 2014"),
        ("metadata", '{"asin": "B000000000", "name": "b"}', "f: found asin, name, expected those of Amazon's metadata"),
    ],
)  # fmt: skip
def test_unknown_keys_are_listed_with_the_known_ones(tmp_path: Path, kind: str, content: str, message: str) -> None:
    (tmp_path / "f").write_text(content)
    read = {"reviews": read_reviews, "ratings": read_ratings, "metadata": lambda path: read_texts(path, ROWS).texts}
    with pytest.raises(DataError) as caught:
        list(read[kind](tmp_path / "f"))  # type: ignore[operator]
    assert message in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_line_of_another_generation_is_named(tmp_path: Path) -> None:
    path = written(tmp_path / "r", [REVIEWS["2018"](0, 0, 1), REVIEWS["2023"](0, 1, 2) | {"asin": 1}])
    with pytest.raises(DataError, match="r:2: item is 1, expected printable text"):
        list(read_reviews(path))
    path = written(tmp_path / "r", [REVIEWS["2023"](0, 0, 1), REVIEWS["2018"](0, 1, 2)])
    with pytest.raises(
        DataError, match=r"r:2: neither user_id nor parent_asin among overall, .* keys of the lines above"
    ):
        list(read_reviews(path))


def test_seconds_in_the_place_of_milliseconds_are_a_warning(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = written(tmp_path / "r", [REVIEWS["2023"](0, 0, 1) | {"timestamp": 1_400_000_000}])
    assert [row.time for row in read_reviews(path)] == [1_400_000]
    assert "the latest timestamp is 1400000 s after 1970: are these seconds, not milliseconds" in caplog.text


def test_generations_that_are_mixed_are_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    files = {"reviews": reviews(tmp_path / "r", "2023"), "metadata": metadata(tmp_path / "m", "2018", items=3)}
    prepared(tmp_path, files)
    assert "m: 3 of the 7 items are in it, which is metadata of 2018 beside reviews of 2023" in caplog.text
    written(tmp_path / "m", [ITEM["2018"] | {"asin": "B999999999"}])
    with pytest.raises(DataError) as caught:
        prepared(tmp_path, files, overwrite=True)
    assert str(caught.value).endswith(
        "m: none of the 7 items is in it, which is metadata of 2018 beside reviews of 2023, "
        "expected the metadata of the same category and year"
    )


def test_a_record_of_an_image_with_nan_counts_as_none(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    values = np.arange(12, dtype=np.float32).reshape(4, 3)
    bad = np.array([1, np.nan, 2], dtype=np.float32)
    records = [record(asin(0), bad), record(asin(0), values[0]), record(asin(1), values[1]), record(asin(2), bad)]
    (tmp_path / "i.b").write_bytes(b"".join(records))
    rows = {asin(item): item for item in range(3)}
    assert read_image_features(tmp_path / "i.b", rows, tmp_path / "out", width=3) == 1
    found = np.fromfile(tmp_path / "out", dtype="<f4").reshape(3, 3)
    np.testing.assert_array_equal(found, [values[0], values[1], values[:2].mean(0)])
    assert "i.b: 2 records of the items have missing values (NaN) and count as none" in caplog.text
