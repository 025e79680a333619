"""How good a model is when it is perturbed, as one number that costs little: an objective of a search."""

from statistics import fmean

import torch

from recmodels.analysis.measures import measure
from recmodels.analysis.perturbed import Perturbed, embedded
from recmodels.data.dataset import RecDataset
from recmodels.evaluation import Evaluator
from recmodels.metric import Metric
from recmodels.models.base import Recommender

NOISE, MIXED = 0.2, 0.1
"""Level of the noise, over the root mean square of what it is added to, and share of the items that are edited."""
REPEATS = 3


def robust_score(model: Recommender, data: RecDataset, metric: Metric, seed: int) -> float:
    """Return the mean of a metric on validation over perturbations of the model, which are the same for all models.

    Noise of NOISE in the item embeddings, else, if scores do not depend on these, in the features; and a share MIXED of
    the items whose features are mixed with another's, if scores depend on features: REPEATS draws of each, whose means
    count alike. That is 3 or 6 evaluations of validation. A model that neither reaches, such as popularity, has its
    metric as it is. The model is in evaluation mode afterwards, with the same weights.
    """
    evaluator = Evaluator(data, "valid", (metric.k,))
    clean = embedded(model, data, Perturbed())

    def mean_of(name: str, level: float) -> float | None:
        """Return the mean over the draws; None if the first one leaves all representations as they were."""
        made, values = measure(name), []
        for repeat in range(REPEATS):
            found = embedded(model, data, made.perturb(model, data, level, seed, repeat))
            if all(map(torch.equal, found, clean)):
                return None
            values.append(float(evaluator.per_user(*found).values(metric).mean()))
        return fmean(values)

    noise = mean_of("embedding", NOISE)
    if noise is None and data.features:
        noise = mean_of("noise", NOISE)
    mixed = mean_of("mix", MIXED) if data.features else None
    found = [value for value in (noise, mixed) if value is not None]
    return fmean(found) if found else float(evaluator.per_user(*clean).values(metric).mean())
