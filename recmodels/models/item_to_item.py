"""Models that score an item by its weights from the items that a user has: S = X W. Nothing in them is trained by
gradients."""

from abc import abstractmethod

import torch
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.errors import DataError
from recmodels.graphs import MostSimilar
from recmodels.models.base import Recommender, Scorer
from recmodels.ops import shared_tensor

EMBEDDED = 2**30
"""Numbers of the dense matrices that `embed` makes at most, 4 GiB."""


class ItemToItem(Recommender):
    """The base class: X (U, I) are the training pairs, W (I, I) is what a subclass makes of the data.

    Ranking needs neither of them densely (`scorer`). The embeddings are X and the transpose of W, with a column for
    each item: `embed` raises DataError if they would have more than EMBEDDED numbers.
    """

    trains = False
    reads_features = False
    indptr: Tensor
    items: Tensor

    def __init__(self, data: RecDataset, **chosen: float):
        super().__init__(data, **chosen)
        self.register_buffer("indptr", shared_tensor(data.train.indptr), persistent=False)
        self.register_buffer("items", shared_tensor(data.train.items), persistent=False)

    @abstractmethod
    def summed(self, places: Tensor, items: Tensor, n: int) -> Tensor:
        """Return scores (I, n): column c is the sum of W's rows `items` (e,) over the entries whose `places` (e,) are
        c. The places ascend."""

    def scorer(self) -> Scorer:
        return self._scores

    def embed(self) -> tuple[Tensor, Tensor]:
        numbers = (self.n_users + self.n_items) * self.n_items
        if numbers > EMBEDDED:
            found = f"{self.n_users:,} users and {self.n_items:,} items with a column for each item"
            limit = f"{numbers / 2**28:.1f} GiB, expected at most {EMBEDDED / 2**28:.0f} GiB"
            raise DataError(f"{type(self).__name__}: the embeddings of {found} take {limit}")
        every, places = torch.arange(self.n_items, device=self.device), torch.repeat_interleave(self.indptr.diff())
        users = torch.zeros(self.n_users, self.n_items, device=self.device)
        users[places, self.items] = 1.0
        return users, self.summed(every, every, self.n_items)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return {}

    def _scores(self, users: Tensor) -> Tensor:
        starts, counts = self.indptr[users], self.indptr[users + 1] - self.indptr[users]
        places = torch.repeat_interleave(counts)
        within = torch.arange(len(places), device=places.device) - (counts.cumsum(0) - counts)[places]
        return self.summed(places, self.items[starts[places] + within], len(users))


class Neighbourhood(ItemToItem):
    """W holds in row i the similarities of item i to its nearest neighbours: an item of the user scores these."""

    neighbours: Tensor
    similarities: Tensor

    def take(self, found: MostSimilar) -> None:
        """Take these neighbours; a subclass calls it once, when it is made."""
        self.register_buffer("neighbours", found.neighbours, persistent=False)  # (I, k)
        self.register_buffer("similarities", found.similarities, persistent=False)  # (I, k)

    def summed(self, places: Tensor, items: Tensor, n: int) -> Tensor:
        entries = self.neighbours.index_select(0, items) * n + places.unsqueeze(1)  # in the scores, flattened
        weights = self.similarities.index_select(0, items)
        scores = weights.new_zeros(self.n_items * n).index_add_(0, entries.flatten(), weights.flatten())
        return scores.view(self.n_items, n)
