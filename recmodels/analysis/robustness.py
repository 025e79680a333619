"""What a trained model still reaches under a perturbation, on a whole split and for each user."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from statistics import fmean

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from recmodels.analysis.measures import Measure
from recmodels.analysis.perturbed import Perturbed, embedded, rms
from recmodels.data.dataset import Ints, RecDataset, Split
from recmodels.evaluation import Evaluator
from recmodels.evaluation.counting import block_size
from recmodels.evaluation.recommend import top_items
from recmodels.metric import Metric
from recmodels.models.base import Recommender

KS = (5, 10, 20)

UserValues = NDArray[np.float32]


@dataclass(frozen=True)
class Group:
    """Evaluated users of a kind: their number, and the metric without and under the perturbation, means over the draws
    in which there are such users; None if there never are."""

    users: float
    clean: float | None
    perturbed: float | None


@dataclass(frozen=True)
class Edited:
    """What edits of some items do. `touched`, `others`: users with and without an edited item in their training
    history. `before`, `after`: the share of the edited items among the best k of all users, k being the metric's."""

    touched: Group
    others: Group
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class Point:
    """A model at one level of a measure. `applies`: whether the measure reaches the model at all; at level 0 True.

    `metrics`: all metrics, for each draw. `users` (B,): the metric of each evaluated user, mean over the draws.
    `altered`: number of items with other features, for each draw. `edited`: where some items are edited and others not.
    `sizes`: root mean square of each table and feature matrix that is perturbed, by parameter or modality.
    """

    applies: bool
    metrics: tuple[dict[str, float], ...]
    users: UserValues
    altered: tuple[int, ...]
    edited: Edited | None
    sizes: dict[str, float]
    seconds: float

    def values(self, metric: str) -> list[float]:
        """Return a metric of each draw."""
        return [each[metric] for each in self.metrics]


class Probed:
    """A trained model and what it reaches on a split as it is.

    Every metric at every k of KS and of the metric is measured. `clean`: without a perturbation; `clean_users` (B,).
    """

    def __init__(self, model: Recommender, data: RecDataset, split: Split, metric: Metric):
        self.model, self.data, self.split, self.metric = model, data, split, metric
        self.ks = tuple(sorted({*KS, metric.k}))
        self.evaluator = Evaluator(data, split, self.ks)
        self.embedded = embedded(model, data, Perturbed())
        found = self.evaluator.per_user(*self.embedded)
        self.clean, self.user_numbers = found.mean(self.ks), found.users
        self.clean_users = found.values(metric).astype(np.float32)
        self._reached: dict[str, bool] = {}

    @cached_property
    def _feature_sizes(self) -> dict[str, float]:
        return {name: rms(torch.from_numpy(matrix)) for name, matrix in self.data.features.items()}

    @cached_property
    def best(self) -> Ints:
        """The best items of every user, (U, k)."""
        return best_of(*self.embedded, self.data, self.metric.k)

    def at(self, measure: Measure, level: float, seed: int, repeats: int) -> Point:
        """Measure `repeats` draws of a perturbation. Where it changes nothing, one draw stands for all of them.

        UserError for features that the data set does not have.
        """
        start, applies = time.perf_counter(), level == 0 or self.reached_by(measure, seed)
        alike = level == 0 or not applies
        draws = [
            self._draw(measure.perturb(self.model, self.data, level, seed, repeat, self.split))
            for repeat in range(1 if alike else repeats)
        ]
        return self._point(draws * repeats if alike else draws, applies, start)

    def reached_by(self, measure: Measure, seed: int) -> bool:
        """Return whether a measure changes any representation of the model, at level 1 of its first draw."""
        if measure.name not in self._reached:
            found = embedded(self.model, self.data, measure.perturb(self.model, self.data, 1.0, seed, 0, self.split))
            self._reached[measure.name] = not all(map(torch.equal, found, self.embedded))
        return self._reached[measure.name]

    def _draw(self, perturbed: Perturbed) -> "_Draw":
        found = embedded(self.model, self.data, perturbed)
        by_user = self.evaluator.per_user(*found)
        users, n = by_user.values(self.metric), len(perturbed.altered)
        edit = None
        if 0 < n < self.data.n_items:
            altered = np.zeros(self.data.n_items, dtype=bool)
            altered[perturbed.altered] = True
            train = self.data.train
            history = np.bincount(train.users, weights=altered[train.items], minlength=self.data.n_users) > 0
            after = best_of(*found, self.data, self.metric.k)
            touched = history[self.user_numbers]
            edit = _Edit(touched, float(altered[self.best].mean()), float(altered[after].mean()))
        sizes = dict(perturbed.sizes) | {name: self._feature_sizes[name] for name in perturbed.features}
        return _Draw(by_user.mean(self.ks), users, n, edit, sizes)

    def _point(self, draws: Sequence["_Draw"], applies: bool, start: float) -> Point:
        edits = [(each.edit, each.users) for each in draws if each.edit is not None]
        edited = None
        if edits:
            edited = Edited(
                self._group([(edit.touched, users) for edit, users in edits]),
                self._group([(~edit.touched, users) for edit, users in edits]),
                fmean(edit.before for edit, _ in edits),
                fmean(edit.after for edit, _ in edits),
            )
        return Point(
            applies,
            tuple(each.metrics for each in draws),
            np.mean([each.users for each in draws], axis=0).astype(np.float32),
            tuple(each.altered for each in draws),
            edited,
            draws[0].sizes,
            time.perf_counter() - start,
        )

    def _group(self, draws: Sequence[tuple[NDArray[np.bool_], NDArray[np.float64]]]) -> Group:
        there = [(of, users) for of, users in draws if of.any()]
        number = fmean(int(of.sum()) for of, _ in draws)
        if not there:
            return Group(number, None, None)
        clean = fmean(float(self.clean_users[of].mean(dtype=np.float64)) for of, _ in there)
        return Group(number, clean, fmean(float(users[of].mean()) for of, users in there))


@dataclass(frozen=True, eq=False)
class _Edit:
    touched: NDArray[np.bool_]
    before: float
    after: float


@dataclass(frozen=True, eq=False)
class _Draw:
    metrics: dict[str, float]
    users: NDArray[np.float64]
    altered: int
    edit: _Edit | None
    sizes: dict[str, float]


@torch.no_grad()
def best_of(users: Tensor, items: Tensor, data: RecDataset, k: int) -> Ints:
    """Return the best k items of every user that are not in the user's training items, (U, k)."""
    size = block_size(data.n_items, items.device)
    everyone = np.arange(data.n_users)
    blocks = [everyone[start : start + size] for start in range(0, data.n_users, size)]
    return np.concatenate([top_items(users, items, block, k, data.train)[1].cpu().numpy() for block in blocks])
