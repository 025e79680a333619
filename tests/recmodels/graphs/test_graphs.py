"""Sparse operations against a slow dense twin, values and gradients."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from recmodels.data.dataset import Interactions, RecDataset
from recmodels.graphs import (
    ClosedMeanGraph,
    MeanGraph,
    Nodes,
    PrunedGraph,
    UserGraph,
    UserItemEdges,
    UserItemGraph,
    cosine_graph,
    item_graph,
    largest_cosine_graph,
    nodes_of,
    smoothed,
)
from recmodels.graphs.edges import sample_edges
from recmodels.graphs.items import nearest_items
from recmodels.graphs.users import _fill_up, nearest_users
from recmodels.ops import sum_of_hops
from recmodels.testing import small_data

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


def normalised(pattern: torch.Tensor) -> torch.Tensor:
    """D^-1/2 A D^-1/2 of the bipartite graph, its (U, I) block."""
    users, items = pattern.sum(1, keepdim=True).clamp(min=1), pattern.sum(0, keepdim=True).clamp(min=1)
    return pattern / (users * items) ** 0.5


@pytest.fixture(autouse=True)
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def hops(block: torch.Tensor, users: torch.Tensor, items: torch.Tensor, n: int) -> list[torch.Tensor]:
    """0..n hops, each (U + I, D)."""
    dense = torch.cat([torch.cat([torch.zeros(U, U), block], 1), torch.cat([block.T, torch.zeros(I, I)], 1)])
    found = [torch.cat([users, items])]
    for _ in range(n):
        found.append(dense @ found[-1])
    return found


def test_one_hop() -> None:
    data, pattern = made()
    users, items = leaves((U, D), (I, D))
    ours = torch.cat(UserItemGraph.of(data)(users, items))
    check(ours, hops(normalised(pattern), users, items, 1)[1], [users, items])


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_sums_of_hops(n: int) -> None:
    data, pattern = made()
    users, items = leaves((U, D), (I, D))
    graph, expected = UserItemGraph.of(data), hops(normalised(pattern), users, items, n)
    check(torch.cat(graph.sum_of_hops(users, items, n)), sum(expected), [users, items])
    check(torch.cat(graph.mean_of_hops(users, items, n)), sum(expected) / (n + 1), [users, items])


SOME = torch.tensor([1, 2, 5]), torch.tensor([0, 3, 4])  # an isolated user and an isolated item among them


@pytest.mark.parametrize("nodes", [Nodes(*SOME), Nodes(users=SOME[0]), Nodes(items=SOME[1])])
@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_hops_at_some_nodes_are_the_rows_of_all_hops(n: int, nodes: Nodes) -> None:
    data, pattern = made()
    users, items = leaves((U, D), (I, D))
    graph, found = UserItemGraph.of(data), hops(normalised(pattern), users, items, n)
    wanted = torch.cat([torch.arange(U) if nodes.users is None else nodes.users])
    wanted = torch.cat([wanted, U + (torch.arange(I) if nodes.items is None else nodes.items)])
    check(torch.cat(graph.sum_of_hops(users, items, n, nodes)), sum(found)[wanted], [users, items])
    if n == 1:
        check(torch.cat(graph(users, items, nodes)), found[1][wanted], [users, items])


def test_weighted_sums_over_the_edges_of_some_nodes() -> None:
    data, pattern = made()
    values, users, items = leaves((int(pattern.sum()),), (U, D), (I, D))
    matrix = torch.zeros(U, I, dtype=torch.float64).masked_scatter(pattern, values)
    at = UserItemEdges(data).at(Nodes(*SOME))
    to_users, to_items = at.sum_to_users(values, items), at.sum_to_items(values, users)
    check(to_users, (matrix @ items)[SOME[0]], [values, items])
    check(to_items, (matrix.T @ users)[SOME[1]], [values, users])
    summed = torch.cat(at.add(to_users, to_items, users, items))
    check(summed, torch.cat([(users + matrix @ items)[SOME[0]], (items + matrix.T @ users)[SOME[1]]]), [users, items])


def test_the_nodes_of_a_batch_with_few_of_the_edges() -> None:
    starts = torch.tensor([0, 1, 2, 3, 4, 20], dtype=torch.int32)  # the last of five nodes has 16 of 20 entries
    batch = torch.tensor([[3, 0, 3, 0], [2, 1, 1, 2], [1, 1, 1, 2]])
    nodes, places = nodes_of(batch, starts, starts)
    assert (nodes.users.tolist(), nodes.items.tolist()) == ([0, 3], [1, 2])
    assert torch.equal(nodes.users[places[0]], batch[0])
    assert torch.equal(nodes.items[places[1:]], batch[1:])


def test_a_side_with_half_of_the_edges_is_left_whole() -> None:
    starts = torch.tensor([0, 1, 2, 3, 4, 8], dtype=torch.int32)
    batch = torch.tensor([[0, 1, 1], [4, 4, 4]])  # half of the entries, in one item
    nodes, places = nodes_of(batch, starts, starts)
    assert nodes.users.tolist() == [0, 1]
    assert nodes.items is None
    assert torch.equal(places, batch)


@pytest.mark.parametrize("n", [0, 1, 2])
def test_items_smoothed_at_some_of_them(n: int) -> None:
    generator = np.random.default_rng(3)
    features = {"image": generator.random((I, 4), dtype=np.float32)}
    graph = item_graph(replace(made()[0], features=features), {"image": 1.0}, 2)
    (items,) = leaves((I, D))
    check(smoothed(graph, items, n, SOME[1]), smoothed(graph, items, n)[SOME[1]], [items])


def test_partners_of_some_users() -> None:
    graph = UserGraph(made()[0], 3)
    (users,) = leaves((U, D))
    check(graph(users, SOME[0]), graph(users)[SOME[0]], [users])


@pytest.mark.parametrize("n", [0, 1, 2, 3])
def test_means_of_hops_from_one_side(n: int) -> None:
    data, pattern = made()
    users, items = leaves((U, D), (I, D))
    graph, block = UserItemGraph.of(data), normalised(pattern)
    from_users = sum(hops(block, users, torch.zeros(I, D), n)) / (n + 1)
    from_items = sum(hops(block, torch.zeros(U, D), items, n)) / (n + 1)
    check(torch.cat(graph.mean_from_users(users, n)), from_users, [users])
    check(torch.cat(graph.mean_from_items(items, n)), from_items, [items])


def test_hops_over_another_matrix_in_each_direction() -> None:
    data, pattern = made()
    users, items = leaves((U, D), (I, D))
    edges = UserItemEdges(data)
    to_users, to_items = torch.rand(2, int(pattern.sum()))
    there, back = (torch.zeros(U, I).masked_scatter(pattern, values) for values in (to_users, to_items))
    ours = sum_of_hops(edges.matrix(to_users), edges.matrix(to_items).t(), users, items, 2, 1.0)
    one = there @ items, back.T @ users
    two = there @ one[1], back.T @ one[0]
    check(torch.cat(ours), torch.cat([users + one[0] + two[0], items + one[1] + two[1]]), [users, items])


def test_means_of_neighbours() -> None:
    data, pattern = made()
    users, items = leaves((U, D), (I, D))
    around_users = pattern / pattern.sum(1, keepdim=True).clamp(min=1) @ items
    around_items = (pattern / pattern.sum(0, keepdim=True).clamp(min=1)).T @ users
    check(torch.cat(MeanGraph(data)(users, items)), torch.cat([around_users, around_items]), [users, items])


def test_a_pruned_graph_is_that_of_the_kept_edges() -> None:
    data, pattern = made()
    graph = PrunedGraph(data)
    torch.manual_seed(0)
    graph.prune(0.4)
    pruned = graph.pruned.block.matrix.rows.tensor(I).to_dense()
    kept = pruned > 0
    assert kept.sum() == int(len(graph.edges) * 0.6)
    assert not (kept & ~pattern).any()
    torch.testing.assert_close(pruned, normalised(kept))
    torch.testing.assert_close(graph.pruned.block.matrix.columns.tensor(U).to_dense(), pruned.T)
    graph.prune(0.0)  # nothing to drop: the full graph
    assert graph.pruned is graph.full


def test_sampled_edges_follow_their_weights() -> None:
    torch.manual_seed(0)
    weights = torch.tensor([4.0, 2.0, 1.0, 1.0])
    draws = np.stack([sample_edges(4, 0.25, weights) for _ in range(4000)])
    assert (draws.sum(1) == 1).all()
    np.testing.assert_allclose(draws.mean(0), weights / 8, atol=0.03)
    draws = np.stack([sample_edges(4, 0.5, weights) for _ in range(4000)])  # the second among those left
    np.testing.assert_allclose(draws.mean(0)[0], 4 / 8 + 2 / 8 * 4 / 6 + 2 * (1 / 8 * 4 / 7), atol=0.03)
    draws = np.stack([sample_edges(4, 0.5) for _ in range(4000)])
    np.testing.assert_allclose(draws.mean(0), 0.5, atol=0.03)


# --- item graph -------------------------------------------------------------------------------------------------------


def with_features(**features: np.ndarray) -> RecDataset:
    data, _ = made()
    return replace(data, features=features, fingerprint=repr(features))


def test_nearest_items_by_cosine(monkeypatch: pytest.MonkeyPatch) -> None:
    features = np.array([[1, 0], [9, 1], [0, 1], [1, 5], [-1, 0]], dtype=np.float32)
    for block in (1, 2**24):
        monkeypatch.setattr("recmodels.graphs.items.BLOCK", block)
        found = nearest_items(with_features(image=features), "image", 2)
        assert [set(row) for row in found.tolist()] == [{0, 1}, {1, 0}, {2, 3}, {3, 2}, {4, 2}]


def test_equally_near_items_go_by_number_after_the_item_itself() -> None:
    features = np.ones((5, 2), dtype=np.float32)
    features[4] = 0  # its cosine with all others is 0
    found = nearest_items(with_features(image=features), "image", 3)
    assert [set(row) for row in found.tolist()] == [{0, 1, 2}, {0, 1, 2}, {0, 1, 2}, {0, 1, 3}, {0, 1, 4}]


def test_item_graph_mixes_the_modalities() -> None:
    rng = np.random.default_rng(0)
    data = with_features(image=rng.random((5, 3), dtype=np.float32), text=rng.random((5, 4), dtype=np.float32))
    (items,) = leaves((5, D))
    expected = torch.zeros(5, 5)
    for modality, weight in (("image", 0.1), ("text", 0.9)):
        expected[torch.arange(5)[:, None], torch.from_numpy(nearest_items(data, modality, 2)).long()] += weight / 2
    check(item_graph(data, {"image": 0.1, "text": 0.9}, 2)(items), expected @ items, [items])


def cosines(features: np.ndarray, k: int) -> torch.Tensor:
    """The k largest cosines of each row, each over the roots of both rows' sums, and 0 elsewhere, (I, I)."""
    unit = torch.nn.functional.normalize(torch.from_numpy(features).double())
    found = unit @ unit.T
    kept = torch.zeros_like(found).scatter(1, found.topk(k).indices, 1) * found
    sums = kept.sum(1)
    return kept / (sums[:, None] * sums).sqrt()


@pytest.mark.parametrize("block", [1, 2**24])
def test_cosine_graph_is_weighted(monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    monkeypatch.setattr("recmodels.graphs.items.BLOCK", block)
    features = np.random.default_rng(0).random((5, 3), dtype=np.float32)
    (items,) = leaves((5, D))
    graph = cosine_graph(with_features(image=features), "image", 3)
    check(graph.double()(items), cosines(features, 3) @ items, [items])


def test_an_item_without_features_has_no_edges() -> None:
    features = np.random.default_rng(0).random((5, 3), dtype=np.float32)
    features[2] = 0
    dense = cosine_graph(with_features(image=features), "image", 2).matrix.rows.tensor(5).to_dense()
    assert dense.isfinite().all()
    assert not dense[2].any()
    assert not dense[:, 2].any()


def test_the_largest_of_two_graphs_may_be_negative() -> None:
    """Where only one has an entry it is that one, below zero too."""
    rng = np.random.default_rng(3)
    data = with_features(image=rng.standard_normal((5, 2), dtype=np.float32), text=rng.random((5, 3), dtype=np.float32))
    ks = {"image": 4, "text": 2}
    one, other = (cosine_graph(data, name, k).matrix.rows.tensor(5).to_dense() for name, k in ks.items())
    expected = torch.where(one == 0, other, torch.where(other == 0, one, torch.maximum(one, other)))
    graph = largest_cosine_graph(data, ks)
    torch.testing.assert_close(graph.matrix.rows.tensor(5).to_dense(), expected)
    assert ((expected < 0) & (other == 0)).any()


# --- user graph -------------------------------------------------------------------------------------------------------


def shared_items() -> tuple[RecDataset, np.ndarray]:
    """40 users, the last of whom shares nothing, and how many items each pair shares."""
    has = np.random.default_rng(1).random((40, 60)) < 0.1
    has[39], has[:, 59] = False, False
    has[39, 59] = True
    users, items = np.nonzero(has)
    train = Interactions.from_pairs(users, items, 40)
    counts = has.astype(int) @ has.T
    np.fill_diagonal(counts, 0)
    return RecDataset("shared", 40, 60, train, train, train, {}, "shared"), counts


@pytest.mark.parametrize("pairs", [1, 100, 2**24])
def test_nearest_users_share_most(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    monkeypatch.setattr("recmodels.graphs.users.PAIRS", pairs)
    data, counts = shared_items()
    partners, found = nearest_users(data, 8)
    for user in range(40):
        best = np.sort(counts[user])[::-1][:8]
        assert (found[user] == best).all()
        listed = partners[user][found[user] > 0]
        assert len(set(listed)) == len(listed)
        assert (counts[user, listed] == best[best > 0]).all()
        assert (partners[user][found[user] == 0] == -1).all()


def test_equal_partners_do_not_go_by_number() -> None:
    everyone = Interactions.from_pairs(np.arange(300), np.zeros(300, dtype=np.int64), 300)
    partners, _ = nearest_users(RecDataset("one", 300, 1, everyone, everyone, everyone, {}, "one"), 20)
    assert 100 < partners.mean() < 200
    assert (partners != np.arange(300)[:, None]).all()


def test_user_graph_is_a_softmax_over_full_lists() -> None:
    data, counts = shared_items()
    graph, (users,) = UserGraph(data, 3), leaves((40, D))
    partners, _ = nearest_users(data, 3)
    expected = torch.zeros(40, 40)
    full = (counts > 0).sum(1) >= 3
    for user in np.flatnonzero(full):
        weights = torch.from_numpy(counts[user, partners[user]]).double().softmax(0)
        expected[user, torch.from_numpy(partners[user]).long()] = weights
    ours = graph(users)
    torch.testing.assert_close(ours[full], (expected @ users)[full])
    assert (ours[39] == 0).all()
    check(ours[full], (expected @ users)[full], [users])


def test_short_lists_are_filled_up_as_from_an_urn() -> None:
    torch.manual_seed(0)
    counts = np.tile(np.array([[3, 2, 0, 0]], dtype=np.int32), (6000, 1))
    copies = _fill_up(counts)
    assert (copies[:, :2].sum(1) == 4).all()
    assert (copies[:, 2:] == 0).all()
    # The third is either; the fourth repeats whoever is ahead with chance 2/3: of 1, 2 or 3 copies each is as likely.
    np.testing.assert_allclose([(copies[:, 0] == n).mean() for n in (1, 2, 3)], 1 / 3, atol=0.03)


def test_what_is_slow_to_derive_is_kept(tmp_path: Path) -> None:
    data, _ = shared_items()
    data = replace(data, features={"image": np.eye(60, 7, dtype=np.float32)}, fingerprint="kept", cache_dir=tmp_path)
    first = nearest_users(data, 4), nearest_items(data, "image", 4)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["nearest-v1-kept-image-4.npz", "partners-v1-kept-4.npz"]
    again = nearest_users(replace(data, train=data.train), 4), nearest_items(data, "image", 4)
    assert (first[0][0] == again[0][0]).all()
    assert (first[1] == again[1]).all()


def test_a_closed_mean_has_the_node_itself_in_it() -> None:
    data = small_data()  # one user has no training pair
    adjacency = torch.zeros(42, 42)
    adjacency[data.train.users, 13 + data.train.items] = 1
    adjacency = adjacency + adjacency.T + torch.eye(42)
    nodes = torch.randn(42, 3)
    found = torch.cat(ClosedMeanGraph(data)(*nodes.split([13, 29])))
    torch.testing.assert_close(found, adjacency / adjacency.sum(1, keepdim=True) @ nodes)
