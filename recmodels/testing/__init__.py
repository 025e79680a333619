"""Contracts that a model or a strategy has to keep, for tests here and in other packages; AssertionError if not."""

from recmodels.testing.models import check_model, small_data
from recmodels.testing.strategies import check_strategy

__all__ = ["check_model", "check_strategy", "small_data"]
