"""The training pairs as edges whose weights have gradients."""

import numpy as np
import torch
from torch import nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs.edges import edges_of
from recmodels.ops import EdgePattern, shared_tensor


class UserItemEdges(nn.Module):
    """An `EdgePattern` of the training pairs that moves with its model and is not saved with it."""

    def __init__(self, data: RecDataset):
        super().__init__()
        edges = edges_of(data)
        by_user, by_item = edges.matrix(np.ones(len(edges)))
        users, items = shared_tensor(edges.users), shared_tensor(edges.items)
        pattern = EdgePattern(users, items, *by_user[:2], *by_item[:2], torch.from_numpy(edges.item_major))
        for name, tensor in pattern._asdict().items():
            self.register_buffer(name, tensor, persistent=False)

    @property
    def pattern(self) -> EdgePattern:
        return EdgePattern(*(self.get_buffer(name) for name in EdgePattern._fields))
