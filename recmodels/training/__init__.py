"""Training one model with one strategy."""

from recmodels.training.loop import EpochReport, TrainingState, train
from recmodels.training.optimizers import make_optimizer
from recmodels.training.strategies import STRATEGIES, Strategy, make_strategy

__all__ = ["STRATEGIES", "EpochReport", "Strategy", "TrainingState", "make_optimizer", "make_strategy", "train"]
