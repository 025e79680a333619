"""Training strategies: how the loss of a batch becomes a step of the optimiser."""

from recmodels.training.strategies.names import STRATEGIES, canonical, is_reconstruction, knobs, make_strategy, parts_of
from recmodels.training.strategies.strategy import Strategy

__all__ = ["STRATEGIES", "Strategy", "canonical", "is_reconstruction", "knobs", "make_strategy", "parts_of"]
