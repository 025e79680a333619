"""Data sets by name."""

import difflib
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from recmodels.data.amr_folder import PAIRS, load_amr_folder
from recmodels.data.benchmark import load_benchmark
from recmodels.data.cache import default_cache_dir
from recmodels.data.dataset import Interactions, RecDataset
from recmodels.data.sampling import BatchSampler
from recmodels.data.synthetic import PAPER_SETS, demo, paper_sized
from recmodels.errors import DataError

__all__ = ["BatchSampler", "Interactions", "RecDataset", "known_datasets", "load_dataset"]

SYNTHETIC = "synthetic:"


def load_dataset(name: str, data_dir: Path | None = None, cache_dir: Path | None = None) -> RecDataset:
    """`demo`, `synthetic:<name>` (made, with the sizes of that set), else the folder `<data_dir>/<name>`.

    `cache_dir` keeps parsed interactions and graphs (default: the user's cache folder). Raises DataError for an unknown
    name, with the nearest known one, and for whatever is wrong in the folder.
    """
    cache_dir = cache_dir or default_cache_dir()
    return replace(_load(name, data_dir, cache_dir), cache_dir=cache_dir)


def _load(name: str, data_dir: Path | None, cache_dir: Path) -> RecDataset:
    if name == "demo":
        return demo()
    if name.startswith(SYNTHETIC) and name.removeprefix(SYNTHETIC) in PAPER_SETS:
        return paper_sized(name.removeprefix(SYNTHETIC))
    if data_dir is None:
        nearest = _nearest(name, known_datasets())
        raise DataError(f"data set {name!r} is not built in (for a folder of your own pass --data-dir){nearest}")
    if not data_dir.is_dir():
        raise DataError(f"--data-dir {data_dir}: no such folder, expected the one that holds {name!r}")
    if not name or not (data_dir / name).is_dir():
        known = known_datasets(data_dir)
        raise DataError(f"{data_dir}: no data set {name!r} (known: {', '.join(known)}){_nearest(name, known)}")
    folder = data_dir / name
    return load_amr_folder(folder) if (folder / PAIRS).is_file() else load_benchmark(folder, cache_dir)


def known_datasets(data_dir: Path | None = None) -> list[str]:
    """The built-in names, then the folders in `data_dir` that hold an .inter file or AMR's pairs."""
    kinds = ("*/*.inter", f"*/{PAIRS}")
    folders = {path.parent.name for kind in kinds for path in data_dir.glob(kind)} if data_dir else set()
    return ["demo", *(SYNTHETIC + name for name in PAPER_SETS), *sorted(folders)]


def _nearest(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, known, n=1) or [full for full in known if full.endswith(f":{name}")]
    return f"; did you mean {near[0]!r}?" if near else ""
