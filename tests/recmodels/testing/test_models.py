"""The check of a model's contract passes a right model and names what is wrong with a wrong one."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.losses import bpr, margins
from recmodels.models import Recommender
from recmodels.models.base import Scorer, inner_products
from recmodels.models.parts.item_features import ItemFeatures
from recmodels.models.parts.tables import ItemTable, NodeTable, UserTable, xavier_normal
from recmodels.testing import check_model, small_data


class Right(Recommender):
    """Matrix factorisation with a bias of each user and item."""

    reads_features = False

    def __init__(self, data: RecDataset, *, embedding_size: int = 4, reg_weight: float = 0.1) -> None:
        super().__init__(data)
        self.reg_weight = reg_weight
        self.user_emb = UserTable(xavier_normal(data.n_users, embedding_size))
        self.item_emb = ItemTable(xavier_normal(data.n_items, embedding_size))
        self.user_bias = UserTable(torch.zeros(data.n_users, 1))
        self.item_bias = ItemTable(torch.zeros(data.n_items, 1))

    def embed(self) -> tuple[Tensor, Tensor]:
        one = torch.ones_like
        users = torch.cat([self.user_emb, self.user_bias, one(self.user_bias)], dim=1)
        return users, torch.cat([self.item_emb, one(self.item_bias), self.item_bias], dim=1)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        penalty = sum(each.square().mean() for each in self.parameters())
        return {"bpr": bpr(margins(*self.embed(), batch)), "reg": self.reg_weight * penalty}


def test_a_right_model_passes() -> None:
    check_model(Right)
    check_model(Right, embedding_size=3)


def test_a_bias_of_the_users_is_known_as_a_table() -> None:
    """A table may have any name: no list of names has to know it."""
    assert Right(small_data()).id_tables() == {
        "user_emb": "users",
        "item_emb": "items",
        "user_bias": "users",
        "item_bias": "items",
    }


class Positional(Right):
    def __init__(self, data: RecDataset, embedding_size: int = 4) -> None:
        super().__init__(data, embedding_size=embedding_size)


class Untyped(Right):
    def __init__(self, data: RecDataset, *, embedding_size=4) -> None:
        super().__init__(data, embedding_size=embedding_size)


class NoDefault(Right):
    def __init__(self, data: RecDataset, *, embedding_size: int) -> None:
        super().__init__(data, embedding_size=embedding_size)


class NumpyDraw(Right):
    def __init__(self, data: RecDataset) -> None:
        super().__init__(data)
        self.user_emb.data += np.random.rand()


class OwnDraw(Right):
    def __init__(self, data: RecDataset) -> None:
        super().__init__(data)
        self.user_emb.data += np.random.default_rng().random()


class Undeclared(Right):
    def __init__(self, data: RecDataset) -> None:
        super().__init__(data)
        self.user_bias = nn.Parameter(self.user_bias.detach())


class WrongRows(Right):
    def __init__(self, data: RecDataset) -> None:
        super().__init__(data)
        self.user_bias = NodeTable(self.user_bias.detach())


class Untrained(Right):
    trains = False


class ReadsNothing(Right):
    reads_features = True


class HidesFeatures(Right):
    def __init__(self, data: RecDataset) -> None:
        super().__init__(data)
        self.features = ItemFeatures(data.features["image"])


class WrongShape(Right):
    def embed(self) -> tuple[Tensor, Tensor]:
        users, items = super().embed()
        return users, items.T


class NotFiniteScores(Right):
    def embed(self) -> tuple[Tensor, Tensor]:
        users, items = super().embed()
        return users / 0, items


class Flat(Right):
    def embed(self) -> tuple[Tensor, Tensor]:
        users, items = super().embed()
        return torch.zeros_like(users), items


class OtherScores(Right):
    def scorer(self) -> Scorer:
        return inner_products(self.user_emb, self.item_emb + 1)


class NoTerm(Right):
    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return {}


class PerRow(Right):
    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return {"margin": margins(*self.embed(), batch)}


class NotFiniteLoss(Right):
    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return super().loss(batch) | {"reg": self.user_emb.sum() / 0}


class OwnNoise(Right):
    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return {"bpr": super().loss(batch)["bpr"] * np.random.default_rng().random()}


class Unused(Right):
    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return {"bpr": bpr(margins(self.user_emb, self.item_emb, batch))}


class EndlessGradient(Right):
    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        terms = super().loss(batch)
        return terms | {"reg": terms["reg"] + self.user_bias.square().sum().sqrt()}


class Unsaved(Right):
    def __init__(self, data: RecDataset) -> None:
        super().__init__(data)
        self.scale = torch.rand(1, 6)

    def embed(self) -> tuple[Tensor, Tensor]:
        users, items = super().embed()
        return users * self.scale, items


class RanksByNumber(Right):
    def embed(self) -> tuple[Tensor, Tensor]:
        users, items = super().embed()
        return users, items + torch.arange(len(items)).unsqueeze(1)


class LearnsByNumber(Right):
    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return super().loss(batch) | {"number": 0.1 * batch[1].float().mean()}


class PeeksAtFeatures(Right):
    def __init__(self, data: RecDataset) -> None:
        super().__init__(data)
        self.shift = len(data.features)

    def embed(self) -> tuple[Tensor, Tensor]:
        users, items = super().embed()
        return users + self.shift, items


@pytest.mark.parametrize(
    ("model", "message"),
    [
        (Positional, "embedding_size must be a keyword"),
        (Untyped, "embedding_size must have a type hint"),
        (NoDefault, "embedding_size must have a default"),
        (NumpyDraw, "must draw from torch's generator alone"),
        (OwnDraw, "user_emb must follow from torch's seed"),
        (Undeclared, "user_bias is declared as a table of None, but its size is that of users"),
        (WrongRows, "user_bias is declared as a table of nodes, but its size is that of users"),
        (Untrained, "trains is False, but there are 4 trained parameters"),
        (ReadsNothing, "reads_features is True, ItemFeatures inside: False"),
        (HidesFeatures, "reads_features is False, ItemFeatures inside: True"),
        (WrongShape, r"embed: wrong shapes, users \(13, 6\) and items \(6, 29\)"),
        (NotFiniteScores, "embed: scores are not finite"),
        (Flat, "embed: all scores are equal"),
        (OtherScores, "scorer: the scores are not the inner products of embed"),
        (NoTerm, "loss: there is no term"),
        (PerRow, r"loss: margin must be a scalar, but has shape \(32,\)"),
        (NotFiniteLoss, "loss: reg is not finite"),
        (OwnNoise, "loss: must follow from torch's seed"),
        (Unused, "loss: user_bias has no gradient"),
        (EndlessGradient, "loss: the gradient of user_bias is not finite"),
        (Unsaved, "the scores must follow from the state dict"),
        (RanksByNumber, "renamed items must have renamed scores"),
        (LearnsByNumber, "renamed items must have the same loss"),
        (PeeksAtFeatures, "reads_features is False, but the scores depend on the features"),
    ],
)
def test_a_wrong_model_is_named(model: type[Recommender], message: str) -> None:
    with pytest.raises(AssertionError, match=message):
        check_model(model)


def test_an_unknown_keyword_is_named() -> None:
    wrong: dict[str, Any] = {"embeding_size": 3}
    with pytest.raises(AssertionError, match="Right has no hyper-parameter embeding_size"):
        check_model(Right, **wrong)
