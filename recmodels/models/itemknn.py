"""ItemKNN: Sarwar, Karypis, Konstan, Riedl, Item-based Collaborative Filtering Recommendation Algorithms, WWW 2001."""

from recmodels.data.dataset import RecDataset
from recmodels.graphs import similar_by_users
from recmodels.models.item_to_item import Neighbourhood
from recmodels.signatures import CountFromOne, NotNegative


class ItemKNN(Neighbourhood):
    """An item scores the `knn_k` items whose users are most like its own: a floor that a trained model has to beat.

    Similarity is the cosine of the training pairs, whose denominator grows by `shrink`, as in Ferrari Dacrema et al.,
    RecSys 2019, arXiv 1907.06902. Nothing is trained.
    """

    def __init__(self, data: RecDataset, *, knn_k: CountFromOne = 100, shrink: NotNegative = 10.0):
        super().__init__(data, knn_k=knn_k, shrink=shrink)
        self.take(similar_by_users(data, knn_k, shrink))
