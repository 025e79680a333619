"""Mirror Gradient: Zhong, Huang, Li, Wen, Qin, Lin, WWW 2024, arXiv 2402.11262, Algorithm 1."""

from torch.optim import Optimizer

from recmodels.training.strategies.base import Closure, Strategy, scaled_step


class MirrorGradient(Strategy):
    """In one batch of every `interval`: a step down scaled by `alpha`, then one up scaled by `beta` at the new point.

    As the authors train: the count restarts with each epoch, so its first batch is mirrored; both steps are ordinary
    steps of one optimiser, whose moments advance twice. alpha and beta are the paper's alpha_1 and alpha_2, interval
    its beta. alpha=1 with beta=0 is plain training. ValueError unless 0 <= beta < alpha and interval >= 1.
    """

    def __init__(self, *, alpha: float = 1.0, beta: float = 0.2, interval: int = 3):
        if not 0 <= beta < alpha:
            raise ValueError(f"0 <= beta < alpha must hold, but got alpha={alpha}, beta={beta}")
        if interval < 1:
            raise ValueError(f"interval >= 1 must hold, but got interval={interval}")
        self.alpha, self.beta, self.interval = alpha, beta, interval
        self.iteration = 0

    def new_epoch(self) -> None:
        self.iteration = 0

    def step(self, closure: Closure, optimizer: Optimizer) -> float:
        loss = closure()  # gradient at theta
        mirror = self.iteration % self.interval == 0
        scaled_step(optimizer, self.alpha if mirror else 1.0)
        if mirror and self.beta > 0:  # under Adam even a zero gradient moves, so beta=0 skips the second step
            closure()  # gradient at theta'
            scaled_step(optimizer, -self.beta)
        self.iteration += 1
        return loss
