"""Metrics of a whole model on a split."""

from collections.abc import Sequence

import torch

from recmodels.data.dataset import RecDataset, Split
from recmodels.data.derived import derived
from recmodels.evaluation.metrics import Values
from recmodels.evaluation.ranking import Evaluator
from recmodels.metric import Metric
from recmodels.models.base import Recommender
from recmodels.models.popularity import Popularity


@torch.no_grad()
def user_values(model: Recommender, data: RecDataset, split: Split, metric: Metric) -> Values:
    """Return a metric of each user with a positive in the split, (B,), users ascending.

    The model is in evaluation mode afterwards.
    """
    return Evaluator(data, split, (metric.k,)).rank(model.eval()).values(metric)


@torch.no_grad()
def evaluate(model: Recommender, data: RecDataset, split: Split, ks: Sequence[int]) -> dict[str, float]:
    """Return all metrics of a model on one split. The model is in evaluation mode afterwards."""
    return Evaluator(data, split, ks).metrics(model.eval())


@derived()
def popularity_scores(data: RecDataset, ks: tuple[int, ...]) -> dict[str, dict[str, float]]:
    """Return split -> the metrics of the items with the most training interactions, a ranking without any learning.

    An experiment asks for them in each of its searches, and ranks once.
    """
    model = Popularity(data)
    return {"valid": evaluate(model, data, "valid", ks), "test": evaluate(model, data, "test", ks)}
