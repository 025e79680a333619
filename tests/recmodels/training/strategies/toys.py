"""Tiny models in float64 whose loss and gradient are known, and what it takes to train them without the loop."""

from collections.abc import Mapping, Sequence
from itertools import cycle
from types import SimpleNamespace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.optim import Optimizer

from recmodels.models import Recommender
from recmodels.models.parts.tables import ItemTable, UserTable
from recmodels.ops import Dropout
from recmodels.training import Strategy, make_optimizer, make_strategy
from recmodels.training.batch_loss import BatchLoss
from recmodels.training.strategies import STRATEGIES, parts_of

ROWS = torch.tensor([[0], [1], [2]])
OPTIMIZERS = ("sgd", "sgd+momentum", "adam", "rmsprop", "adagrad")
ON_ANY_MODEL = tuple(name for name in STRATEGIES if "amr" not in parts_of(name))
"""The strategies that ask nothing of a model: a loss transform may want features."""
ORACLES = ("sam", "asam", "gsam", "gnp", "ssam_f", "ssam_d", "bsam", "bsam_plus")


def gaussian(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


class Toy(Recommender):
    """A model without a data set, of tables of 2 users and 3 items: 13 weights."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(SimpleNamespace(n_users=2, n_items=3))
        start = gaussian(13, seed=seed)
        self.user_emb = UserTable(start[:4].view(2, 2).clone())
        self.item_emb = ItemTable(start[4:10].view(3, 2).clone())
        self.bias = nn.Parameter(start[10:].clone())

    def embed(self) -> tuple[Tensor, Tensor]:
        return self.user_emb, self.item_emb

    @property
    def point(self) -> Tensor:
        """All weights (13,)."""
        return torch.cat([each.flatten() for each in self.parameters()])


class Quadratic(Toy):
    """x'Ax / 2, in two terms."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        factor = gaussian(13, 13, seed=seed + 1)
        self.matrix = factor @ factor.T / 13

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        x = self.point
        return {"first": 0.3 * (x @ self.matrix @ x), "second": 0.2 * (x @ self.matrix @ x)}


class Smooth(Toy):
    """sum log cosh(Bx) + 0.1 sum x^4: third derivatives are not zero."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.factor = gaussian(13, 13, seed=seed + 1) / 13**0.5

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        x = self.point
        return {"loss": torch.log(torch.cosh(self.factor @ x)).sum() + 0.1 * x.pow(4).sum()}

    def gradient(self, x: Tensor) -> Tensor:
        return self.factor.T @ torch.tanh(self.factor @ x) + 0.4 * x.pow(3)

    def hessian(self, x: Tensor) -> Tensor:
        slope = torch.cosh(self.factor @ x).pow(-2)
        return self.factor.T @ (slope[:, None] * self.factor) + torch.diag(1.2 * x.square())


class Noisy(Quadratic):
    """x'Ax / 2 + z'x with a Gaussian z that each call of the loss draws anew; `draws` has them all."""

    def __init__(self, seed: int = 0) -> None:
        super().__init__(seed)
        self.draws: list[Tensor] = []

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        self.draws.append(torch.randn(13, dtype=torch.float64))
        return super().loss(batch) | {"noise": self.draws[-1] @ self.point}


class Failing(Quadratic):
    """A quadratic whose calls with these numbers, from 0, go wrong: a loss of "nan" or "inf", or in the "gradient"."""

    def __init__(self, faults: Mapping[int, str]) -> None:
        super().__init__()
        self.faults, self.calls = faults, -1

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        self.calls += 1
        terms = super().loss(batch)
        match self.faults.get(self.calls):
            case "gradient":  # the slope of the root at zero times zero
                return terms | {"fault": (self.point.sum() * 0).sqrt()}
            case "nan" | "inf" as fault:
                return terms | {"fault": self.point.square().sum() * float(fault)}
        return terms


class MF(Recommender):
    """BPR on inner products of 8 users and 12 items, with a penalty on the batch's rows alone."""

    def __init__(self, *, sparse: bool = False, dropout: float = 0.0, normalise: bool = False) -> None:
        super().__init__(SimpleNamespace(n_users=8, n_items=12))
        self.user_emb = nn.Embedding.from_pretrained(gaussian(8, 4), freeze=False, sparse=sparse)
        self.item_emb = nn.Embedding.from_pretrained(gaussian(12, 4, seed=1), freeze=False, sparse=sparse)
        self.user_emb.weight = UserTable(self.user_emb.weight.detach())
        self.item_emb.weight = ItemTable(self.item_emb.weight.detach())
        self.dropout = Dropout(dropout)
        self.normalise = nn.BatchNorm1d(4, dtype=torch.float64) if normalise else nn.Identity()

    def embed(self) -> tuple[Tensor, Tensor]:
        return self.user_emb.weight, self.normalise(self.item_emb.weight)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        user, items = self.user_emb(batch[0]), self.item_emb(batch[1:].flatten())
        positive, negative = self.normalise(self.dropout(items)).chunk(2)
        penalty = user.square().mean() + items.square().mean()
        return {"bpr": F.softplus((user * (negative - positive)).sum(-1)).mean(), "reg": 0.1 * penalty}


def triples(n: int, size: int = 6, *, users: int = 8, items: int = 12) -> list[Tensor]:
    """`n` batches of `size` random triples."""
    generator = torch.Generator().manual_seed(7)
    high = torch.tensor([[users], [items], [items]])
    return [(torch.rand(3, size, generator=generator) * high).long() for _ in range(n)]


def flat(model: nn.Module) -> Tensor:
    """A copy of all weights (N,)."""
    return torch.cat([each.detach().flatten() for each in model.parameters()]).clone()


def optimizer_of(kind: str, model: nn.Module, *, lr: float = 0.1, decay: float = 0.0) -> Optimizer:
    """One of OPTIMIZERS."""
    name, _, momentum = kind.partition("+")
    return make_optimizer(
        name, model.parameters(), learning_rate=lr, weight_decay=decay, momentum=0.9 if momentum else 0.0
    )


def run(
    strategy: Strategy, optimizer: Optimizer, batches: Sequence[Tensor] = (ROWS,), epochs: int = 1
) -> list[BatchLoss]:
    """Train as the loop does, without evaluation; the batches' losses in order."""
    losses = []
    strategy.model.train()
    for epoch in range(epochs):
        strategy.new_epoch(epoch, lambda rng: map(strategy.loss, cycle(batches)))
        for index, rows in enumerate(batches):
            step = epoch * len(batches) + index
            losses.append(strategy.loss(rows, epoch=epoch, batch_index=index, step=step))
            strategy.step(losses[-1], optimizer)
        strategy.end_epoch()
    return losses


def stepped(
    model: Recommender, name: str, knobs: Mapping[str, Any] | None = None, kind: str = "sgd", *, lr: float = 0.1
) -> Tensor:
    """The weights after one step on ROWS."""
    run(make_strategy(name, model, knobs or {}), optimizer_of(kind, model, lr=lr))
    return flat(model)


def watched(model: Recommender) -> list[tuple[Tensor, Tensor]]:
    """The rows and the weights of each call of the model's loss from now on."""
    seen: list[tuple[Tensor, Tensor]] = []
    loss = model.loss

    def noted(batch: Tensor) -> dict[str, Tensor]:
        seen.append((batch.clone(), flat(model)))
        return loss(batch)

    model.loss = noted  # type: ignore[method-assign]
    return seen
