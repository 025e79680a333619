"""BPR-MF: Rendle, Freudenthaler, Gantner, Schmidt-Thieme, Bayesian Personalized Ranking, UAI 2009, arXiv 1205.2618."""

from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.losses import batch_norms, batch_squares, bpr
from recmodels.models.base import Recommender, Variant
from recmodels.models.parts.tables import id_embeddings, xavier_normal


class BPR(Recommender):
    """Matrix factorisation without biases.

    The benchmark penalises un-squared norms of the batch's embeddings over the batch size, the paper their squares.
    """

    reads_features = False

    def __init__(
        self, data: RecDataset, *, embedding_size: int = 64, reg_weight: float = 1e-2, variant: Variant = "benchmark"
    ):
        super().__init__(data, variant=variant)
        self.reg_weight = reg_weight
        self.penalty = batch_squares if variant == "paper" else batch_norms
        self.user_emb, self.item_emb = id_embeddings(data, embedding_size, xavier_normal)

    def embed(self) -> tuple[Tensor, Tensor]:
        return self.user_emb, self.item_emb

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        user = self.user_emb.index_select(0, batch[0])
        positive, negative = self.item_emb.index_select(0, batch[1:].flatten()).chunk(2)
        return {
            "bpr": bpr((user * (positive - negative)).sum(-1), floor=1e-10),
            "reg": self.reg_weight * self.penalty(user, positive, negative),
        }
