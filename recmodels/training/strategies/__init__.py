"""Training strategies: how the loss of a batch becomes a step of the optimiser."""

from recmodels.training.strategies.base import Averaging, LossTransform, Oracle, Part, Rule
from recmodels.training.strategies.names import (
    ALIASES,
    CONTROLS,
    LAYERS,
    STRATEGIES,
    canonical,
    is_reconstruction,
    knobs,
    make_strategy,
    part_names,
    parts_of,
)
from recmodels.training.strategies.strategy import Strategy, check_clip_norm

__all__ = [
    "ALIASES",
    "CONTROLS",
    "LAYERS",
    "STRATEGIES",
    "Averaging",
    "LossTransform",
    "Oracle",
    "Part",
    "Rule",
    "Strategy",
    "canonical",
    "check_clip_norm",
    "is_reconstruction",
    "knobs",
    "make_strategy",
    "part_names",
    "parts_of",
]
