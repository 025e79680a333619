"""Make a data set folder from Amazon's raw files, local or downloaded."""

import logging
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from recmodels.data.cache import default_cache_dir
from recmodels.data.dataset import Floats
from recmodels.data.published import PUBLISHED, difference
from recmodels.data.splits import split
from recmodels.errors import DataError
from recmodels.prepare.amazon_files import read_ratings, read_reviews
from recmodels.prepare.amazon_generations import agree
from recmodels.prepare.amazon_texts import Texts, read_texts
from recmodels.prepare.download import download
from recmodels.prepare.folder import Note, check_free, describe, file_note, write_folder
from recmodels.prepare.image_features import WIDTH, read_image_features
from recmodels.prepare.interactions import collect
from recmodels.prepare.text import encode

BASE_URL = "https://snap.stanford.edu/data/amazon/productGraph"
ADDRESSES = {  # kind of file -> address below the base address
    "reviews": "categoryFiles/reviews_{}_5.json.gz",
    "ratings": "categoryFiles/ratings_{}.csv",
    "metadata": "categoryFiles/meta_{}.json.gz",
    "image-features": "image_features/categoryFiles/image_features_{}.b",
}

log = logging.getLogger("mirrortune.prepare")


@dataclass(frozen=True)
class Sources:
    """The places of the raw files, by kind (a key of ADDRESSES).

    `files`: paths of local files. Other files are downloaded from `base_url` to the folder `cache` (default: in the
    user's cache folder). `checksums`: kind -> sha256 in hex."""

    files: Mapping[str, Path] = field(default_factory=dict)
    base_url: str = BASE_URL
    checksums: Mapping[str, str] = field(default_factory=dict)
    cache: Path | None = None

    def get(self, kind: str, category: str) -> tuple[Path, Note]:
        """Return the path of a file, downloaded unless it is local, and its note for the manifest. Raises DataError."""
        if local := self.files.get(kind):
            path, origin = local, local.name
        else:
            origin = f"{self.base_url.rstrip('/')}/{ADDRESSES[kind].format(category)}"
            folder = self.cache or default_cache_dir() / "downloads"
            path = download(origin, folder, self.checksums.get(kind))
        note = file_note(path)
        expected = self.checksums.get(kind, note["sha256"]).lower().removeprefix("sha256:")
        if note["sha256"] != expected:
            raise DataError(f"{path}: its sha256 is {note['sha256']}, expected {expected} (`checksums` {kind}=...)")
        return path, {"kind": kind, "file": origin, **note}


def prepare_amazon(
    name: str,
    *,
    data_dir: Path,
    sources: Sources,
    k_core: int = 5,
    rule: str = "benchmark",
    seed: int = 999,
    encoder: str = "auto",
    images: bool = True,
    text: bool = True,
    width: int = WIDTH,
    overwrite: bool = False,
) -> Path:
    """Make the folder `data_dir`/`name` for one of `recmodels.data.published.AMAZON_SETS` and return its path.

    `sources` of text may be of any generation in `recmodels.prepare.amazon_generations`; the manifest names them.
    `rule` and `seed`: see `recmodels.data.splits.split`. `encoder`: see `recmodels.prepare.text.encode`. `width`:
    float32 values of an image record. All raw files are downloaded before the long work begins. Raises UserError or
    DataError, one line; `data_dir` is then left as it was, and downloads are kept for the next try.
    """
    folder = data_dir / name
    check_free(folder, overwrite)
    first, read = ("ratings", read_ratings) if "ratings" in sources.files else ("reviews", read_reviews)
    needed = {first: True, "metadata": text, "image-features": images}
    category = PUBLISHED[name].category or name
    files = {kind: sources.get(kind, category) for kind in needed if needed[kind]}
    path, _ = files[first]
    log.info("reading %s", path)
    raw = read(path)
    log.info("%s: %s of %s", path, first, raw.years)
    years = {first: raw.years}
    table, counts = collect(raw, k_core, path)
    labels = split(table.users, table.extra["timestamp"], rule, seed, path)
    sizes = table.sizes(labels)
    n_users, n_items, _, *n_splits = sizes.values()
    log.info("%s", ", ".join(f"{count} {n:,}" for count, n in (counts | sizes).items()))
    if differs := difference(name, n_users, n_items, n_splits):
        log.warning("%s", differs)
    rows = {asin: row for row, asin in enumerate(table.item_ids)}
    matrices, notes = {}, {}
    if text:
        texts = _texts(files["metadata"][0], rows, f"{first} of {raw.years}", raw.years)
        years["metadata"] = texts.years
        matrices["text"], notes["text"] = _encoded(texts, files["metadata"][0], encoder, seed)
    with _scratch(folder) as scratch:
        if images:
            matrices["image"], notes["image"] = _images(files["image-features"][0], rows, scratch / "image", width)
        manifest = describe(
            name,
            ("numpy", "pandas", "scikit-learn"),
            sources=[note for _, note in files.values()],
            generations=years,
            options={"k_core": k_core, "split": rule, "seed": seed},
            counts=counts | sizes,
            features=notes,
        )
        write_folder(folder, table, labels, matrices, manifest, overwrite)
    return folder


@contextmanager
def _scratch(folder: Path) -> Iterator[Path]:
    """Make a temporary folder beside `folder`. Raises DataError if it, or a file in it, cannot be written."""
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", suffix=".tmp", dir=folder.parent) as name:
            yield Path(name)
    except OSError as error:
        raise DataError(f"{folder.parent}: cannot be written ({error.strerror or error})") from None


def _texts(path: Path, rows: Mapping[str, int], reviews: str, years: str) -> Texts:
    """Read the texts of the items. `reviews`: what the file of interactions is, of the generation `years`."""
    log.info("reading %s", path)
    texts = read_texts(path, rows)
    mixed = "" if agree(years, texts.years) else f", which is metadata of {texts.years} beside {reviews}"
    n_found = len(rows) - texts.n_missing
    if not n_found:
        expected = "expected the metadata of the same category and year"
        raise DataError(f"{path}: none of the {len(rows)} items is in it{mixed}, {expected}")
    if mixed:
        log.warning("%s: %d of the %d items are in it%s", path, n_found, len(rows), mixed)
    return texts


def _encoded(texts: Texts, path: Path, encoder: str, seed: int) -> tuple[Floats, Note]:
    n, missing = f"{len(texts.texts):,}", f"{texts.n_missing:,}"
    log.info("encoding the texts of %s items of %s, %s of them without metadata", n, texts.years, missing)
    matrix, encoded_by = encode(texts.texts, encoder, seed, path)
    note = {"encoder": encoded_by, "items_without": texts.n_missing, "columns": matrix.shape[1]}
    for key, n_lines, why in (
        ("lines_repeated", texts.n_repeated, "are of an item that has a line above"),
        ("lines_without_id", texts.n_nameless, "have no item id"),
    ):
        if n_lines:
            log.info("%s: left out %d lines, which %s", path, n_lines, why)
            note[key] = n_lines
    return matrix, note


def _images(path: Path, rows: Mapping[str, int], scratch: Path, width: int) -> tuple[Floats, Note]:
    """Write image features to the file `scratch`; return it as a read-only memory map (items, width), and a note."""
    log.info("reading %s", path)
    missing = read_image_features(path, rows, scratch, width)
    log.info("%s items of %s have no image, they get the mean", f"{missing:,}", f"{len(rows):,}")
    matrix = np.memmap(scratch, dtype="<f4", mode="r", shape=(len(rows), width))
    return matrix, {"items_without": missing, "columns": width}
