"""Data sets by name."""

import difflib
import logging
from collections.abc import Iterable
from dataclasses import replace
from os.path import isdir  # False, where Path.is_dir raises, for a name too long
from pathlib import Path

from recmodels.data.cache import default_cache_dir
from recmodels.data.corruptions import MARK, clean_name, corrupted, parse_variant
from recmodels.data.dataset import Interactions, RecDataset
from recmodels.data.formats.amr import PAIRS, load_amr_folder
from recmodels.data.formats.mmrec import load_benchmark
from recmodels.data.formats.recbole import is_recbole, load_recbole
from recmodels.data.published import AMAZON_SETS, difference
from recmodels.data.sampling import BatchSampler
from recmodels.data.synthetic import PAPER_SETS, demo, paper_sized
from recmodels.errors import DataError

__all__ = ["BatchSampler", "Interactions", "RecDataset", "is_made", "known_datasets", "load_dataset"]

SYNTHETIC = "synthetic:"
DEFAULT_DATA_DIR = Path("data")
"""Where folders are put and looked for unless another place is named."""

log = logging.getLogger("mirrortune.data")


def load_dataset(name: str, data_dir: Path | None = None, cache_dir: Path | None = None) -> RecDataset:
    """`demo`, `synthetic:<name>` (made, with the sizes of that set), else the folder `<data_dir>/<name>` (`data_dir`
    None: data, in the working directory). Where a published set of the name has other sizes, a warning says so.

    Any of them may go on with corruptions, such as `demo@noise=0.1` (see `recmodels.data.corruptions`).
    `cache_dir` keeps parsed interactions and graphs (default: the user's cache folder). Raises DataError for an unknown
    name, with the nearest known one, and for whatever is wrong in the folder.
    """
    cache_dir = cache_dir or default_cache_dir()
    return replace(_load(name, data_dir, cache_dir), cache_dir=cache_dir)


def _load(name: str, data_dir: Path | None, cache_dir: Path) -> RecDataset:
    if MARK in name and not (data_dir and isdir(data_dir / name)):
        variant = parse_variant(name)
        return corrupted(_load(clean_name(name), data_dir, cache_dir), variant)
    if name == "demo":
        return demo()
    if name.startswith(SYNTHETIC) and name.removeprefix(SYNTHETIC) in PAPER_SETS:
        return paper_sized(name.removeprefix(SYNTHETIC))
    if data_dir is None and name and isdir(DEFAULT_DATA_DIR / name):
        data_dir = DEFAULT_DATA_DIR
    if name in AMAZON_SETS and not (data_dir and isdir(data_dir / name)):
        there = f" --data-dir {data_dir}" if data_dir else ""
        raise DataError(
            f"{data_dir or DEFAULT_DATA_DIR}: no data set {name!r}; make it with: python run_search.py prepare {name}"
            f"{there} (or --download), or take made data of its size: --dataset {SYNTHETIC}{name}"
        )
    if data_dir is None:
        nearest = _nearest(name, known_datasets())
        raise DataError(f"data set {name!r} is not built in (for a folder of your own pass --data-dir){nearest}")
    if not isdir(data_dir):
        raise DataError(f"--data-dir {data_dir}: no such folder, expected the one that holds {name!r}")
    if not name or not isdir(data_dir / name):
        known = known_datasets(data_dir)
        raise DataError(f"{data_dir}: no data set {name!r} (known: {', '.join(known)}){_nearest(name, known)}")
    data = _load_folder(data_dir / name, cache_dir)
    splits = [len(part) for part in (data.train, data.valid, data.test)]
    if differs := difference(name, data.n_users, data.n_items, splits):
        log.warning("%s: %s", data_dir / name, differs)
    return data


def _load_folder(folder: Path, cache_dir: Path) -> RecDataset:
    if is_recbole(folder):
        return load_recbole(folder)
    return load_amr_folder(folder) if (folder / PAIRS).is_file() else load_benchmark(folder, cache_dir)


def is_made(name: str) -> bool:
    """Whether a data set, corrupted or not, is generated: no folder holds it."""
    return clean_name(name) == "demo" or clean_name(name).startswith(SYNTHETIC)


def known_datasets(data_dir: Path | None = None) -> list[str]:
    """The built-in names, then the folders in `data_dir` (None: data) that hold an .inter file or AMR's pairs."""
    kinds = ("*/*.inter", f"*/{PAIRS}")
    folders = {path.parent.name for kind in kinds for path in (data_dir or DEFAULT_DATA_DIR).glob(kind)}
    whole = sorted(name for name in folders if name[:1] != ".")  # hidden: being prepared, or left by a kill
    return ["demo", *(SYNTHETIC + name for name in PAPER_SETS), *whole]


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1) or [full for full in known if full.endswith(f":{name}")]
    return f"; did you mean {near[0]!r}?" if near else ""
