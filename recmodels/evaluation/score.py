"""Metrics of a whole model on a split."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from recmodels.data.dataset import RecDataset, Split
from recmodels.evaluation.ranking import Evaluator
from recmodels.models.base import Recommender
from recmodels.models.popularity import Popularity


@torch.no_grad()
def evaluate(
    model: Recommender,
    data: RecDataset,
    split: Split,
    ks: Sequence[int],
    weights: Mapping[str, Tensor] | None = None,
) -> dict[str, float]:
    """All metrics of a model on one split, with the `weights`, a state dict, which the model keeps, or with its own."""
    if weights is not None:
        model.load_state_dict(weights)
    return Evaluator(data, split, ks)(*model.eval().embed())


def popularity_scores(data: RecDataset, ks: Sequence[int]) -> dict[str, dict[str, float]]:
    """Split -> the metrics of the items with most training interactions, a ranking without any learning."""
    model = Popularity(data)
    return {"valid": evaluate(model, data, "valid", ks), "test": evaluate(model, data, "test", ks)}
