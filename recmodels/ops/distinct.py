"""The distinct ids of a batch."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor


class Distinct(NamedTuple):
    """`values` (n,), ascending, and the `place` of each given id in them, in the shape of what was given."""

    values: Tensor
    place: Tensor

    def first(self) -> Tensor:
        """Return which of the values are the first of their kind, (n,) bool."""
        return torch.zeros_like(self.values, dtype=torch.bool).index_fill_(0, self.place.flatten(), True)

    def counts(self) -> Tensor:
        """Return how often each of the values was given, (n,); of values with repeats, the first has it, the others 0.

        In torch's default floating type.
        """
        ones = torch.ones(self.place.numel(), device=self.place.device)
        return ones.new_zeros(len(self.values)).index_add_(0, self.place.flatten(), ones)


def distinct_ids(ids: Tensor) -> Distinct:
    """Return the distinct ids of a batch, as torch's `unique` does, which on a GPU would make the host wait.

    There `values` are all ids in order, with repeats: the place of an id is the first of its repeats.
    """
    if ids.is_cuda:
        values = ids.flatten().sort().values
        return Distinct(values, torch.searchsorted(values, ids.contiguous()))
    drawn = ids.numpy()
    occurs = np.zeros(drawn.max(initial=-1) + 1, dtype=bool)
    occurs[drawn] = True
    nodes = np.flatnonzero(occurs)  # a third of the time of `unique`, which sorts
    places = np.empty(len(occurs), dtype=np.int64)
    places[nodes] = np.arange(len(nodes))
    return Distinct(torch.from_numpy(nodes), torch.from_numpy(places[drawn]))
