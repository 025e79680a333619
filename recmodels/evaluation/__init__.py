"""Ranking and its metrics. `paired_tests`, `resolution` and `recommend`, which load scipy and pandas, are imported by
their names."""

from recmodels.evaluation.metrics import METRICS
from recmodels.evaluation.ranking import Evaluator, PerUser
from recmodels.evaluation.score import evaluate, popularity_scores, user_values

__all__ = ["METRICS", "Evaluator", "PerUser", "evaluate", "popularity_scores", "user_values"]
