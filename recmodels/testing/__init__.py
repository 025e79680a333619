"""Checks that models and strategies written elsewhere keep the contracts; to be called in their tests."""

from recmodels.testing.models import check_model, small_data

__all__ = ["check_model", "small_data"]
