"""What every model is: a loss of a batch and two matrices whose inner products rank."""

from abc import ABC, abstractmethod
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.errors import DataError
from recmodels.signatures import check_choice

VISUAL = "image"
"""The modality that some models treat apart from the others."""
ROWS = {
    "users": ("user_emb", "user_weights", "preference", "preferences"),
    "items": ("item_emb", "item_weights", "item_bias", "table"),
    "nodes": ("ids", "confidence"),
}
"""What the rows of a parameter belong to, by its name."""
Variant = Literal["benchmark", "paper"]
"""What the field's reference code computes, from which the published tables come, or the paper's own form."""


class Recommender(nn.Module, ABC):
    """Constructor: `Model(data, *, hyper-parameters)`. Its keywords are the model's hyper-parameters."""

    trains: ClassVar[bool] = True
    """Whether there is anything to train; a model without parameters is evaluated once."""
    needs_negatives = True
    """Whether batches have a row of negatives."""
    reads_features = True
    """Whether the loss reads item features."""

    def __init__(self, data: RecDataset) -> None:
        super().__init__()
        self.n_users, self.n_items = data.n_users, data.n_items

    @abstractmethod
    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        """Named scalar terms for a batch (3, B) of users, positives and negatives; training sums them."""

    @abstractmethod
    def embed(self) -> tuple[Tensor, Tensor]:
        """Final users (U, D) and items (I, D) at the current weights; their inner product is the score."""

    def new_epoch(self) -> None:
        """Called before each epoch; a model that re-draws structure per epoch does it here."""

    def rate_factors(self) -> dict[nn.Parameter, float]:
        """Parameters that learn at a multiple of the learning rate, and which."""
        return {}

    def id_tables(self) -> dict[str, str]:
        """The trained parameters with a row per id: name -> "users", "items" or "nodes" (users, then items)."""
        n_rows = {"users": self.n_users, "items": self.n_items, "nodes": self.n_users + self.n_items}
        return {
            name: kind
            for name, parameter in self.named_parameters()
            for kind, names in ROWS.items()
            if parameter.requires_grad and len(parameter) == n_rows[kind] and not set(names).isdisjoint(name.split("."))
        }


def xavier_uniform(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_uniform_(torch.empty(*shape)))


def xavier_normal(*shape: int) -> nn.Parameter:
    return nn.Parameter(nn.init.xavier_normal_(torch.empty(*shape)))


def is_paper(variant: str) -> bool:
    """ValueError unless it is a Variant."""
    check_choice("variant", variant, ("benchmark", "paper"))
    return variant == "paper"


def modalities(data: RecDataset, model: str, *, first: str = VISUAL) -> list[str]:
    """The data set's modalities, `first` in front and the rest by name. DataError if it has none."""
    if not data.features:
        raise DataError(f"{data.name}: {model} needs item features, but the data set has none (expected *_feat.npy)")
    return sorted(data.features, key=lambda name: (name != first, name))


def image_weighted(names: list[str], image_weight: float) -> dict[str, float]:
    """Shares of the modalities in their item graph: the images' own, the rest evenly; without images all alike."""
    if VISUAL not in names or len(names) == 1:
        return dict.fromkeys(names, 1 / len(names))
    others = (1 - image_weight) / (len(names) - 1)
    return {name: image_weight if name == VISUAL else others for name in names}


def id_penalty(ids: Tensor, n_users: int, batch: Tensor) -> Tensor:
    """Mean squares of the batch's rows of `ids` (U + I, D), each user once per item; MMGCN and GRCN."""
    users, items = ids[:n_users], ids[n_users:]
    user, positive, negative = (
        rows.index_select(0, index).square().mean() for rows, index in zip((users, items, items), batch, strict=True)
    )
    return user + (positive + negative) / 2
