"""Plain training."""

from torch.optim import Optimizer

from recmodels.training.strategies.base import Closure, Strategy


class Plain(Strategy):
    """theta <- theta - lr * grad: one step of the optimiser per batch."""

    def step(self, closure: Closure, optimizer: Optimizer) -> float:
        loss = closure()
        optimizer.step()
        return loss
