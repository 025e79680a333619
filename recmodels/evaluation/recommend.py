"""Every user's best items from final embeddings, written to a table in the data's own ids."""

import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.data.dataset import Interactions, RecDataset
from recmodels.data.ids import IdMaps
from recmodels.errors import UserError
from recmodels.evaluation.ranking import block_size, top_items

SUFFIXES = (".csv", ".parquet")

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class Block:
    """Some users' items, best first: user, rank from 1, item and score, (n,) each."""

    users: Ints
    ranks: Ints
    items: Ints
    scores: NDArray[np.float32]

    def frame(self, ids: IdMaps) -> pd.DataFrame:
        """The same in the data's own ids."""
        return pd.DataFrame(
            {
                "user": [ids.users[user] for user in self.users],
                "rank": self.ranks,
                "item": [ids.items[item] for item in self.items],
                "score": self.scores,
            }
        )


def known_items(data: RecDataset, which: str) -> Interactions | None:
    """What is not recommended: a user's items in training (train), in all splits (all), nothing (none)."""
    if which == "none":
        return None
    splits = (data.train, data.valid, data.test) if which == "all" else (data.train,)
    users, items = (np.concatenate([getattr(split, kind) for split in splits]) for kind in ("users", "items"))
    return Interactions.from_pairs(users, items, data.n_users)


@torch.no_grad()
def ranked(final: tuple[Tensor, Tensor], wanted: Ints, top: int, known: Interactions | None) -> Iterator[Block]:
    """The `top` items of the `wanted` users, or fewer where a user knows the rest, in blocks that bound the memory.

    `final`: users (U, D) and items (I, D), whose inner product ranks.
    """
    users, items = final
    for block in torch.from_numpy(wanted).to(users.device).split(block_size(len(items), users.device)):
        scores, best = (each.cpu().numpy() for each in top_items(users, items, block, top, known))
        row, place = np.nonzero(scores > -np.inf)
        yield Block(block.cpu().numpy()[row], place + 1, best[row, place], scores[row, place])


def write_table(path: Path, frames: Iterator[pd.DataFrame]) -> int:
    """Write the frames, one below the other, as .csv or .parquet, whole or not at all; returns the number of rows."""
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}")
    n_rows = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with (_parquet if path.suffix == ".parquet" else _csv)(temporary) as write:
                for frame in frames:
                    write(frame)
                    n_rows += len(frame)
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(f"--output {path}: cannot be written ({error.strerror or error})") from None
    return n_rows


@contextmanager
def _csv(path: Path) -> Iterator[Callable[[pd.DataFrame], Any]]:
    with path.open("w", encoding="utf-8", newline="") as file:
        yield lambda frame: frame.to_csv(file, index=False, header=file.tell() == 0, lineterminator="\n")


@contextmanager
def _parquet(path: Path) -> Iterator[Callable[[pd.DataFrame], Any]]:
    import pyarrow as pa
    from pyarrow.parquet import ParquetWriter

    fields = {"user": pa.string(), "rank": pa.int64(), "item": pa.string(), "score": pa.float32()}
    schema = pa.schema(list(fields.items()))
    with ParquetWriter(path, schema) as writer:
        yield lambda frame: writer.write_table(pa.Table.from_pandas(frame, schema, preserve_index=False))
