"""Graphs as sparse matrices, built once per data set, and the products over them."""

from recmodels.graphs.agreement import largest_of_confident, shares_by_agreement
from recmodels.graphs.items import item_graph
from recmodels.graphs.propagation import MeanGraph, PrunedGraph, UserItemGraph
from recmodels.graphs.users import UserGraph
from recmodels.graphs.weighted import UserItemEdges

__all__ = [
    "MeanGraph",
    "PrunedGraph",
    "UserGraph",
    "UserItemEdges",
    "UserItemGraph",
    "item_graph",
    "largest_of_confident",
    "shares_by_agreement",
]
