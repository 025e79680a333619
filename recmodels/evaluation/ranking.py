"""The ranking of a split, for a whole split and for each user."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recmodels.data.dataset import Ints, RecDataset, Split
from recmodels.evaluation.counting import CandidateRanking, FullRanking
from recmodels.evaluation.metrics import METRICS, Ranks, Values
from recmodels.metric import Metric
from recmodels.models.base import Recommender, Scorer, inner_products


@dataclass(frozen=True, eq=False)
class PerUser:
    """The ranks of the positives of each evaluated user. `users` (B,): the users, ascending."""

    users: Ints
    ranks: Ranks

    def values(self, metric: Metric) -> Values:
        """Return the metric of each user, (B,)."""
        return METRICS[metric.name](self.ranks, metric.k)

    def mean(self, ks: Sequence[int]) -> dict[str, float]:
        """Return every metric at every k, such as "recall@20": the mean over the users, each with equal weight."""
        names = [Metric(f"{name}@{k}") for name in METRICS for k in ks]
        return {name: float(self.values(name).mean()) for name in names}


class Evaluator:
    """Ranks one split of a data set by the set's protocol; every metric at every k of `ks`.

    All items but the user's training items are ranked (the benchmark's protocol); if the data set names candidates, the
    one positive of each user is ranked among these. Users without a positive in the split are left out. Items with
    equal scores: see `recmodels.evaluation.metrics`.

    >>> from recmodels.data import load_dataset
    >>> from recmodels.models import MODELS
    >>> data = load_dataset("demo")
    >>> evaluator = Evaluator(data, "valid", ks=(5, 20))
    >>> users, items = MODELS["Popularity"](data).embed()
    >>> 0 < evaluator(users, items)["recall@20"] < 1
    True
    >>> by_user = evaluator.per_user(users, items)
    >>> len(by_user.users) == len(by_user.values(Metric("ndcg@5")))
    True
    """

    def __init__(self, data: RecDataset, split: Split, ks: Sequence[int]):
        self.data, self.ks = data, tuple(ks)
        self.positives = data.valid if split == "valid" else data.test
        self.candidates = None if data.candidates is None else data.candidates[split]
        self.ranking: FullRanking | CandidateRanking | None = None

    def __call__(self, users: Tensor, items: Tensor) -> dict[str, float]:
        """Return metrics such as "recall@20", means over the evaluated users, from users (U, D) and items (I, D)."""
        return self.per_user(users, items).mean(self.ks)

    def per_user(self, users: Tensor, items: Tensor) -> PerUser:
        """Return the ranks of each evaluated user's positives from final embeddings (U, D) and (I, D)."""
        return self._per_user(inner_products(users, items), items.device)

    def rank(self, model: Recommender) -> PerUser:
        """Return the ranks of each evaluated user's positives by the scores of a model."""
        return self._per_user(model.scorer(), model.device)

    def metrics(self, model: Recommender) -> dict[str, float]:
        """Return metrics such as "recall@20", means over the evaluated users, by the scores of a model."""
        return self.rank(model).mean(self.ks)

    def _per_user(self, score: Scorer, device: torch.device) -> PerUser:
        counts = self.positives.counts
        evaluated = counts.nonzero()[0]
        return PerUser(evaluated, Ranks.of(counts[evaluated], *self._ranking(device).count(score)))

    def _ranking(self, device: torch.device) -> FullRanking | CandidateRanking:
        """Return what ranks on this device; it is made once, as all rankings of a trial are on the same one."""
        if self.ranking is None or self.ranking.device != device:
            place = self.data.n_items, device
            if self.candidates is None:
                self.ranking = FullRanking(self.positives, self.data.train, *place)
            else:
                self.ranking = CandidateRanking(self.positives, self.candidates, *place)
        return self.ranking
