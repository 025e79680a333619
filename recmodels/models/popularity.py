"""Popularity: the ranking that each trained model has to beat."""

import numpy as np
import torch
from torch import Tensor

from recmodels.data.dataset import RecDataset
from recmodels.models.base import Recommender


class Popularity(Recommender):
    """Items by their number of training interactions, the same order for every user. Nothing is trained."""

    trains = False
    reads_features = False
    users: Tensor
    items: Tensor

    def __init__(self, data: RecDataset):
        super().__init__(data)
        counts = np.bincount(data.train.items, minlength=data.n_items).astype(np.float32)
        self.register_buffer("users", torch.ones(data.n_users, 1), persistent=False)
        self.register_buffer("items", torch.from_numpy(counts).unsqueeze(1), persistent=False)

    def embed(self) -> tuple[Tensor, Tensor]:
        return self.users, self.items

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return {}
