"""What a trained model embeds while some of its tables or of the item features that it reads are others.

Weights, features and graphs of the model are the same objects with the same bits afterwards. All representations are
computed again: no model scores what it cached before.
"""

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from recmodels.data.dataset import Floats, Ints, RecDataset
from recmodels.graphs import ItemGraph
from recmodels.models.base import Recommender
from recmodels.models.parts.item_features import ItemFeatures, feature_tables, shifted

Owners = Literal["items", "users+items"]
"""Whose rows of a model's tables are perturbed."""


@dataclass(frozen=True, eq=False)
class Perturbed:
    """What takes the place of a model's own. `tables`: parameter -> all its values. `features`: modality -> matrix
    (I, F). `altered` (n,): items with other features. `rebuilt`: item graphs are made again from the features.
    `sizes`: root mean square of the rows of each table that are perturbed."""

    tables: Mapping[str, Tensor] = field(default_factory=dict)
    features: Mapping[str, Floats] = field(default_factory=dict)
    altered: Ints = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    rebuilt: bool = False
    sizes: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def of_features(cls, data: RecDataset, features: Mapping[str, Floats], rebuilt: bool = False) -> "Perturbed":
        """Return the perturbation to these features, with the items whose rows differ from those of the data."""
        differs = np.zeros(data.n_items, dtype=bool)
        for name, matrix in features.items():
            differs |= (matrix != data.features[name]).any(axis=1)
        return cls(features=features, altered=differs.nonzero()[0], rebuilt=rebuilt)


def id_rows(model: Recommender, owners: Owners = "items") -> dict[str, slice]:
    """Return the embedding tables of a model: parameter -> its rows that belong to `owners`.

    These are the trained tables with a row for each user, item or node, but for biases and for features that train: the
    features of BM3 and FREEDOM are in their weights, but not in their scores.
    """
    features = {id(each.table) for each in feature_tables(model)}
    left_out = model.biases() | {name for name, each in model.named_parameters() if id(each) in features}
    found = {}
    for name, kind in model.id_tables().items():
        if name in left_out or (kind == "users" and owners == "items"):
            continue
        found[name] = slice(model.n_users, None) if kind == "nodes" and owners == "items" else slice(None)
    return found


def read_features(model: Recommender, data: RecDataset) -> list[tuple[str, ItemFeatures]]:
    """Return the feature matrices that a model reads as they are in the data, each with its modality.

    A matrix that trains belongs to the weights and is none of them: to edit the data after training leaves it as it is.
    """
    found = []
    for table in feature_tables(model):
        if isinstance(table.table, nn.Parameter):
            continue
        own = table.table.cpu()
        for name, matrix in data.features.items():
            same = tuple(own.shape) == matrix.shape and np.shares_memory(own.numpy(), matrix)
            if same or torch.equal(own, torch.from_numpy(matrix).to(own.dtype)):
                found.append((name, table))
                break
        else:
            raise ValueError(f"expected the data of the model, but {data.name} lacks features that it reads")
    return found


def embedded(model: Recommender, data: RecDataset, perturbed: Perturbed) -> tuple[Tensor, Tensor]:
    """Return final users (U, D) and items (I, D) under a perturbation, in evaluation mode."""
    with torch.no_grad(), in_place_of(model, data, perturbed):
        users, items = model.eval().embed()
        return users.clone(), items.clone()  # a model may return its tables themselves, which are swapped back


@contextmanager
def in_place_of(model: Recommender, data: RecDataset, perturbed: Perturbed) -> Iterator[None]:
    """Put a perturbation in place of the model's own tables, features and graphs for a while."""
    with ExitStack() as stack:
        for name, values in perturbed.tables.items():
            stack.enter_context(_values(model.get_parameter(name), values))
        if len(perturbed.altered):
            stack.enter_context(_features(model, data, perturbed))
            if perturbed.rebuilt:
                stack.enter_context(_graphs(model, data, perturbed))
        yield


@contextmanager
def _values(parameter: nn.Parameter, values: Tensor) -> Iterator[None]:
    own = parameter.data
    parameter.data = values
    try:
        yield
    finally:
        parameter.data = own


@contextmanager
def _features(model: Recommender, data: RecDataset, perturbed: Perturbed) -> Iterator[None]:
    items = torch.from_numpy(perturbed.altered).to(model.device)
    tables, deltas = [], []
    for name, table in read_features(model, data):
        if name in perturbed.features:
            rows = table.table.index_select(0, items)
            new = torch.from_numpy(perturbed.features[name][perturbed.altered])
            tables.append(table)
            deltas.append(new.to(rows) - rows)
    with shifted(tables, items, deltas):
        yield


@contextmanager
def _graphs(model: Recommender, data: RecDataset, perturbed: Perturbed) -> Iterator[None]:
    # Without a cache folder: a graph of altered features is needed once.
    altered = replace(data, features={**data.features, **perturbed.features}, fingerprint="", cache_dir=None)
    own = [
        (parent, name, child)
        for parent in list(model.modules())
        for name, child in parent.named_children()
        if isinstance(child, ItemGraph)
    ]
    for parent, name, graph in own:
        setattr(parent, name, graph.of(altered).to(model.device))
    try:
        yield
    finally:
        for parent, name, graph in own:
            setattr(parent, name, graph)


def rms(values: Tensor) -> float:
    """Return the root mean square of all entries, 0 of none."""
    return float(values.detach().double().square().mean().sqrt()) if values.numel() else 0.0


def has_item_graph(model: Recommender) -> bool:
    """Return whether the model has a graph that is made from item features."""
    return any(isinstance(module, ItemGraph) for module in model.modules())
