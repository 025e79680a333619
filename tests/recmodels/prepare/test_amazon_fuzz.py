"""Raw files with a few bytes changed, cut out or put in are read, or refused in one line that names the file."""

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.random import Generator

from recmodels.errors import DataError
from recmodels.prepare.amazon_files import read_ratings, read_reviews
from recmodels.prepare.amazon_texts import read_texts
from recmodels.prepare.image_features import read_image_features
from recmodels.prepare.interactions import collect
from tests.recmodels.prepare.raw_files import N_ITEMS, asin, made_metadata, made_reviews, record

ROWS = {asin(item): item for item in range(N_ITEMS)}
WIDTH, N_MUTATIONS = 6, 250
PIECES = (
    b"\x00",
    b"\n",
    b"'",
    b'"',
    b"{",
    b"[[",
    b"}",
    b",",
    b"\\u",
    b"\\ud800",
    b"1e999",
    b"NaN",
    b"\xff",
    b"-",
    b"nan",
)
REVIEWS = "".join(json.dumps(row) + "\n" for row in made_reviews()[40:60]).encode()
METADATA = "\n".join(made_metadata()).encode()
RATINGS = b"".join(b"u%d,%s,4.0,1400000000\n" % (n % 7, asin(n % 5).encode()) for n in range(30))
IMAGES = b"".join(record(name, np.full(WIDTH, row)) for name, row in ROWS.items())

NEW_REVIEWS = b"\n".join(
    b'{"rating": 5.0, "parent_asin": "%s", "user_id": "AE%d", "timestamp": %d}'
    % (asin(n % 5).encode(), n % 7, 1000 * n)
    for n in range(1, 31)
)
NEW_RATINGS = b"user_id,parent_asin,rating,timestamp\n" + RATINGS.replace(b",4.0,", b",4.0,1000")
NEW_METADATA = b"\n".join(
    b'{"title": "thing &amp; %d", "features": ["a", "b"], "categories": ["c"], "parent_asin": "%s"}'
    % (n, name.encode())
    for name, n in ROWS.items()
)

KINDS: list[tuple[bytes, Callable[[Path], object]]] = [
    (REVIEWS, lambda path: collect(read_reviews(path), 1, path)),
    (gzip.compress(REVIEWS), lambda path: collect(read_reviews(path), 1, path)),
    (RATINGS, lambda path: collect(read_ratings(path), 1, path)),
    (METADATA, lambda path: read_texts(path, ROWS)),
    (gzip.compress(METADATA), lambda path: read_texts(path, ROWS)),
    (NEW_REVIEWS, lambda path: collect(read_reviews(path), 1, path)),
    (NEW_RATINGS, lambda path: collect(read_ratings(path), 1, path)),
    (NEW_METADATA, lambda path: read_texts(path, ROWS)),
    (IMAGES, lambda path: read_image_features(path, ROWS, path.with_suffix(".out"), WIDTH)),
]


def mutated(content: bytes, rng: Generator) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.integers(1, 4)):
        start = int(rng.integers(len(changed) + 1))
        stop = start + int(rng.choice([0, 0, 1, 5, 400]))
        changed[start:stop] = PIECES[rng.integers(len(PIECES))] * int(rng.choice([0, 1, 1, 3, 2000]))
    return bytes(changed)


@pytest.mark.parametrize("kind", range(len(KINDS)))
def test_no_change_of_a_raw_file_ends_in_a_traceback(tmp_path: Path, kind: int) -> None:
    content, read = KINDS[kind]
    path = tmp_path / "raw file"
    path.write_bytes(content)
    read(path)
    refusals = []
    for seed in range(N_MUTATIONS):
        path.write_bytes(mutated(content, np.random.default_rng(seed)))
        try:
            read(path)
        except DataError as error:
            refusals.append(str(error))
    assert len(refusals) > N_MUTATIONS / 3
    assert all(text.startswith(f"{path}:") and len(text.splitlines()) == 1 for text in refusals)
