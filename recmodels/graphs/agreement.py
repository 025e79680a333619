"""How much the two ends of an edge agree, as weights of the edges: the operations of GRCN that are of size E alone."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from recmodels.graphs.weighted import UserItemEdges
from recmodels.ops import fast


def _shares_forward(ctx: Any, edges: UserItemEdges, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    weights = edges.sampled(users, items).exp_()
    to_user = weights / edges.totals_by_user(weights).index_select(0, edges.users)
    to_item = weights.div_(edges.totals_by_item(weights).index_select(0, edges.items))
    ctx.save_for_backward(users, items, to_user, to_item)
    ctx.edges = edges
    return to_user, to_item


def _shares_backward(ctx: Any, of_user: Tensor, of_item: Tensor) -> tuple[None, Tensor, Tensor]:
    users, items, to_user, to_item = ctx.saved_tensors
    edges = ctx.edges
    of_user, of_item = of_user * to_user, of_item * to_item
    grad = of_user.addcmul(to_user, edges.totals_by_user(of_user).index_select(0, edges.users), value=-1)
    grad += of_item.addcmul_(to_item, edges.totals_by_item(of_item).index_select(0, edges.items), value=-1)
    return None, edges.rows(grad).times(items), edges.columns(grad).times(users)


@fast(_shares_forward, _shares_backward)
def shares_by_agreement(edges: UserItemEdges, users: Tensor, items: Tensor) -> tuple[Tensor, Tensor]:
    """Return the softmax of <users[u], items[i]> over the edges of each user and over those of each item, (E,) each.

    From users (U, D) and items (I, D) of moderate length, as no largest logit is subtracted.
    """
    agreement = edges.dot(users, items)
    return edges.softmax_by_user(agreement), edges.softmax_by_item(agreement)


def _largest_forward(ctx: Any, nodes: Tensor, confidence: Tensor, *weights: Tensor) -> Tensor:
    of_edges = [column.index_select(0, nodes) for column in confidence.t().contiguous()]
    products = [of_edge * weight for of_edge, weight in zip(of_edges, weights, strict=True)]
    largest = torch.zeros_like(products[0])
    for product in products:
        torch.maximum(largest, product, out=largest)
    ctx.save_for_backward(nodes, largest, *of_edges, *weights)
    ctx.n_nodes = len(confidence)
    return largest


def _largest_backward(ctx: Any, grad: Tensor) -> tuple[Tensor | None, ...]:
    nodes, largest, *rest = ctx.saved_tensors
    half = len(rest) // 2
    of_edges, weights = rest[:half], rest[half:]
    chosen = [(of_edge * weight == largest) & (largest > 0) for of_edge, weight in zip(of_edges, weights, strict=True)]
    shared = grad / torch.stack(chosen).sum(0).clamp_(min=1)  # as torch's amax: equal ones share the gradient
    shares = [shared * each for each in chosen]
    of_confidence = grad.new_zeros(half, ctx.n_nodes)
    for row, share, weight in zip(of_confidence, shares, weights, strict=True):
        row.index_add_(0, nodes, share * weight)
    return None, of_confidence.t(), *(share * of_edge for share, of_edge in zip(shares, of_edges, strict=True))


@fast(_largest_forward, _largest_backward)
def _largest(nodes: Tensor, confidence: Tensor, *weights: Tensor) -> Tensor:
    of_edges = confidence.index_select(0, nodes)
    return (torch.stack(weights, dim=1) * of_edges).amax(dim=1).relu()


def largest_of_confident(nodes: Tensor, confidence: Tensor, weights: Sequence[Tensor]) -> Tensor:
    """Return for each edge the largest of its M `weights` (E,), each times the node's confidence in it, and 0; (E,).

    `nodes` (E,): the node of each edge. `confidence` (N, M): of the nodes, in each of the weights.
    """
    return _largest(nodes, confidence, *weights)
