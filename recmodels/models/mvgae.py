"""MVGAE: Yi, Chen, Multi-Modal Variational Graph Auto-Encoder for Recommendation Systems, IEEE Transactions on
Multimedia, 2021."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from recmodels.data.dataset import RecDataset
from recmodels.graphs import ClosedMeanGraph
from recmodels.losses import summed_bpr
from recmodels.models.base import Recommender, Variant
from recmodels.models.parts.item_features import ItemFeatures
from recmodels.models.parts.modalities import modalities
from recmodels.models.parts.tables import xavier_normal
from recmodels.ops import Dropout, distinct_ids, unit_rows
from recmodels.signatures import NotNegative, ShareBelowOne

LATENT_SIZE = 128
"""Columns of a node before the first convolution."""
LARGEST = 10.0
"""Logarithms of variances are cut off here where they are drawn from and penalised."""


class Normal(NamedTuple):
    """A normal distribution of each node with independent columns: `mean` and `log_variance` (N, D)."""

    mean: Tensor
    log_variance: Tensor

    def divergence(self) -> Tensor:
        """Return the Kullback-Leibler divergence from the standard normal, the mean over the nodes, ()."""
        log_variance = self.log_variance.clamp(max=LARGEST)
        return -(1 + log_variance - self.mean.square() - log_variance.exp()).sum() / (2 * len(self.mean))

    def drawn_at(self, nodes: Tensor, noise: nn.Module) -> Tensor:
        """Return a vector of each of the `nodes` (n,), drawn with the noise, (n, D)."""
        mean, log_variance = self.mean.index_select(0, nodes), self.log_variance.index_select(0, nodes)
        return mean + noise(mean) * (log_variance.clamp(max=LARGEST) / 2).exp()


def product_of_experts(experts: Sequence[Normal]) -> Normal:
    """Return the normalised product of the experts' densities; with one of them, that expert."""
    if len(experts) == 1:
        return experts[0]
    precisions = [1 / (expert.log_variance.exp() + 1e-8) for expert in experts]
    total = torch.stack(precisions).sum(0)
    weighted = [expert.mean * precision for expert, precision in zip(experts, precisions, strict=True)]
    return Normal(torch.stack(weighted).sum(0) / total, -total.log())


class MVGAE(Recommender):
    """A graph auto-encoder of each modality and of random item vectors, each a normal distribution of every node; the
    product of all of them ranks.

    Users and the random item vectors never train, as in the benchmark: they belong to the weights nonetheless. Each
    positive meets the hardest negative of the whole batch, and the loss is a sum over the batch with a base-2
    logarithm. The benchmark takes rows of users for items in its loss, by numbers that lack the offset of the users:
    `variant="benchmark"` does so too; the default, `variant="paper"`, takes the rows of items. Ranking is at the
    weights and means as they are, where the benchmark ranks by the last training step's noise. One convolution.
    """

    def __init__(
        self,
        data: RecDataset,
        *,
        embedding_size: int = 64,
        kl_weight: NotNegative = 0.1,
        dropout: ShareBelowOne = 0.1,
        noise_scale: NotNegative = 0.1,
        variant: Variant = "paper",
    ):
        super().__init__(data, kl_weight=kl_weight, dropout=dropout, noise_scale=noise_scale, variant=variant)
        names = modalities(data, "MVGAE")
        self.kl_weight, self.first_item = kl_weight, data.n_users if variant == "paper" else 0
        content = {name: Branch(data, ItemFeatures(data.features[name]), embedding_size) for name in names}
        self.content = nn.ModuleDict(content)
        self.collaborative = Branch(data, RandomFeatures(data.n_items, embedding_size), embedding_size)
        self.branches = [*content.values(), self.collaborative]
        self.graph = ClosedMeanGraph(data)
        self.dropout, self.noise = Dropout(dropout), Noise(noise_scale)

    def embed(self) -> tuple[Tensor, Tensor]:
        joint = self._distributions(nn.Identity())[0]
        users, items = torch.sigmoid(joint.mean).split([self.n_users, self.n_items])
        return users, items

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        distributions = self._distributions(self.dropout)
        nodes, places = distinct_ids(torch.cat([batch[:1], batch[1:] + self.first_item]))
        reconstructions = [reconstruction(each.drawn_at(nodes, self.noise), places) for each in distributions]
        divergences = [each.divergence() for each in distributions]
        return {
            "reconstruction": torch.stack(reconstructions).sum(),
            "kl": self.kl_weight * torch.stack(divergences).sum(),
        }

    def _distributions(self, drop: nn.Module) -> list[Normal]:
        """Return the joint distribution of the nodes, users first, and that of each branch."""
        around = self._means_around([branch.started() for branch in self.branches])
        hidden = [branch.first(own, drop) for branch, own in zip(self.branches, around, strict=True)]
        around = self._means_around(hidden)
        found = [
            branch.distribution(own, mean, drop)
            for branch, own, mean in zip(self.branches, hidden, around, strict=True)
        ]
        joint = product_of_experts([product_of_experts(found[:-1]), found[-1]])
        return [joint, *found]

    def _means_around(self, rows: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Return the mean over each node and its neighbours, in one product for all branches, (N, D) each."""
        users, items = torch.cat(tuple(rows), dim=1).split([self.n_users, self.n_items])
        return torch.cat(self.graph(users, items)).chunk(len(rows), dim=1)


class Branch(nn.Module):
    """From the users' random vectors and item features to a normal distribution of each node."""

    users: Tensor

    def __init__(self, data: RecDataset, features: "ItemFeatures | RandomFeatures", size: int):
        super().__init__()
        self.features = features
        # Nothing but the directions of the users' vectors is ever read.
        self.register_buffer("users", unit_rows(xavier_normal(data.n_users, LATENT_SIZE)))
        self.mlp = linear(features.table.shape[1], LATENT_SIZE)
        self.conv, self.mix = Convolution(LATENT_SIZE, size), linear(size, size)
        self.mean, self.log_variance = Head(size), Head(size)

    def started(self) -> Tensor:
        """Return the nodes after the first convolution's map, (N, D): a mean of mapped rows is the map of the mean, and
        these have fewer columns."""
        items = unit_rows(self.features.linear(self.mlp.weight, self.mlp.bias))
        return torch.cat([self.users @ self.conv.weight, items @ self.conv.weight])

    def first(self, around: Tensor, drop: nn.Module) -> Tensor:
        """Return the hidden nodes (N, D) from what `started` gives, averaged around each."""
        return F.leaky_relu(self.mix(F.leaky_relu(drop(unit_rows(around + self.conv.bias)))))

    def distribution(self, hidden: Tensor, around: Tensor, drop: nn.Module) -> Normal:
        """Return the distribution from the hidden nodes and their means `around`, (N, D) both."""
        return Normal(self.mean(hidden, around, drop), self.log_variance(hidden, around, drop))


class Head(nn.Module):
    """One parameter of a distribution: a convolution and the node itself, each through a map of its own."""

    def __init__(self, size: int):
        super().__init__()
        self.conv, self.own, self.mix = Convolution(size, size), linear(size, size), linear(size, size)

    def forward(self, hidden: Tensor, around: Tensor, drop: nn.Module) -> Tensor:
        convolved = drop(unit_rows(torch.addmm(self.conv.bias, around, self.conv.weight)))
        found = self.mix(F.leaky_relu(convolved)) + F.leaky_relu(self.own(hidden))
        # Exponentials and near-equal scores follow, for which bfloat16 has too few digits.
        return found.to(torch.promote_types(found.dtype, torch.float32))


class Convolution(nn.Module):
    """The map of a convolution: `weight` (C, D), `bias` (D,)."""

    def __init__(self, width: int, size: int):
        super().__init__()
        self.weight = nn.Parameter(xavier_normal(width, size))
        self.bias = nn.Parameter(torch.empty(size).uniform_(-(width**-0.5), width**-0.5))


class RandomFeatures(nn.Module):
    """Random vectors of the items in the place of features. They never train and are saved with the model."""

    table: Tensor

    def __init__(self, n_items: int, size: int):
        super().__init__()
        self.register_buffer("table", xavier_normal(n_items, size))

    def linear(self, weight: Tensor, bias: Tensor) -> Tensor:
        """Map all rows linearly, (I, out)."""
        return F.linear(self.table, weight, bias)


class Noise(nn.Module):
    """Normal noise of a standard deviation."""

    def __init__(self, scale: float):
        super().__init__()
        self.scale = scale

    def forward(self, like: Tensor) -> Tensor:
        return self.scale * torch.randn_like(like) if self.scale else torch.zeros_like(like)


def linear(width: int, size: int) -> nn.Linear:
    """Return a linear map with Xavier's normal weights."""
    made = nn.Linear(width, size)
    nn.init.xavier_normal_(made.weight)
    return made


def reconstruction(drawn: Tensor, places: Tensor) -> Tensor:
    """Return - sum log2 sigmoid(p - n) over a batch, ().

    `drawn` (n, D): a vector of each node of the batch; `places` (3, B): the batch as their places. p: the sigmoid of
    the positive's score; n: of the largest score among all negatives of the batch. Scores are inner products of
    sigmoids.
    """
    user, positive, negative = torch.sigmoid(drawn).index_select(0, places.flatten()).chunk(3)
    with torch.no_grad(), torch.autocast(drawn.device.type, enabled=False):
        hardest = (user @ negative.t()).argmax(dim=1)
    above = torch.sigmoid((user * positive).sum(dim=1))
    below = torch.sigmoid((user * negative.index_select(0, hardest)).sum(dim=1))
    return summed_bpr(above - below) / math.log(2)
