"""How long a data set takes from raw files to its folder, and how much memory; the files are made in Amazon's formats.

    python -m tests.benchmarks.prepare --folder DIR

makes files of the size of electronics: 1.7 million reviews of 192,403 users and 63,001 items, a fifth more of users and
items outside of the 5-core, and metadata and image features (4096 wide) of twice as many products. At full size they
take 4 GB in `--folder`, and the result 2 GB more.
"""

import argparse
import gzip
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.random import Generator

from recmodels.data.synthetic import PAPER_SETS, synthetic
from recmodels.prepare import Sources, prepare_amazon
from tests.benchmarks.machine import peak_memory

OUTSIDE = 0.2  # reviews outside of the core, as a share of those in it
PRODUCTS = 2  # products with metadata and an image for each item that is reviewed
NO_IMAGE = 0.01
WORDS_OF_REVIEW, WORDS_OF_DESCRIPTION = 110, 70
WORDS = 20_000
KINDS = ("reviews", "metadata", "image-features")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, help="for the files, which are removed (default: a temporary folder)")
    parser.add_argument("--share", type=float, default=1.0, help="of the full size (1.0)")
    parser.add_argument("--width", type=int, default=4096, help="of image features (4096)")
    parser.add_argument("--encoder", default="tfidf", help="tfidf (default), minilm")
    parser.add_argument("--only-prepare", action="store_true", help=argparse.SUPPRESS)
    given = parser.parse_args(argv)
    if given.only_prepare:
        return prepare(given.folder, given.width, given.encoder)
    with tempfile.TemporaryDirectory(dir=given.folder, prefix="raw-") as name:
        folder = Path(name)
        need = int(given.share * 63_001 * (PRODUCTS + 2) * 4 * given.width) + int(given.share * 2e9)
        if shutil.disk_usage(folder).free < 1.2 * need:
            print(f"{folder}: {shutil.disk_usage(folder).free / 1e9:.0f} GB are free, expected {1.2 * need / 1e9:.0f}")
            return 2
        start = time.perf_counter()
        make(folder, given.share, given.width)
        sizes = ", ".join(f"{kind} {(folder / kind).stat().st_size / 1e9:.2f} GB" for kind in KINDS)
        print(f"raw files made in {(time.perf_counter() - start) / 60:.1f} minutes: {sizes}", flush=True)
        options = [f"--folder={folder}", f"--width={given.width}", f"--encoder={given.encoder}", "--only-prepare"]
        return subprocess.run([sys.executable, "-m", __spec__.name, *options], check=False).returncode


def prepare(folder: Path, width: int, encoder: str) -> int:
    """Prepare the files in `folder`, in a process of its own, so that the peak of memory is that of this work alone."""
    start = time.perf_counter()
    files = {kind: folder / kind for kind in KINDS}
    path = prepare_amazon("electronics", data_dir=folder, sources=Sources(files), encoder=encoder, width=width)
    minutes, busy = (time.perf_counter() - start) / 60, time.process_time() / 60
    counts = json.loads((path / "manifest.json").read_text())["counts"]
    print(", ".join(f"{name} {n:,}" for name, n in counts.items()))
    print(f"prepared in {minutes:.2f} minutes, {busy:.2f} of them at work, peak memory {peak_memory() / 2**30:.2f} GiB")
    return 0


def make(folder: Path, share: float, width: int) -> None:
    """Write the raw files of a data set that has `share` of the size of electronics."""
    rng = np.random.default_rng(0)
    n_users, n_items, n_rows = (int(share * size) for size in PAPER_SETS["electronics"][:3])
    data = synthetic("raw", n_users=n_users, n_items=n_items, n_interactions=n_rows, dims={})
    parts = (data.train, data.valid, data.test)
    users = np.concatenate([part.users for part in parts])
    items = np.concatenate([part.items for part in parts])
    n_outside = int(OUTSIDE * len(users))  # each by a user of its own, of an item of its own for the greater part
    users = np.concatenate([users, n_users + np.arange(n_outside)])
    items = np.concatenate([items, rng.integers(n_items, size=n_outside) + n_items * (rng.random(n_outside) < 0.7)])
    order = rng.permutation(len(users))
    words = np.array(["".join(rng.choice(list("abcdefghiklmnoprstuw"), rng.integers(3, 10))) for _ in range(WORDS)])
    reviews = texts(rng, words, 2000, WORDS_OF_REVIEW)
    with gzip.open(folder / "reviews", "wt", compresslevel=1) as file:
        file.writelines(review_lines(rng, users[order], items[order], reviews))
    products = rng.permutation(PRODUCTS * n_items)
    with gzip.open(folder / "metadata", "wt", compresslevel=1) as file:
        file.writelines(product_lines(rng, products, words))
    with (folder / "image-features").open("wb") as file:
        for product in products[rng.random(len(products)) >= NO_IMAGE].tolist():
            file.write(asin(product).encode() + rng.standard_normal(width, dtype=np.float32).astype("<f4").tobytes())


def asin(item: int) -> str:
    return f"B{item:09d}"


def texts(rng: Generator, words: np.ndarray, n: int, length: int) -> list[str]:
    """Draw `n` texts of `length` words, whose frequencies are like those in language."""
    ranks = np.minimum(rng.zipf(1.3, size=(n, length)), len(words)) - 1
    return [" ".join(row) for row in words[ranks]]


def review_lines(rng: Generator, users: np.ndarray, items: np.ndarray, reviews: list[str]) -> Iterator[str]:
    times = rng.integers(900_000_000, 1_400_000_000, size=len(users))
    for user, item, when in zip(users.tolist(), items.tolist(), times.tolist(), strict=True):
        entry = {"reviewerID": f"A{user:013d}", "asin": asin(item), "reviewerName": "N. N.", "helpful": [0, 0]}
        entry |= {"reviewText": reviews[when % len(reviews)], "overall": 1.0 + when % 5, "summary": "as it says"}
        yield json.dumps(entry | {"unixReviewTime": when, "reviewTime": "01 1, 2014"}) + "\n"


def product_lines(rng: Generator, products: np.ndarray, words: np.ndarray) -> Iterator[str]:
    descriptions = texts(rng, words, len(products), WORDS_OF_DESCRIPTION)
    related = rng.integers(len(products), size=(len(products), 40)).tolist()
    for product, description, others in zip(products.tolist(), descriptions, related, strict=True):
        title = " ".join(description.split()[:8])
        entry = {"asin": asin(product), "title": title, "price": 9.99, "brand": words[product % 500].item()}
        entry |= {"categories": [["Electronics", words[product % 90].item()]], "description": description}
        yield repr(entry | {"related": {"also_bought": [asin(other) for other in others]}}) + "\n"


if __name__ == "__main__":
    sys.exit(main())
