"""Mirror Gradient: Zhong, Huang, Li, Wen, Qin, Lin, WWW 2024, arXiv 2402.11262, Algorithm 1."""

from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from recmodels.signatures import CountFromOne
from recmodels.training.batch_loss import BatchLoss
from recmodels.training.strategies.base import Gradient, Rule, Update, restoring


@dataclass(kw_only=True, eq=False)
class MirrorGradient(Rule):
    """In one batch of every `interval`: a step down scaled by `alpha`, then one up scaled by `beta` at the new point.

    alpha and beta are the paper's alpha_1 and alpha_2, interval its beta. alpha=1 with beta=0 is plain training.
    `compose`: "two_step", as the authors train: both are ordinary steps of one optimiser, whose moments advance twice;
    "combined": the second gradient is taken at the point that plain gradient descent would reach, and one step follows
    alpha * first - beta * second, which is Theorem 3.2's iteration whatever the optimiser (ours).
    `phase`: "epoch_first", as the authors train: the count restarts with each epoch, whose first batch is mirrored;
    "global", as Algorithm 1: every `interval`-th batch of the training.
    `clip_first`: clipping, if any, also holds for the first of two steps; the authors clip only the second.
    `sync_rng`: the second gradient sees the random draws of the first; the authors draw anew.
    Raises ValueError unless 0 <= beta < alpha and interval >= 1.
    """

    off: ClassVar = {"alpha": 1.0, "beta": 0.0}
    shown: ClassVar = ("alpha", "beta", "interval")
    alpha: float = 1.0
    beta: float = 0.2
    interval: CountFromOne = 3
    compose: Literal["two_step", "combined"] = "two_step"
    phase: Literal["epoch_first", "global"] = "epoch_first"
    clip_first: bool = True
    sync_rng: bool = False
    n_batches = 0  # so far; no knob: it has no annotation

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.beta < self.alpha:
            raise ValueError(f"0 <= beta < alpha must hold, but got alpha={self.alpha}, beta={self.beta}")

    def step(self, gradient: Gradient, update: Update, loss: BatchLoss) -> None:
        gradient()  # at theta
        self.n_batches = loss.step + 1
        place = loss.batch_index if self.phase == "epoch_first" else self.n_batches  # Algorithm 1 counts from 1
        mirror = place % self.interval == 0
        if not mirror or self.beta == 0:  # under Adam even a zero gradient moves, so beta=0 skips the second step
            update(self.alpha if mirror else 1.0)
        elif self.compose == "two_step":
            update(self.alpha, clip=self.clip_first)
            # A gradient that is not finite here ends the batch at theta', a plain step.
            gradient(replay=self.sync_rng)  # at theta'
            update(-self.beta)
        else:
            self._combined(gradient, update, loss)

    def penalty(self, learning_rate: float, squared_norm: float) -> dict[str, float]:
        """Theorem 3.2: alpha beta lr / 2 * ||grad L||^2 in a mirror iteration of gradient descent."""
        return {"mg_penalty": self.alpha * self.beta * learning_rate / 2 * squared_norm}

    def idle(self) -> str:
        missed = self.beta > 0 and self.phase == "global" and self.n_batches < self.interval
        return f"no batch was mirrored (interval={self.interval}, phase=global)" if missed else ""

    def state_dict(self) -> dict[str, Any]:
        return {"n_batches": self.n_batches}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.n_batches = state.get("n_batches", 0)  # older checkpoints have none

    def _combined(self, gradient: Gradient, update: Update, loss: BatchLoss) -> None:
        first = {parameter: direction.clone() for parameter, direction in loss.gradients()}
        with restoring(list(first)):
            update.descend(self.alpha)
            gradient(replay=self.sync_rng)
        for parameter, second in loss.gradients():
            second.mul_(-self.beta).add_(first[parameter], alpha=self.alpha)
        update()
