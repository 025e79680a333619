"""Graphs as sparse matrices, built once per data set, and the products over them."""

from recmodels.graphs.agreement import largest_of_confident, shares_by_agreement
from recmodels.graphs.items import ItemGraph, cosine_graph, item_graph, largest_cosine_graph, smoothed
from recmodels.graphs.learned import LearnedGraph
from recmodels.graphs.lists import behaviour_graph, consistent_graph
from recmodels.graphs.nodes import ALL, Nodes, nodes_of
from recmodels.graphs.principal import principal_edges
from recmodels.graphs.propagation import ClosedMeanGraph, InteractionGraph, MeanGraph, PrunedGraph, UserItemGraph
from recmodels.graphs.similar import MostSimilar, similar_by_content, similar_by_users
from recmodels.graphs.users import UserGraph
from recmodels.graphs.weighted import EdgesAt, UserItemEdges

__all__ = [
    "ALL",
    "ClosedMeanGraph",
    "EdgesAt",
    "InteractionGraph",
    "ItemGraph",
    "LearnedGraph",
    "MeanGraph",
    "MostSimilar",
    "Nodes",
    "PrunedGraph",
    "UserGraph",
    "UserItemEdges",
    "UserItemGraph",
    "behaviour_graph",
    "consistent_graph",
    "cosine_graph",
    "item_graph",
    "largest_cosine_graph",
    "largest_of_confident",
    "nodes_of",
    "principal_edges",
    "shares_by_agreement",
    "similar_by_content",
    "similar_by_users",
    "smoothed",
]
