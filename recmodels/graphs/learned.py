"""The item graph that a model learns: the largest cosines of projected features, which have a gradient."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from recmodels.graphs.items import listed
from recmodels.ops import ConstantMatrix, Sparse, rows_at_a_time, top_columns, unit_rows


@dataclass(frozen=True, eq=False)
class LearnedGraph:
    """(1 - share) * learned + share * fixed, each the sum over M modalities by their weights; (I, I), directed.

    The learned one holds at each of an item's k nearest neighbours, itself one, their cosine, after the sum over the
    roots of the sums of both rows; a row without a positive sum is empty. Zhang et al., LATTICE, ACM MM 2021.
    `neighbours`, `cosines` (I, k), one for each modality. `weights` (M,). `fixed`: a graph of each modality.
    """

    neighbours: Sequence[Tensor]
    cosines: Sequence[Tensor]
    weights: Tensor
    fixed: Sequence[ConstantMatrix]
    share: float

    @classmethod
    def of(
        cls, views: Sequence[Tensor], k: int, weights: Tensor, fixed: Sequence[ConstantMatrix], share: float
    ) -> "LearnedGraph":
        """Return the graph of these views of the items, (I, F) each. Cosines and weights have gradients, the choice of
        neighbours has none."""
        units = [unit_rows(view) for view in views]
        neighbours = [nearest_rows(unit.detach(), k) for unit in units]
        pairs = zip(units, neighbours, strict=True)
        cosines = [torch.einsum("if,ikf->ik", unit, _gathered(unit, near)) for unit, near in pairs]
        return cls(neighbours, cosines, weights, fixed, share)

    def smoothed(self, items: Tensor, n_hops: int) -> Tensor:
        """Return items (I, D) after `n_hops` hops, with a gradient for the graph too."""
        roots = self._roots().unsqueeze(1)
        for _ in range(n_hops):
            learned, fixed = torch.zeros_like(items), torch.zeros_like(items)
            for weight, near, cosines, graph in zip(
                self.weights, self.neighbours, self.cosines, self.fixed, strict=True
            ):
                learned = learned + weight * torch.einsum("ik,ikd->id", cosines, _gathered(roots * items, near))
                fixed = fixed + weight * graph(items)
            items = (1 - self.share) * roots * learned + self.share * fixed
        return items

    @torch.no_grad()
    def constant(self) -> ConstantMatrix:
        """Return the graph as it is now, on its device."""
        roots, n = self._roots(), len(self.neighbours[0])
        parts = []
        for weight, near, cosines, graph in zip(self.weights, self.neighbours, self.cosines, self.fixed, strict=True):
            learned = weight * cosines * roots.unsqueeze(1) * roots[near]
            fixed = graph.matrix.rows.to_scipy(n) * float(weight)
            parts.append((1 - self.share) * listed(near.cpu().numpy(), learned.cpu().numpy()) + self.share * fixed)
        made: ConstantMatrix = ConstantMatrix(Sparse.from_scipy(sum(parts[1:], start=parts[0])))
        return made.to(roots.device, roots.dtype)

    def _roots(self) -> Tensor:
        """Return one over the root of each row's sum, (I,), 0 where that is not positive."""
        weighted = [weight * each.sum(1) for weight, each in zip(self.weights, self.cosines, strict=True)]
        sums = torch.stack(weighted).sum(0)
        return torch.where(sums > 0, sums, 1).rsqrt() * (sums > 0)


def nearest_rows(units: Tensor, k: int) -> Tensor:
    """Return the k rows (I, k) with the largest inner product with each row of (I, F), without a gradient."""
    return torch.cat([top_columns(block @ units.t(), k) for block in units.split(rows_at_a_time(units))])


def _gathered(rows: Tensor, near: Tensor) -> Tensor:
    """Return the rows (I, k, D) at the places `near` (I, k)."""
    return rows.index_select(0, near.flatten()).view(*near.shape, -1)
