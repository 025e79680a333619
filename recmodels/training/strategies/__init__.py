"""The training strategies by name."""

from recmodels.training.strategies.base import Strategy
from recmodels.training.strategies.mg import MirrorGradient
from recmodels.training.strategies.plain import Plain

STRATEGIES: dict[str, type[Strategy]] = {"mg": MirrorGradient, "plain": Plain}

__all__ = ["STRATEGIES", "Strategy"]
