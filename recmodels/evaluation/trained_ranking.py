"""A trained model as far as recommending needs it: final embeddings, known items and ids, in files of no code."""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from recmodels.data.dataset import Interactions, Ints, RecDataset, Splits
from recmodels.data.ids import IdMaps
from recmodels.errors import UserError
from recmodels.evaluation.recommend import best_items, known_items
from recmodels.models.base import Recommender

ARRAYS, IDS = "ranking.safetensors", "ids.json"
SPLITS = ("train", "valid", "test")


@dataclass(frozen=True, eq=False)
class TrainedRanking:
    """`embedded`: final users (U, D) and items (I, D). `splits`: training, validation and test, whose items users know.
    `ids`: of users and items, as texts."""

    embedded: tuple[Tensor, Tensor]
    splits: Splits
    ids: IdMaps

    @classmethod
    def of(cls, model: Recommender, data: RecDataset) -> "TrainedRanking":
        """Return the ranking of a model at its current weights. Raises DataError for ids that cannot be read."""
        with torch.no_grad():
            return cls(model.embed(), data.splits, data.ids)

    def best(self, users: Ints, top: int, leave_out: str) -> Iterator[pd.DataFrame]:
        """Yield the `top` items of users by number (n,), as `best_items` does. `leave_out`: one of LEFT_OUT."""
        return best_items(self.embedded, users, top, known_items(self.splits, leave_out), self.ids)

    def numbers(self, names: list[str]) -> Ints:
        """Return the numbers of users by id, each once, in the order given (n,). UserError for an unknown id."""
        known = {name: number for number, name in enumerate(self.ids.users)}
        if unknown := [name for name in names if name not in known]:
            raise UserError(f"no user {unknown[0]!r}, expected ids such as {self.ids.users[0]!r}")
        return np.array([known[name] for name in dict.fromkeys(names)], dtype=np.int64)

    def save(self, folder: Path) -> None:
        """Write the ranking into a folder: ARRAYS, and IDS."""
        users, items = (each.cpu().contiguous() for each in self.embedded)
        arrays = {"users": users, "items": items}
        for name, split in zip(SPLITS, self.splits, strict=True):
            arrays |= {f"{name}.indptr": torch.from_numpy(split.indptr), f"{name}.items": torch.from_numpy(split.items)}
        save_file({name: array.clone() for name, array in arrays.items()}, folder / ARRAYS)
        text = json.dumps({"users": list(self.ids.users), "items": list(self.ids.items)}, ensure_ascii=False)
        (folder / IDS).write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path) -> "TrainedRanking":
        """Read what `save` wrote."""
        arrays = load_file(folder / ARRAYS)
        train, valid, test = (
            Interactions(arrays[f"{name}.indptr"].numpy(), arrays[f"{name}.items"].numpy()) for name in SPLITS
        )
        ids = IdMaps(**json.loads((folder / IDS).read_text(encoding="utf-8")))
        return cls((arrays["users"], arrays["items"]), (train, valid, test), ids)


def are_numbers(ids: Sequence[str]) -> bool:
    """Return whether every id is a whole number of 64 bits as it is usually written: then these are the user's own."""
    return all(each.isdecimal() and each.isascii() and len(each) < 19 and each == str(int(each)) for each in ids)
