"""Contracts that a model or a strategy has to keep, for tests of this package and of others; AssertionError if not."""

from recmodels.testing.strategies import check_strategy

__all__ = ["check_strategy"]
