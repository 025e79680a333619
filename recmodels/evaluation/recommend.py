"""Every user's best items from final embeddings, in the original ids of the data, as tables."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from recmodels.data.dataset import Interactions, Ints, Splits
from recmodels.data.ids import IdMaps
from recmodels.evaluation.counting import block_size, entries_of
from recmodels.files import replacing

LEFT_OUT = ("train", "all", "none")
"""What can be left out of a user's recommendations: the items of training, of all splits, or nothing."""


def known_items(splits: Splits, which: str) -> Interactions | None:
    """Return the items of each user that are not recommended; `which`: one of LEFT_OUT."""
    if which == "none":
        return None
    chosen = splits if which == "all" else splits[:1]
    users, items = (np.concatenate([getattr(split, kind) for split in chosen]) for kind in ("users", "items"))
    return Interactions.from_pairs(users, items, len(splits[0].indptr) - 1)


@torch.no_grad()
def best_items(
    embedded: tuple[Tensor, Tensor], chosen: Ints, top: int, known: Interactions | None, ids: IdMaps
) -> Iterator[pd.DataFrame]:
    """Yield the `top` items of the `chosen` users (n,), or fewer if a user knows the rest, in blocks that bound the
    memory.

    `embedded`: final users (U, D) and items (I, D); their inner products are the scores, summed in double precision, so
    that their digits do not depend on how many users are chosen. The columns of a block: user and item in the original
    ids, rank from 1, score. Users are in their order, each with the best item first; of equal scores the item whose id
    is first in the order of texts.
    """
    users, items = (each.double() for each in embedded)
    # Items in the order of their ids, so that what is first among equal scores does not depend on their numbers.
    by_id = np.argsort(np.array(ids.items, dtype=object), kind="stable")
    items = items.index_select(0, torch.from_numpy(by_id).to(items.device))
    place_of = np.argsort(by_id)
    if known is not None:
        known = Interactions.from_pairs(known.users, place_of[known.items], len(users))
    size = block_size(len(items), users.device)
    for block in (chosen[start : start + size] for start in range(0, len(chosen), size)):
        scores, best = (each.cpu().numpy() for each in top_items(users, items, block, top, known))
        row, place = np.nonzero(scores > -np.inf)
        yield pd.DataFrame(
            {
                "user": [ids.users[user] for user in block[row]],
                "rank": place + 1,
                "item": [ids.items[item] for item in by_id[best[row, place]]],
                "score": scores[row, place],
            }
        )


def top_items(
    users: Tensor, items: Tensor, block: Ints, k: int, seen: Interactions | None = None
) -> tuple[Tensor, Tensor]:
    """Return scores and numbers of the best items of the users in `block` (b,), best first, (b, min(k, items)) each.

    Of items with equal scores the one with the smaller number is first. Items that are `seen` have a score of minus
    infinity, and so come last.
    """
    scores = (users.index_select(0, torch.from_numpy(block).to(users.device)) @ items.t()).float()
    if seen is not None:
        rows, columns = (torch.from_numpy(entry).to(scores.device) for entry in entries_of(seen, block))
        scores[rows, columns] = -torch.inf
    best = scores.topk(min(k, len(items)), dim=1).indices.sort(dim=1).values
    # Of several items with the last score of a list, topk takes any.
    lowest = scores.gather(1, best).amin(dim=1, keepdim=True)
    unclear = ((scores >= lowest).sum(1) > best.shape[1]).nonzero().squeeze(1)
    in_order = scores[unclear].sort(dim=1, descending=True, stable=True).indices
    best[unclear] = in_order[:, : best.shape[1]]
    found, order = scores.gather(1, best).sort(dim=1, descending=True, stable=True)
    return found, best.gather(1, order)


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
