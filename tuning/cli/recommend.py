"""`run_search.py recommend EXPORT.yaml`: write the best items of each user, in the data's original ids."""

import logging
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from rich.console import Console

from recmodels.data import RecDataset
from recmodels.data.formats.item_rows import read_id_list
from recmodels.errors import UserError
from recmodels.evaluation.recommend import LEFT_OUT, SUFFIXES, write_table
from recmodels.evaluation.trained_ranking import TrainedRanking
from recmodels.models import Recommender
from tuning.cli.arguments import Given, Parser
from tuning.cli.datasets import load_data
from tuning.cli.replay import with_progress
from tuning.execution.trial import fallback
from tuning.export import Export, read_trainable
from tuning.export.replay import load_model, model_of
from tuning.export.weights import disagreement
from tuning.reports.tables import say

DESCRIPTION = "Train an exported configuration again, as --replay does, and write every user's best items."
LEAVE_OUT = "items of theirs that users do not get: train (default), all (validation and test too), none"

log = logging.getLogger("mirrortune")


def main(argv: Sequence[str], console: Console) -> None:
    """Write the table. UserError for bad input."""
    given = parser().parse(argv)
    check(given)
    export = read_trainable(given["export"])
    data = load_data(export.dataset, given)
    users = selected_users(given.get("users"), data)
    if data.fingerprint != export.data_fingerprint:
        log.warning("warning: %s is not the data of the export", export.dataset)
    if line := fallback(export.device):
        log.warning(line)
    model = trained(export, data, given.get("weights"), console)
    frames = TrainedRanking.of(model, data).best(users, given["top"], given["leave_out"])
    path = Path(given.get("output") or f"{Path(given['export']).stem}-top{given['top']}.csv")
    try:
        n_rows = write_table(path, frames)
    except OSError as error:
        raise UserError(f"--output {path}: cannot be written ({error.strerror or error})") from None
    say(console, f"{n_rows:,} rows for {len(users):,} users: {path}")


def parser() -> Parser:
    """Return the parser of the command's arguments."""
    parser = Parser("recommend", DESCRIPTION)
    parser.add_argument("export", metavar="EXPORT.yaml", type=Path, help="an exported configuration")
    parser.add_argument("--top", metavar="N", type=int, default=20, help="items for each user (20)")
    parser.add_argument("--users", metavar="FILE", type=Path, help="ids, one a line (default: all users)")
    parser.add_argument("--output", metavar="FILE", help=".csv or .parquet (default: EXPORT-topN.csv)")
    parser.add_argument("--leave-out", metavar="ITEMS", choices=LEFT_OUT, default=LEFT_OUT[0], help=LEAVE_OUT)
    parser.add_argument("--weights", metavar="FILE", type=Path, help="best-....safetensors of the trial: no training")
    parser.add_directories()
    return parser


def check(given: Given) -> None:
    """Raise UserError for bad arguments before anything is trained."""
    if given["top"] < 1:
        raise UserError(f"--top: expected at least 1, but got {given['top']}")
    output = Path(given.get("output", "x.csv"))
    if output.suffix not in SUFFIXES or output.is_dir():
        raise UserError(f"--output {output}: expected the name of a file that ends in {' or '.join(SUFFIXES)}")
    nearest = next(parent for parent in output.resolve().parents if parent.exists())
    if not nearest.is_dir() or not os.access(nearest, os.W_OK):
        raise UserError(f"--output {output}: {nearest} is not a folder to write to")


def selected_users(path: Path | None, data: RecDataset) -> NDArray[np.int64]:
    """Return the numbers (n,) of the users whose ids are in the file, in its order; of all users without a file.

    Raises UserError for a file that cannot be read and for an unknown id.
    """
    known = data.ids.users
    numbers = {name: number for number, name in enumerate(known)}
    listed = read_id_list(path) if path else list(numbers)
    for line, name in enumerate(listed, start=1):
        if name not in numbers:
            raise UserError(f"{path}:{line}: no user {name!r} in {data.name}, expected ids such as {known[0]!r}")
    users = np.array([numbers[name] for name in dict.fromkeys(listed)], dtype=np.int64)
    if untrained := int((data.train.counts[users] == 0).sum()):
        log.warning("%d users have no training interaction: their recommendations were not learnt for them", untrained)
    return users


def trained(export: Export, data: RecDataset, weights: Path | None, console: Console) -> Recommender:
    """Return the exported model at its best epoch: trained again, or with the weights in a file."""
    if weights:
        model = load_model(export, data, weights)
    else:
        model = model_of(export, data, with_progress(export, data, console).weights)
    if differs := disagreement(export, model, data):
        log.warning("warning: %s", differs)
    return model
