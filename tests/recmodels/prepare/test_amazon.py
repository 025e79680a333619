"""Amazon's raw files: what is made of sound ones, and the line that each broken one gets."""

import gzip
import hashlib
import json
import logging
import os
import re
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import run_search
from recmodels.data import load_dataset
from recmodels.data.published import difference
from recmodels.errors import DataError
from recmodels.prepare import text
from recmodels.prepare.amazon import Sources, prepare_amazon
from recmodels.prepare.amazon_files import read_ratings, read_reviews
from recmodels.prepare.amazon_texts import read_texts
from recmodels.prepare.image_features import read_image_features
from tests.benchmarks.prepare import make
from tests.benchmarks.prepare import prepare as measure
from tests.recmodels.prepare.range_server import served
from tests.recmodels.prepare.raw_files import (
    N_ITEMS,
    N_USERS,
    WIDTH,
    RawFiles,
    asin,
    full_disk,
    made_reviews,
    record,
    review,
    reviewer,
    write_raw,
)
from tuning.cli import prepare, search


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A working directory and a cache of the test's own; what `main` sets for its process is taken back."""
    logger, handler = logging.getLogger("mirrortune"), signal.getsignal(signal.SIGTERM)
    before, level = list(logger.handlers), logger.level
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield
    logger.handlers[:] = before
    logger.setLevel(level)
    signal.signal(signal.SIGTERM, handler)


@pytest.fixture
def raw(tmp_path: Path) -> RawFiles:
    return write_raw(tmp_path / "raw")


def prepared(raw: RawFiles, **options: Any) -> Path:
    files = {"reviews": raw.reviews, "metadata": raw.metadata, "image-features": raw.image_features}
    options = {"data_dir": Path("data"), "sources": Sources(files), "encoder": "tfidf", **options}
    return prepare_amazon("baby", **options)


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    """The one line of `prepare`, which leaves nothing in the data folder."""
    assert run_search.main(["prepare", *arguments]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert not list(Path().glob("data/*"))
    return line.removeprefix("run_search.py: ")


def test_raw_files_become_a_data_set(raw: RawFiles, caplog: pytest.LogCaptureFixture) -> None:
    folder = prepared(raw)
    data = load_dataset("baby")
    assert (data.n_users, data.n_items) == (N_USERS, N_ITEMS)
    # Ten users have nine rows, the last two have ten: each gives one row to validation and one to test.
    assert [len(part) for part in (data.train, data.valid, data.test)] == [86, 12, 12]
    expected = [(row["reviewerID"], row["asin"], row["overall"], row["unixReviewTime"]) for row in made_reviews()]
    expected = [row for place, row in enumerate(expected) if not 50 <= place < 55]
    names = {kind: (folder / f"{kind}_ids.tsv").read_text().splitlines()[1:] for kind in ("user", "item")}
    users, items = ([line.split("\t")[1] for line in names[kind]] for kind in ("user", "item"))
    assert users == list(dict.fromkeys(row[0] for row in expected))
    assert items == list(dict.fromkeys(row[1] for row in expected))
    lines = [line.split("\t") for line in (folder / "baby.inter").read_text().splitlines()[1:]]
    found = [(users[int(user)], items[int(item)], float(stars), int(time)) for user, item, stars, time, _ in lines]
    assert found == expected
    assert "baby is not as published: 12 users, not 19,445" in caplog.text


def test_images_stand_with_their_items_and_the_others_get_the_mean(raw: RawFiles) -> None:
    folder = prepared(raw, text=False)
    items = [line.split("\t")[1] for line in (folder / "item_ids.tsv").read_text().splitlines()[1:]]
    expected = np.where(np.isnan(raw.images), np.nanmean(raw.images, axis=0), raw.images)
    order = [int(name.removeprefix("B")) for name in items]
    np.testing.assert_allclose(np.load(folder / "image_feat.npy"), expected[order], atol=1e-6)
    assert not (folder / "text_feat.npy").exists()


def test_the_manifest_says_where_all_came_from(raw: RawFiles) -> None:
    manifest = json.loads((prepared(raw, seed=7) / "manifest.json").read_text())
    assert manifest["counts"] == {
        "rows": 115,
        "incomplete": 1,
        "repeated": 1,
        "repeated_at_other_times": 1,
        "outside_core": 2,
        "users": 12,
        "items": 10,
        "interactions": 110,
        "train": 86,
        "valid": 12,
        "test": 12,
    }
    assert [(source["kind"], source["file"]) for source in manifest["sources"]] == [
        ("reviews", "reviews_Baby_5.json.gz"),
        ("metadata", "meta_Baby.json.gz"),
        ("image-features", "image_features_Baby.b"),
    ]
    assert manifest["sources"][0]["sha256"] == hashlib.sha256(raw.reviews.read_bytes()).hexdigest()
    assert manifest["options"] == {"k_core": 5, "split": "benchmark", "seed": 7}
    assert manifest["features"]["image"] == {"items_without": 2, "columns": WIDTH}
    assert manifest["features"]["text"]["items_without"] == 1
    assert manifest["features"]["text"]["encoder"].startswith("TF-IDF")
    assert manifest["versions"].keys() == {"numpy", "pandas", "scikit-learn"}


def test_the_same_files_and_seed_give_the_same_data(raw: RawFiles) -> None:
    prints = []
    for place, seed in (("a", 1), ("b", 1), ("c", 2)):
        prepared(raw, data_dir=Path(place), seed=seed)
        prints.append(load_dataset("baby", Path(place)).fingerprint)
    assert prints[0] == prints[1] != prints[2]


def test_ratings_serve_in_place_of_reviews(raw: RawFiles, tmp_path: Path) -> None:
    columns = ("reviewerID", "asin", "overall", "unixReviewTime")
    rows = [",".join("" if row[name] is None else str(row[name]) for name in columns) for row in made_reviews()]
    ratings = tmp_path / "ratings.csv"
    ratings.write_text("\r\n".join(rows))
    ours = list(read_ratings(ratings))
    assert [row._replace(rating=5.0) for row in ours] == list(read_reviews(raw.reviews))
    prepared(raw, images=False, text=False)
    prepare_amazon("baby", data_dir=Path("other"), sources=Sources({"ratings": ratings}), images=False, text=False)
    assert load_dataset("baby").fingerprint == load_dataset("baby", Path("other")).fingerprint


def test_a_text_is_made_of_what_there_is(raw: RawFiles) -> None:
    read = read_texts(raw.metadata, {asin(item): item for item in range(N_ITEMS)})
    texts = read.texts
    assert texts[0] == "thing 0 Acme Baby Nursery's best Soft. Warm."
    assert texts[1] == "       "
    assert texts[2] == "thing 2   Toys Red"
    assert texts[N_ITEMS - 1] == texts[1]
    assert (read.years, read.n_missing, read.n_repeated, read.n_nameless) == ("2014", 1, 0, 0)


def test_prepares_from_a_server_that_breaks_off(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    site_folder = tmp_path / "site"
    raw = write_raw(site_folder / "categoryFiles", "Clothing_Shoes_and_Jewelry")
    images = site_folder / "image_features" / "categoryFiles" / raw.image_features.name
    images.parent.mkdir(parents=True)
    raw.image_features.rename(images)
    with served(site_folder) as site:
        site.break_after = [500, 10**9, 10**9, 40_000]
        arguments = ["prepare", "clothing", "--base-url", site.url, "--encoder", "tfidf", "--cache-dir", "kept"]
        assert run_search.main(arguments) == 0
        assert [wanted for _, wanted in site.requests] == [None, "bytes=500-", None, None, "bytes=40000-"]
        assert "--model GRCN --dataset clothing\n" in capsys.readouterr().out
        assert run_search.main([*arguments, "--overwrite"]) == 0
        assert len(site.requests) == 5
    assert load_dataset("clothing").features["image"].shape == (N_ITEMS, WIDTH)
    manifest = json.loads(Path("data/clothing/manifest.json").read_text())
    assert manifest["sources"][0]["file"].endswith("/categoryFiles/reviews_Clothing_Shoes_and_Jewelry_5.json.gz")


def test_nothing_is_prepared(capsys: pytest.CaptureFixture[str]) -> None:
    assert run_search.main(["--model", "BPR", "--dataset", "clothing", "--data-dir", "x"]) == 2
    assert capsys.readouterr().err == (
        "run_search.py: x: no data set 'clothing'; make it with: python run_search.py prepare clothing --data-dir x "
        "(or --download), or take made data of its size: --dataset synthetic:clothing\n"
    )


def test_the_search_downloads_what_it_needs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = write_raw(tmp_path / "site" / "categoryFiles")
    images = tmp_path / "site" / "image_features" / "categoryFiles" / raw.image_features.name
    images.parent.mkdir(parents=True)
    raw.image_features.rename(images)
    searched = []
    monkeypatch.setattr(search, "search", lambda spec, data, *_: searched.append(data) or 0)
    monkeypatch.setattr(text, "NEEDED", ("no_such_package",))
    with served(tmp_path / "site") as site:
        monkeypatch.setattr(prepare, "BASE_URL", site.url)
        command = ["--model", "BPR", "--dataset", "baby", "--download", "--tune-base", "0", "--confirm-top", "0"]
        assert run_search.main([*command, "--dry-run"]) == 0
        assert run_search.main([*command, "--model", "BRP"]) == 2
        assert not site.requests
        assert run_search.main(command) == 0
        assert len(site.requests) == 3
        assert run_search.main(command) == 0
        assert len(site.requests) == 3
    assert [data.n_users for data in searched] == [N_USERS, N_USERS]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "prepare: expected the name of a data set (baby, sports, clothing, electronics), or --from TABLE"),
        (
            ("bayb",),
            "prepare bayb: expected one of baby, sports, clothing, electronics, or --from TABLE --name bayb",
        ),
        (("baby", "--user-col", "u"), "--user-col: only with --from"),
        (("--from", "x.csv"), "--name: expected the name of the new data set's folder, but got 'none'"),
        (("--from", "x.csv", "--name", "../x"), "--name: expected the name of the new data set's folder"),
        (("--from", "x.csv", "--name", "x", "--no-text"), "--no-text: has no meaning with --from"),
        (("baby", "--k-core", "0"), "--k-core: expected an integer from 1, but got '0'"),
        (("baby", "--seed", "-1"), "--seed: expected an integer from 0, but got '-1'"),
        (("baby", "--split", "half"), "--split: invalid choice: 'half'"),
        (("baby", "--reveiws", "x"), "--reveiws: no such option; did you mean '--reviews'?"),
        (("baby", "--checksum", "reviews=12"), "--checksum reviews=12: expected 64 hexadecimal digits"),
        (("baby", "--checksum", "review=12"), "--checksum review=12: expected KIND=SHA256, the kind one of reviews"),
        (("baby", "--reviews", "nowhere.gz", "--no-text", "--no-images"), "nowhere.gz: cannot be read (No such file"),
        (("baby", "--reviews", "."), ".: cannot be read (Is a directory)"),
    ],
)
def test_options_that_cannot_be(capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str) -> None:
    assert refused(capsys, *arguments).startswith(message)


def lines_of(path: Path) -> list[bytes]:
    return gzip.decompress(path.read_bytes()).splitlines(keepends=True)


def replaced(path: Path, number: int, line: bytes) -> None:
    lines = lines_of(path)
    lines[number - 1] = line
    path.write_bytes(gzip.compress(b"".join(lines)))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-20])


def flipped(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[-6] ^= 1  # in the checksum
    path.write_bytes(content)


def misaligned(path: Path) -> None:
    content = path.read_bytes()
    size = 10 + 4 * WIDTH
    path.write_bytes(content[:size] + b"\x00" * 7 + content[size:-7])


def infinite(path: Path) -> None:
    values = np.ones(WIDTH, dtype=np.float32)
    values[5] = np.inf
    path.write_bytes(record("B999999999", values) + record(asin(2), values))


FAULTS: list[tuple[str, Callable[[Path], object], str]] = [
    ("reviews", cut, "the gzip file is cut off after line [0-9]+; delete it and get it again"),
    ("reviews", flipped, "the gzip file is damaged after line 115 "),
    ("reviews", lambda path: path.write_bytes(b""), "the file is empty"),
    ("reviews", lambda path: path.write_bytes(gzip.compress(b"")), "the file is empty"),
    ("reviews", lambda path: replaced(path, 3, b'{"asin": \n'), "3: not a JSON object (Expecting value)"),
    ("reviews", lambda path: replaced(path, 3, b"\xff\xfe\n"), "3: not a JSON object ("),
    ("reviews", lambda path: replaced(path, 3, b"[" * 100_000 + b"\n"), "3: not a JSON object (RecursionError)"),
    ("reviews", lambda path: replaced(path, 4, b"[]\n"), "4: expected a JSON object, found '[]'"),
    ("reviews", lambda path: replaced(path, 2, b"x" * (2 << 20) + b"\n"), "2: longer than 1048576 bytes"),
    (
        "reviews",
        lambda path: replaced(path, 6, json.dumps(review(0, 0, 1, unixReviewTime="noon")).encode() + b"\n"),
        "6: time is 'noon', expected a number",
    ),
    (
        "reviews",
        lambda path: replaced(path, 6, json.dumps(review(0, 0, 1, unixReviewTime=10**30)).encode() + b"\n"),
        "6: time is 1" + 30 * "0" + ", expected seconds since 1970",
    ),
    (
        "reviews",
        lambda path: replaced(path, 6, json.dumps(review(0, 0, 1, reviewerID="a\tb")).encode() + b"\n"),
        r"6: user is 'a\tb', expected printable text",
    ),
    (
        "reviews",
        lambda path: path.write_text(json.dumps(review(0, 0, 1))),
        "of 1 rows none is in the 5-core, expected some (see --k-core)",
    ),
    ("metadata", lambda path: replaced(path, 2, b"{'title': 'a'\n"), "2: not a Python dictionary ("),
    ("metadata", lambda path: replaced(path, 2, b"__import__('os')\n"), "2: not a Python dictionary ("),
    ("metadata", lambda path: replaced(path, 2, b"-" * 300_000 + b"1\n"), "2: not a Python dictionary ("),
    ("metadata", lambda path: replaced(path, 2, b"1+" * 300_000 + b"1\n"), "2: not a Python dictionary ("),
    ("metadata", lambda path: replaced(path, 2, b"{[]: 1}\n"), "2: not a Python dictionary (TypeError)"),
    ("metadata", lambda path: replaced(path, 2, b"('a', 'b')\n"), "2: expected a Python dictionary, found"),
    ("metadata", lambda path: path.write_text("{'asin': 'B1'}"), "none of the 10 items is in it"),
    ("image-features", lambda path: path.write_bytes(path.read_bytes()[:-1]), "expected a multiple of 16394"),
    ("image-features", lambda path: path.write_bytes(b""), "0 bytes, expected a multiple of 16394"),
    ("image-features", misaligned, "record 1 (from 0) begins with b'"),
    ("image-features", infinite, "record 1 (from 0), value 5 is inf, expected a finite one"),
    (
        "image-features",
        lambda path: path.write_bytes(record("B999999999", np.ones(WIDTH))),
        "none of its 1 records is of one of the 10 wanted items",
    ),
]


@pytest.mark.parametrize(("kind", "damage", "message"), FAULTS)
def test_a_damaged_file_is_one_line_and_leaves_nothing(
    raw: RawFiles, capsys: pytest.CaptureFixture[str], kind: str, damage: Callable[[Path], object], message: str
) -> None:
    path = getattr(raw, kind.replace("-", "_"))
    damage(path)
    line = refused(capsys, "baby", "--encoder", "tfidf", *raw.options)
    assert re.match(re.escape(f"{path}:"), line)
    assert message in line or re.search(message, line)
    write_raw(raw.reviews.parent)
    assert run_search.main(["prepare", "baby", "--encoder", "tfidf", *raw.options]) == 0


def test_a_checksum_that_differs(raw: RawFiles, capsys: pytest.CaptureFixture[str]) -> None:
    line = refused(capsys, "baby", *raw.options, "--checksum", f"metadata={'0' * 64}")
    assert re.fullmatch(rf"{raw.metadata}: its sha256 is [0-9a-f]{{64}}, expected 0+ \(--checksum metadata=.*\)", line)


@pytest.mark.parametrize("n_bytes", [100, 20_000, 163_900])
def test_a_full_disk_leaves_nothing(raw: RawFiles, n_bytes: int) -> None:
    """The image matrix and its .npy take 163,840 and 163,968 bytes."""
    Path("data").mkdir()
    with full_disk(n_bytes), pytest.raises(DataError, match=r"^data(/baby)?: cannot be written \(File too large\)"):
        prepared(raw)
    assert not list(Path("data").iterdir())
    prepared(raw)
    assert os.listdir("data") == ["baby"]


def test_a_place_that_cannot_be_written(raw: RawFiles) -> None:
    Path("taken").touch()
    for place in ("taken", "taken/below"):
        with pytest.raises(DataError, match=rf"^{place}: cannot be written \((File exists|Not a directory)\)"):
            prepared(raw, data_dir=Path(place))


def test_image_rows_are_written_wherever_the_records_stand(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(1300, 3)).astype(np.float32)  # more than two blocks
    (tmp_path / "x.b").write_bytes(b"".join(record(f"{i:010d}", row) for i, row in enumerate(values)))
    wanted = rng.permutation(1300)[:40]
    rows = {f"{i:010d}": row for row, i in enumerate(wanted.tolist())} | {"none000000": 40}
    assert read_image_features(tmp_path / "x.b", rows, tmp_path / "out", width=3) == 1
    out = np.fromfile(tmp_path / "out", dtype="<f4").reshape(41, 3)
    np.testing.assert_array_equal(out[:40], values[wanted])
    np.testing.assert_allclose(out[40], values[wanted].mean(axis=0), atol=1e-6)


def test_sizes_of_known_sets_are_compared() -> None:
    splits = (118_551, 20_559, 21_682)
    assert difference("baby", 19_445, 7_050, splits) is None
    assert difference("mine", 1, 1, (1, 1, 1)) is None
    assert difference("elec", 192_403, 63_001, (1_689_188, 0, 0)) is None
    assert difference("baby", 19_445, 7_051, (119_674, 20_559, 20_559)) == (
        "baby is not as published: 7,051 items, not 7,050; 119,674 training, not 118,551; 20,559 test, not 21,682"
    )
    assert reviewer(1) != reviewer(2)


def test_the_benchmark_of_preparing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path, share=0.002, width=8)
    assert measure(tmp_path, width=8, encoder="tfidf") == 0
    assert re.search(r"\nprepared in 0\.[0-9]+ minutes, .*, peak memory [0-9]\.[0-9]+ GiB\n$", capsys.readouterr().out)
