"""`run_search.py recommend EXPORT.yaml`: the best items of each user, in the data's own ids."""

import logging
import os
from argparse import SUPPRESS
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rich.console import Console

from recmodels.errors import UserError
from tuning.cli.options import Parser

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from recmodels.data.dataset import RecDataset
    from recmodels.data.ids import IdMaps
    from recmodels.models import Recommender
    from tuning.export.model import Export

KNOWN = ("train", "all", "none")

log = logging.getLogger("mirrortune")


def main(argv: Sequence[str], console: Console) -> int:
    """0; UserError for bad input."""
    from recmodels.data import load_dataset
    from recmodels.evaluation.recommend import best_items, known_items, write_table
    from tuning.export.model import read_trainable

    given = parser().parse(argv)
    check(given)
    export = read_trainable(given["export"])
    folders = [Path(given[name]) if name in given else None for name in ("data_dir", "cache_dir")]
    data = load_dataset(export.dataset, *folders)
    ids = original_ids(data, export.dataset, folders[0])
    wanted = wanted_users(given.get("users"), data, ids)
    if data.fingerprint != export.data_fingerprint:
        log.warning("warning: %s is not the data of the export", export.dataset)
    model = trained(export, data, given.get("weights"), console)
    blocks = best_items(embedded(model), wanted, given["top"], known_items(data, given["leave_out"]))
    path = Path(given.get("output") or f"{Path(given['export']).stem}-top{given['top']}.csv")
    try:
        n_rows = write_table(path, (block.frame(ids) for block in blocks))
    except OSError as error:
        raise UserError(f"--output {path}: cannot be written ({error.strerror or error})") from None
    console.print(f"{n_rows:,} rows for {len(wanted):,} users: {path}", markup=False, highlight=False, soft_wrap=True)
    return 0


def parser() -> Parser:
    made = Parser(
        prog="run_search.py recommend",
        description="Train an exported configuration again, as --replay does, and write every user's best items.",
        argument_default=SUPPRESS,
        allow_abbrev=False,
    )
    made.add_argument("export", metavar="EXPORT.yaml", type=Path, help="an exported configuration")
    made.add_argument("--top", metavar="N", type=int, default=20, help="items for each user (20)")
    made.add_argument("--users", metavar="FILE", type=Path, help="ids, one a line (default: all users)")
    made.add_argument("--output", metavar="FILE", help=".csv or .parquet (default: EXPORT-topN.csv)")
    made.add_argument(
        "--leave-out",
        metavar="WHAT",
        choices=KNOWN,
        default="train",
        help="which items of their own users do not get: train (default), all (validation and test too), none",
    )
    made.add_argument("--weights", metavar="FILE", type=Path, help="best-....safetensors of the trial: no training")
    made.add_argument("--data-dir", metavar="DIR", help="folder that holds the data set folders")
    made.add_argument("--cache-dir", metavar="DIR", help="where parsed data are kept (default: the user's cache)")
    return made


def check(given: dict[str, Any]) -> None:
    """UserError before anything is trained."""
    from recmodels.evaluation.recommend import SUFFIXES

    if given["top"] < 1:
        raise UserError(f"--top: expected at least 1, but got {given['top']}")
    output = Path(given.get("output", "x.csv"))
    if output.suffix not in SUFFIXES or output.is_dir():
        raise UserError(f"--output {output}: expected the name of a file that ends in {' or '.join(SUFFIXES)}")
    nearest = next(parent for parent in output.resolve().parents if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UserError(f"--output {output}: {nearest} is not a folder to write to")


def original_ids(data: "RecDataset", name: str, data_dir: Path | None) -> "IdMaps":
    """Those of the folder that the data, corrupted or not, come from."""
    from recmodels.data import DEFAULT_DATA_DIR, is_made
    from recmodels.data.corruptions import clean_name
    from recmodels.data.ids import IdMaps

    folders = [(data_dir or DEFAULT_DATA_DIR) / each for each in (name, clean_name(name))]
    return IdMaps.of(data, None if is_made(name) else next((folder for folder in folders if folder.is_dir()), None))


def wanted_users(path: Path | None, data: "RecDataset", ids: "IdMaps") -> "NDArray[np.int64]":
    """Our numbers of the users listed in the file, in its order; all users without a file."""
    import numpy as np

    from recmodels.data.formats.item_rows import read_id_list

    numbers = {name: number for number, name in enumerate(ids.users)}
    listed = read_id_list(path) if path else list(numbers)
    for line, name in enumerate(listed, start=1):
        if name not in numbers:
            raise UserError(f"{path}:{line}: no user {name!r} in {data.name}, expected ids such as {ids.users[0]!r}")
    wanted = np.array([numbers[name] for name in dict.fromkeys(listed)], dtype=np.int64)
    if untrained := int((data.train.counts[wanted] == 0).sum()):
        log.warning("%d users have no training interaction: what they get was not learnt for them", untrained)
    return wanted


def trained(export: "Export", data: "RecDataset", weights: Path | None, console: Console) -> "Recommender":
    """The exported model at its best epoch: trained again, or with the weights in a file."""
    from tuning.export.replay import load_model, model_of, train_again

    if weights:
        model = load_model(export, data, weights)
    else:
        model = model_of(export, data, train_again(export, data, console).weights)
    metric = export.training.metric
    reached, expected = validation(model, data, export)[metric], export.metrics.valid[metric]
    if reached != expected:
        log.warning("warning: %s on validation is %.6f, but %.6f in the export", metric, reached, expected)
    return model


def validation(model: "Recommender", data: "RecDataset", export: "Export") -> dict[str, float]:
    from recmodels.evaluation import evaluate

    return evaluate(model, data, "valid", export.training.ks)


def embedded(model: "Recommender") -> tuple["Tensor", "Tensor"]:
    import torch

    with torch.no_grad():
        return model.embed()
