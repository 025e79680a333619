"""Made raw files in Amazon's formats, with known answers."""

import gzip
import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

N_USERS, N_ITEMS = 12, 10
WIDTH = 4096


@contextmanager
def full_disk(n_bytes: int) -> Iterator[None]:
    """No file can grow beyond `n_bytes`: the writes of the operating system fail as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def asin(item: int) -> str:
    return f"B{item:09d}"


def reviewer(user: int) -> str:
    return f"A{user:013d}"


@dataclass(frozen=True)
class RawFiles:
    """`images` (N_ITEMS, WIDTH): what the file has of each item; NaN: it has none."""

    reviews: Path
    metadata: Path
    image_features: Path
    images: np.ndarray

    @property
    def options(self) -> list[str]:
        named = {"reviews": self.reviews, "metadata": self.metadata, "image-features": self.image_features}
        return [f"--{kind}={path}" for kind, path in named.items()]


def review(user: int, item: int, time: int, **other: object) -> dict[str, object]:
    entry = {"reviewerID": reviewer(user), "asin": asin(item), "overall": 5.0, "unixReviewTime": time}
    return {**entry, "reviewText": 'fine, it "works"\n', "helpful": [0, 1], **other}


def made_reviews() -> list[dict[str, object]]:
    """User u has all items but item u, so all of the rows are a 5-core: 12 users, 10 items, 110 rows. Besides: a row
    without a time, a row that repeats another, one that repeats a pair, a user and an item with a single row."""
    dense = [
        review(user, item, 1_000_000 + 100 * user + item)
        for user in range(N_USERS)
        for item in reversed(range(N_ITEMS))
        if item != user
    ]
    odd = [
        review(0, 1, 5, unixReviewTime=None),
        dense[3],
        review(1, 2, 9_999_999),
        review(77, 3, 1_000_000),
        review(4, 88, 1_000_000),
    ]
    return [*dense[:50], *odd, *dense[50:]]


def made_metadata() -> list[str]:
    """Of all items but the last; item 0 with all parts, item 1 with none; item 2 without a brand."""
    entries: list[dict[str, object]] = [{"asin": asin(item), "title": f"thing {item}"} for item in range(N_ITEMS - 1)]
    path = ["Baby", "Nursery's best"]
    entries[0] |= {"brand": "Acme", "categories": [path, ["Other"]], "description": "Soft.\nWarm."}
    entries[1] = {"asin": asin(1)}
    entries[2] |= {"categories": [["Toys"]], "description": "Red", "related": {"also_bought": [asin(0)]}}
    return [repr(entry) for entry in [{"asin": "B999999999", "title": "unwanted"}, *entries]]


def made_images(seed: int = 0) -> np.ndarray:
    images = np.random.default_rng(seed).normal(size=(N_ITEMS, WIDTH)).astype(np.float32)
    images[[3, 7]] = np.nan
    return images


def record(name: str, values: np.ndarray) -> bytes:
    return name.encode() + values.astype("<f4").tobytes()


def write_raw(folder: Path, category: str = "Baby") -> RawFiles:
    folder.mkdir(parents=True, exist_ok=True)
    reviews, metadata = folder / f"reviews_{category}_5.json.gz", folder / f"meta_{category}.json.gz"
    reviews.write_bytes(gzip.compress("".join(json.dumps(row) + "\n" for row in made_reviews()).encode()))
    metadata.write_bytes(gzip.compress("".join(line + "\n" for line in made_metadata()).encode()))
    image_features, images = folder / f"image_features_{category}.b", made_images()
    records = [record(asin(item), images[item]) for item in range(N_ITEMS) if not np.isnan(images[item, 0])]
    unwanted = record("B999999999", np.ones(WIDTH))
    image_features.write_bytes(b"".join([unwanted, *reversed(records), unwanted]))
    return RawFiles(reviews, metadata, image_features, images)
