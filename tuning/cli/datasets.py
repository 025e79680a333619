"""Data sets on the command line: load, check and download them."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from recmodels.data import DEFAULT_DATA_DIR, NotPrepared, RecDataset, load_dataset
from recmodels.data.corruptions import clean_name
from recmodels.data.published import AMAZON_SETS
from recmodels.errors import UserError
from tuning.cli.arguments import Given

log = logging.getLogger("mirrortune.data")


def load_data(name: str, given: Mapping[str, Any]) -> RecDataset:
    """Load a data set. UserError for an unknown name and for any fault in its folder.

    `given`: may have `data_dir` and `cache_dir`. Messages name the command that prepares a missing public set, or a
    set with features.
    """
    data_dir = directory(given, "data_dir")
    try:
        data = load_dataset(name, data_dir, directory(given, "cache_dir"))
    except NotPrepared:
        name, place = clean_name(name), f" --data-dir {data_dir}" if data_dir else ""
        raise UserError(
            f"{data_dir or DEFAULT_DATA_DIR}: no data set {name!r}; make it with: python run_search.py prepare {name}"
            f"{place} (or --download), or take made data of its size: --dataset synthetic:{name}"
        ) from None
    if data.id_source and not data.features:
        folder = data.id_source.folder
        table = min(folder.glob("*.inter"), key=lambda path: (".train." not in path.name, path))
        texts, *_ = *sorted(folder.glob("*.item")), "ITEMS.csv"
        command = f"run_search.py prepare --from {table} --name NEW --features text={texts}:COLUMN"
        log.info("%s: no item features; a set that has them: %s", folder, command)
    return data


def download(given: Given) -> None:
    """Prepare the data set of a search with --download if it has no folder yet and is a public one."""
    name = clean_name(given["dataset"])
    if "download" in given and name in AMAZON_SETS:
        from tuning.cli.prepare import data_dir, prepare_public  # loads the encoders of texts

        if not (data_dir(given) / name).exists():
            prepare_public({"set": name} | {key: given[key] for key in ("data_dir", "cache_dir") if key in given})


def directory(given: Mapping[str, Any], name: str) -> Path | None:
    """Return the folder that an option names; None if it is not given."""
    return Path(given[name]) if given.get(name) else None
