"""Every user's best items from final embeddings, written to a table in the original ids of the data."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.data.dataset import Interactions, RecDataset
from recmodels.data.ids import IdMaps
from recmodels.evaluation.ranking import block_size, top_items
from recmodels.files import replacing


def known_items(data: RecDataset, which: str) -> Interactions | None:
    """Return the items of each user that are not recommended: those of training ("train"), of all splits ("all"), or
    None ("none")."""
    if which == "none":
        return None
    splits = (data.train, data.valid, data.test) if which == "all" else (data.train,)
    users, items = (np.concatenate([getattr(split, kind) for split in splits]) for kind in ("users", "items"))
    return Interactions.from_pairs(users, items, data.n_users)


@torch.no_grad()
def best_items(
    embedded: tuple[Tensor, Tensor], chosen: NDArray[np.int64], top: int, known: Interactions | None, ids: IdMaps
) -> Iterator[pd.DataFrame]:
    """Yield the `top` items of the `chosen` users (n,), or fewer if a user knows the rest, in blocks that bound the
    memory.

    `embedded`: final users (U, D) and items (I, D); their inner products are the scores. The columns of a block: user
    and item in the original ids, rank from 1, score. Users are in their order, each with the best item first.
    """
    users, items = embedded
    for block in torch.from_numpy(chosen).to(users.device).split(block_size(len(items), users.device)):
        scores, best = (each.cpu().numpy() for each in top_items(users, items, block, top, known))
        row, place = np.nonzero(scores > -np.inf)
        yield pd.DataFrame(
            {
                "user": [ids.users[user] for user in block.cpu().numpy()[row]],
                "rank": place + 1,
                "item": [ids.items[item] for item in best[row, place]],
                "score": scores[row, place],
            }
        )


def write_table(path: Path, frames: Iterator[pd.DataFrame]) -> int:
    """Write the frames, one below the other, as .csv or .parquet, whole or not at all; returns the number of rows.

    Raises OSError if the file cannot be written.
    """
    n_rows = 0
    with replacing(path) as temporary, SUFFIXES[path.suffix](temporary) as write:
        for frame in frames:
            write(frame)
            n_rows += len(frame)
    return n_rows


@contextmanager
def _csv(path: Path) -> Iterator[Callable[[pd.DataFrame], Any]]:
    with path.open("w", encoding="utf-8", newline="") as file:
        yield lambda frame: frame.to_csv(file, index=False, header=file.tell() == 0, lineterminator="\n")


@contextmanager
def _parquet(path: Path) -> Iterator[Callable[[pd.DataFrame], Any]]:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    schema = pa.schema([("user", pa.string()), ("rank", pa.int64()), ("item", pa.string()), ("score", pa.float32())])
    with ParquetWriter(path, schema) as writer:
        yield lambda frame: writer.write_table(pa.Table.from_pandas(frame, schema, preserve_index=False))


SUFFIXES = {".csv": _csv, ".parquet": _parquet}
"""The ends of a table's name, and how each kind of file is written."""
