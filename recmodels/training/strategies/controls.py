"""Plain training with a budget or a learning rate as another strategy has it: what that has to beat."""

from recmodels.training.batch_loss import BatchLoss
from recmodels.training.strategies.base import Gradient, Rule, Update


class ScaledRate(Rule):
    """Plain training at `lr_scale` times the learning rate.

    Mirror Gradient changes the effective rate: under Adam and RMSprop by F * sqrt((k + 1) / Q), under Adagrad by
    F * sqrt(k / Q), under SGD by F, with k the interval, F = (alpha - beta + k - 1) / k and
    Q = alpha^2 + beta^2 + k - 1. ValueError unless lr_scale > 0.
    """

    def __init__(self, *, lr_scale: float = 1.0):
        if not lr_scale > 0:
            raise ValueError(f"lr_scale > 0 must hold, but got lr_scale={lr_scale}")
        self.lr_scale = lr_scale

    def step(self, gradient: Gradient, update: Update, loss: BatchLoss) -> None:
        gradient()
        with update.learning_rate_times(self.lr_scale):
            update()


class Repeated(Rule):
    """In one batch of every `interval` a second plain step on the same batch: Mirror Gradient's cost and number of
    steps without its ascent. ValueError unless interval >= 1."""

    shown = ("interval",)

    def __init__(self, *, interval: int = 3):
        if interval < 1:
            raise ValueError(f"interval >= 1 must hold, but got interval={interval}")
        self.interval = interval

    def step(self, gradient: Gradient, update: Update, loss: BatchLoss) -> None:
        gradient()
        update()
        if loss.number % self.interval == 0:
            gradient()
            update()
