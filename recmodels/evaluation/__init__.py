"""Ranking and its metrics."""

from recmodels.evaluation.ranking import Evaluator

__all__ = ["Evaluator"]
