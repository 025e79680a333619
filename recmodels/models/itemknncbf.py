"""ItemKNNCBF: the content-based neighbourhood of Ferrari Dacrema, Cremonesi, Jannach, Are We Really Making Much
Progress? A Worrying Analysis of Recent Neural Recommendation Approaches, RecSys 2019, arXiv 1907.06902."""

from recmodels.data.dataset import RecDataset
from recmodels.graphs import similar_by_content
from recmodels.models.item_to_item import Neighbourhood
from recmodels.models.parts.modalities import modalities
from recmodels.signatures import CountFromOne, NotNegative


class ItemKNNCBF(Neighbourhood):
    """An item scores the `knn_k` items with the features most like its own, itself among the candidates.

    Similarity is a cosine of all modalities side by side whose denominator grows by `shrink`. As in the benchmark the
    features keep their scales, so the modality with the larger numbers counts more. Nothing is trained.
    """

    def __init__(self, data: RecDataset, *, knn_k: CountFromOne = 10, shrink: NotNegative = 10.0):
        super().__init__(data, knn_k=knn_k, shrink=shrink)
        self.take(similar_by_content(data, modalities(data, "ItemKNNCBF"), knn_k, shrink))
