"""Controls: plain training with the budget or the learning rate of another strategy, whose gain has to be larger."""

from dataclasses import dataclass
from typing import ClassVar

from recmodels.signatures import CountFromOne, Positive
from recmodels.training.batch_loss import BatchLoss
from recmodels.training.strategies.base import Gradient, Rule, Update


@dataclass(kw_only=True, eq=False)
class ScaledRate(Rule):
    """Plain training at `lr_scale` times the learning rate.

    Mirror Gradient changes the effective rate: under Adam and RMSprop by F * sqrt((k + 1) / Q), under Adagrad by
    F * sqrt(k / Q), under SGD by F, with k the interval, F = (alpha - beta + k - 1) / k and
    Q = alpha^2 + beta^2 + k - 1. Raises ValueError unless lr_scale > 0.
    """

    off: ClassVar = {"lr_scale": 1.0}
    lr_scale: Positive = 1.0

    def step(self, gradient: Gradient, update: Update, loss: BatchLoss) -> None:
        gradient()
        with update.learning_rate_times(self.lr_scale):
            update()


@dataclass(kw_only=True, eq=False)
class Repeated(Rule):
    """In one batch of every `interval` a second plain step on the same batch: Mirror Gradient's cost and number of
    steps without its ascent. Raises ValueError unless interval >= 1."""

    shown: ClassVar = ("interval",)
    interval: CountFromOne = 3

    def step(self, gradient: Gradient, update: Update, loss: BatchLoss) -> None:
        gradient()
        update()
        if loss.batch_index % self.interval == 0:
            gradient()
            update()
