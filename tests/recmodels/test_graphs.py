"""Sparse operations against a slow dense twin, values and gradients."""

import numpy as np
import torch

from recmodels.data.dataset import Interactions, RecDataset
from recmodels.graphs import NormalisedAdjacency, UserItemEdges

U, I, D = 7, 5, 3  # noqa: E741


def made() -> tuple[RecDataset, torch.Tensor]:
    """A random graph with an isolated user and an isolated item, and its dense (U, I) pattern."""
    dense = np.random.default_rng(0).random((U, I)) < 0.5
    dense[2], dense[:, 4] = False, False
    users, items = np.nonzero(dense)
    train = Interactions.from_pairs(users, items, U)
    return RecDataset("made", U, I, train, train, train, {}, "made"), torch.from_numpy(dense)


def leaves(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(1)
    return [torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True) for shape in shapes]


def check(ours: torch.Tensor, dense: torch.Tensor, inputs: list[torch.Tensor]) -> None:
    torch.testing.assert_close(ours, dense)
    weights = torch.randn_like(ours)
    for a, b in zip(
        torch.autograd.grad((ours * weights).sum(), inputs, retain_graph=True),
        torch.autograd.grad((dense * weights).sum(), inputs, retain_graph=True),
        strict=True,
    ):
        torch.testing.assert_close(a, b)


def test_dot_at_the_edges() -> None:
    data, pattern = made()
    users, items = leaves((U, D), (I, D))
    check(UserItemEdges(data).dot(users, items), (users @ items.T)[pattern], [users, items])


def test_weighted_sums_over_edges() -> None:
    data, pattern = made()
    edges = UserItemEdges(data)
    values, users, items = leaves((int(pattern.sum()),), (U, D), (I, D))
    matrix = torch.zeros(U, I, dtype=torch.float64).masked_scatter(pattern, values)
    check(edges.sum_to_users(values, items), matrix @ items, [values, items])
    check(edges.sum_to_items(values, users), matrix.T @ users, [values, users])


def test_softmax_over_the_edges_of_a_node() -> None:
    data, pattern = made()
    edges = UserItemEdges(data)
    (logits,) = leaves((int(pattern.sum()),))
    matrix = torch.full((U, I), -torch.inf, dtype=torch.float64).masked_scatter(pattern, logits)
    check(edges.softmax_by_user(logits), matrix.softmax(1)[pattern], [logits])
    check(edges.softmax_by_item(logits), matrix.softmax(0)[pattern], [logits])


def test_normalised_adjacency() -> None:
    data, pattern = made()
    graph = NormalisedAdjacency(data)
    dense = torch.zeros(U + I, U + I)
    dense[:U, U:] = pattern.float()
    dense = dense + dense.T
    scale = (dense.sum(1) + 1e-7) ** -0.5
    dense = scale[:, None] * dense * scale
    (nodes,) = leaves((U + I, D))
    check(graph(nodes.float()), dense @ nodes.float(), [nodes])
