"""Load a data set by its name."""

import logging
from dataclasses import replace
from os.path import isdir  # False, where Path.is_dir raises, for a name too long
from pathlib import Path

from recmodels.data.cache import default_cache_dir
from recmodels.data.corruptions import MARK, clean_name, corrupted, parse_variant
from recmodels.data.dataset import RecDataset
from recmodels.data.formats import FORMATS
from recmodels.data.published import AMAZON_SETS, FOLDER_NAMES, difference
from recmodels.data.synthetic import GENERATED, PAPER_SETS, PREFIX, synthetic
from recmodels.errors import DataError, did_you_mean

DEFAULT_DATA_DIR = Path("data")
"""Folder of the data set folders unless another one is named."""

log = logging.getLogger("mirrortune.data")


class NotPrepared(DataError):
    """Tells that a public data set has no folder yet; `recmodels.prepare.prepare_amazon` makes it."""


def load_dataset(name: str, data_dir: Path | None = None, cache_dir: Path | None = None) -> RecDataset:
    """Load `demo`, `synthetic:<name>` (generated, with the sizes of that published set), or the folder of this name.

    A name may end in corruptions, such as `demo@noise=0.1` (see `recmodels.data.corruptions`). `data_dir` holds the
    folders (default: `data` in the working directory), `cache_dir` keeps parsed interactions and graphs (default: the
    user's cache folder). A warning says if the published data set of this name has other sizes. Raises DataError, one
    line, for an unknown name and for any fault in the folder; NotPrepared for a public data set without a folder.

    >>> print(load_dataset("demo"))
    demo: 1,000 users x 700 items, 14,624 / 1,538 / 1,838 interactions, image 64, text 32
    """
    cache_dir = cache_dir or default_cache_dir()
    return replace(_load(name, data_dir, cache_dir), cache_dir=cache_dir)


def is_prepared(name: str, data_dir: Path | None = None) -> bool:
    """Return whether `load_dataset` finds a data set of this name; False for a public one that has no folder yet.

    Reads no data. Raises DataError, one line, for a name that nothing has.
    """
    if MARK in name and not (data_dir and isdir(data_dir / name)):
        parse_variant(name)
        name = clean_name(name)
    try:
        return name in GENERATED or isdir(_find_folder(name, data_dir))
    except NotPrepared:
        return False


def _load(name: str, data_dir: Path | None, cache_dir: Path) -> RecDataset:
    if MARK in name and not (data_dir and isdir(data_dir / name)):
        variant = parse_variant(name)
        return corrupted(_load(clean_name(name), data_dir, cache_dir), variant)
    if name in GENERATED:
        return synthetic(name, *GENERATED[name])
    folder = _find_folder(name, data_dir)
    chosen = next((each for each in FORMATS if each.recognises(folder)), FORMATS[-1])
    data = chosen.load(folder, cache_dir)
    if differs := difference(folder.name, data.n_users, data.n_items, [len(part) for part in data.splits]):
        log.warning("%s: %s", folder, differs)
    return data


def _find_folder(name: str, data_dir: Path | None) -> Path:
    place = data_dir or DEFAULT_DATA_DIR
    if name and isdir(place) and isdir(place / name):
        return place / name
    if name in AMAZON_SETS:
        call = f"recmodels.prepare.prepare_amazon({name!r}, ...)"
        advice = f"make it with {call}, or take generated data of its size: {PREFIX}{name}"
        raise NotPrepared(f"{place}: no data set {name!r}; {advice}")
    advice = did_you_mean(name, {*known_datasets(data_dir), *AMAZON_SETS}, _instead(data_dir))
    if data_dir is None:
        raise DataError(f"data set {name!r} is not built in (for a folder of your own pass `data_dir`){advice}")
    if not isdir(data_dir):
        raise DataError(f"`data_dir` {data_dir}: no such folder, expected the one that holds {name!r}")
    raise DataError(f"{data_dir}: no data set {name!r}{advice}")


def _instead(data_dir: Path | None) -> dict[str, str]:
    """Return the names of public data sets that nothing here prepares -> the name to take instead."""
    made = {name: PREFIX + name for name in PAPER_SETS if name not in AMAZON_SETS} | FOLDER_NAMES
    return {name: made[name] for name in made.keys() - known_datasets(data_dir)}


def known_datasets(data_dir: Path | None = None) -> list[str]:
    """Return the built-in names, then those of the folders in `data_dir` (default: data) that a format recognises."""
    folders = (path for path in (data_dir or DEFAULT_DATA_DIR).glob("[!.]*") if path.is_dir())  # hidden: unfinished
    found = sorted(path.name for path in folders if any(each.recognises(path) for each in FORMATS))
    return [*GENERATED, *found]
