"""Each model against the reference's numbers: loss, every gradient, representations, scores; and its random draws."""

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse

from recmodels.graphs import ALL, UserItemGraph
from recmodels.graphs.edges import edges_of
from recmodels.graphs.learned import nearest_rows
from recmodels.graphs.users import nearest_users
from recmodels.models import Recommender
from recmodels.models.damrs import _weights
from recmodels.ops import ConstantMatrix, Sparse, cut_rows, distinct_ids, neighbour_losses, unit_rows
from tests.recmodels import reference as golden
from tests.recmodels.models.reference_cases import CASES, FROZEN, LONG, SHORT, build, scores, total

DOUBLE = ["VBPR", "GRCN", "MMGCN", "DualGNN", "MGCN", "SMORE", "LATTICE", "MVGAE"]
"""Models whose files also hold a run in double precision."""


@pytest.fixture
def double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def replay(name: str, model: Recommender, z: dict[str, Any]) -> Recommender:
    """Put what the reference drew at random in the place of our draws."""
    if name == "DRAGON":
        model.user_graph = user_graph(z["user_sample_index"], z["user_sample_weight"])
    if name == "DualGNN":
        model.user_graph = user_graph(z["user_graph_index"], z["user_graph_weight"])
    if name == "SelfCF":
        model.paper = True  # the main pass drops no edges
    if name == "LGMRec":
        model._noisy = lambda logits: logits
    if name == "MVGAE":
        for branch, theirs in (*zip(model.content.values(), LONG.values(), strict=True), (model.collaborative, "id")):
            branch.users = unit_rows(torch.from_numpy(z[f"fixed_{theirs}_preference"]).to(branch.users))
        model.collaborative.features.table = torch.from_numpy(z["fixed_id_item"]).to(branch.users)
    if name == "PGL" and model.is_local:
        model.graph.pruned = UserItemGraph(model.graph.edges.subset(mask_of(model, z, z["kept_edges"])))
    return model


def user_graph(partners: np.ndarray, weights: np.ndarray) -> ConstantMatrix:
    users = np.repeat(np.arange(len(partners)), partners.shape[1])
    shape = (len(partners), len(partners))
    values = weights.ravel().astype(np.float64)
    return ConstantMatrix(Sparse.from_scipy(sparse.csr_array((values, (users, partners.ravel())), shape)))


def golden_model(name: str, *features: str, **changes: Any) -> tuple[Recommender, dict[str, Any]]:
    z = golden.load(name.lower())
    return replay(name, build(name, z, *features, **changes), z), z


def array(name: str, parameter: str, prefix: str) -> str:
    return f"{prefix}_{CASES[name].arrays()[parameter]}"


def cancels(name: str, parameter: str) -> bool:
    """Say whether the true gradient is zero, so that only round-off appears."""
    zero = {
        "FREEDOM": ["projection.bias"],
        "MMGCF": ["projection.bias"],
        "SLMRec": ["alignment.first.bias", "alignment.last.bias"],
    }
    return any(end in parameter for end in zero.get(name, ()))


@pytest.mark.parametrize("name", CASES)
def test_reproduces_the_reference(name: str) -> None:
    model, z = golden_model(name)
    loss = total(model, z)
    loss.backward()
    assert golden.error(loss, z["loss"]) < 1e-5
    assert golden.error(scores(model), z["scores_before_sigmoid" if name == "SLMRec" else "scores"]) < 1e-5
    if name != "SelfCF":  # its two sides are [prediction | representation]
        users, items = model.embed()
        assert golden.error(users, z["user_repr"]) < 1e-5
        assert golden.error(items, z["item_repr"]) < 1e-5
    trained = {key: parameter for key, parameter in model.named_parameters() if parameter.requires_grad}
    assert set(trained) == set(CASES[name].arrays())
    for ours, parameter in trained.items():
        theirs = z[array(name, ours, CASES[name].gradients)].reshape(parameter.shape)
        if cancels(name, ours):
            assert parameter.grad.abs().max() < 1e-6, ours
        else:
            assert golden.error(parameter.grad, theirs) < CASES[name].loose.get(ours, 1e-5), ours


@pytest.mark.parametrize(
    "name", ["LightGCN", "SelfCF", "LayerGCN", "FREEDOM", "GRCN", "DualGNN", "DRAGON", "MMGCF", "PGL"]
)
def test_reproduces_the_reference_with_the_last_hop_at_the_batchs_nodes(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    cut: list[int] = []
    monkeypatch.setattr("recmodels.graphs.nodes.SHARE", 2.0)
    monkeypatch.setattr("recmodels.ops.sparse.cut_rows", counted(cut))
    monkeypatch.setattr("recmodels.graphs.weighted.cut_rows", counted(cut))
    test_reproduces_the_reference(name)
    of_users, of_items = sorted(set(cut))
    assert of_users < 30
    assert of_users < of_items < 40


def counted(rows: list[int]) -> Callable[..., sparse.csr_array]:
    """`cut_rows` that notes how many rows it cuts out."""

    def run(*inputs: Any, **named: Any) -> sparse.csr_array:
        found = cut_rows(*inputs, **named)
        rows.append(found.shape[0])
        return found

    return run


@pytest.mark.parametrize("name", DOUBLE)
@pytest.mark.usefixtures("double_precision")
def test_reproduces_the_reference_in_double_precision(name: str) -> None:
    model, z = golden_model(name)
    loss = total(model, z)
    loss.backward()
    assert golden.error(loss, z["loss_f64"]) < 1e-9
    assert golden.error(scores(model), z["scores_f64"]) < 1e-9
    for ours in CASES[name].arrays():
        found = model.get_parameter(ours).grad
        assert golden.error(found, z[array(name, ours, "grad64")].reshape(found.shape)) < 1e-9, ours


def test_lattice_in_a_later_batch_of_an_epoch() -> None:
    """The item graph is that of the weights with which the epoch began; a ranking makes its own."""
    model, z = golden_model("LATTICE")
    model.new_epoch()
    assert golden.error(model.epoch_graph.matrix.rows.tensor(40).to_dense(), z["item_graph"]) < 1e-5
    arrays = CASES["LATTICE"].arrays()
    weights = {ours: torch.from_numpy(z[f"later_param_{theirs}"]) for ours, theirs in arrays.items()}
    shapes = {ours: parameter.shape for ours, parameter in model.named_parameters()}
    model.load_state_dict(model.state_dict() | {ours: each.view(shapes[ours]) for ours, each in weights.items()})
    loss = torch.stack([*model.later_loss(golden.batch(z)).values()]).sum()
    loss.backward()
    assert golden.error(loss, z["later_loss"]) < 1e-5
    assert golden.error(scores(model), z["later_scores"]) < 1e-5
    for ours, parameter in model.named_parameters():
        if ours in ("user_emb", "item_emb"):
            assert golden.error(parameter.grad, z[f"later_grad_{ours}"]) < 1e-5
        else:  # zeros, not none: the optimiser moves them on by their momentum
            assert not parameter.grad.any()


def test_damrs_terms_and_what_it_derives() -> None:
    model, z = golden_model("DAMRS")
    terms, batch = model.loss(golden.batch(z)), golden.batch(z)
    assert golden.error(terms["bpr"], z["loss_bpr"]) < 1e-5
    assert golden.error(terms["alignment"], z["hp_kl_weight"] * z["loss_kl"]) < 1e-5
    distinct, views = distinct_ids(batch[1:]), dict(zip(model.item_graphs, model.views(), strict=True))
    units = [unit_rows(view) for view in views.values()]
    shares = torch.full((len(distinct.values),), 1 / len(distinct.values))
    assert distinct.values.tolist() == z["distinct_items"].tolist()
    for name, loss in zip(views, neighbour_losses(distinct.values, shares, 10, *units), strict=True):
        assert golden.error(loss, z[f"loss_neighbour_{LONG.get(name, 'behaviour')}"]) < 1e-5
        assert golden.error(views[name], z[f"h_{LONG.get(name, 'behaviour')}"]) < 1e-5
    users, _ = model.embed()
    chosen = [unit.index_select(0, distinct.values) for unit in units]
    for weights, theirs in zip(_weights(users[batch[0]], chosen, distinct), ("pos_weight", "neg_weight"), strict=True):
        assert golden.error(weights, z[theirs]) < 1e-5


# --- one modality -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "modality", "loss", "scored"),
    [
        (name, modality, prefix.format(short, "loss"), prefix.format(short, "scores"))
        for names, prefix, shorts in (
            (["GRCN"], "{1}_{0}_only", {"image": "v"}),
            (["MMGCN", "VBPR", "DualGNN"], "{1}_{0}_only", SHORT),
            (["FREEDOM", "DRAGON", "BM3", "LATTICE"], "only_{0}_{1}", LONG),
        )
        for name in names
        for modality, short in shorts.items()
    ],
)
def test_one_modality(name: str, modality: str, loss: str, scored: str) -> None:
    z = golden.load(name.lower())
    inert = 0.0
    if name == "VBPR":
        z["param_item_projection_weight"] = z["param_item_projection_weight"][
            :, slice(12, 28) if modality == "image" else slice(0, 12)
        ]
    if name == "GRCN":
        z["param_confidence"] = z["param_confidence"][:, :1]
    if name in ("DRAGON", "DualGNN"):  # there the unused modality weights go on shrinking
        unused = [value for key, value in z.items() if key.startswith("param_") and key.endswith("modality_weight")]
        inert = z["hp_reg_weight"] * sum(np.square(weights).mean() for weights in unused)
    model = replay(name, build(name, z, modality), z)
    assert golden.error(total(model, z) + inert, z[loss]) < 1e-5
    if scored in z:
        assert golden.error(scores(model), z[scored]) < 1e-5


def test_slmrec_with_images_alone() -> None:
    z = golden.load("slmrec")
    for side in ("user", "item"):
        z[f"param_{side}_fusion_weight"] = z[f"param_{side}_fusion_weight"][:, : 2 * z["hp_embedding_size"]]
    model = build("SLMRec", z, "image")
    assert golden.error(total(model, z), z["only_visual_loss"]) < 1e-5
    assert golden.error(scores(model), z["only_visual_scores_before_sigmoid"]) < 1e-5


# --- random draws, replayed -------------------------------------------------------------------------------------------


class Recorded(torch.nn.Module):
    """In the place of a dropout: multiplies by one mask after the other."""

    def __init__(self, rate: float, *masks: np.ndarray):
        super().__init__()
        self.rate, self.masks = rate, [torch.from_numpy(mask) for mask in masks]

    def forward(self, values: torch.Tensor) -> torch.Tensor:
        return values * self.masks.pop(0) / (1 - self.rate)


def check_replay(name: str, model: Recommender, z: dict[str, Any], prefix: str) -> None:
    loss = total(model, z)
    loss.backward()
    assert golden.error(loss, z[f"{prefix}_loss"]) < 1e-5
    for ours, parameter in model.named_parameters():
        theirs = z[array(name, ours, f"{prefix}_grad")]
        if cancels(name, ours):
            assert parameter.grad.abs().max() < 1e-6, ours
        else:
            assert golden.error(parameter.grad, theirs) < 1e-5, ours


def test_bm3_with_dropout() -> None:
    model, z = golden_model("BM3")
    users, items = np.unique(z["users"]), np.unique(z["pos"])
    rows = {"user": users, "item": items, "visual": items, "text": items}
    masks = [z[f"replay_keep_{name}"][index] for name, index in rows.items()]
    model.dropout = Recorded(z["hp_replay_dropout"].item(), *masks)
    check_replay("BM3", model, z, "replay")


@pytest.mark.parametrize("name", ["FREEDOM", "MMGCF"])
def test_on_a_pruned_graph(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    model, z = golden_model(name, dropout=golden.load(name.lower())["hp_replay_dropout"].item())
    keep(monkeypatch, model, z, z["replay_kept_edges"])
    model.new_epoch()
    if name == "FREEDOM":
        expected = np.zeros((70, 70))
        expected[z["replay_adj_row"], z["replay_adj_col"]] = z["replay_adj_val"]
        assert golden.error(dense(model.graph.pruned), expected[:30, 30:]) < 1e-6
    check_replay(name, model, z, "replay")


def test_pgl_on_a_drawn_subgraph_and_with_masked_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    model, z = golden_model("PGL", dropout=golden.load("pgl")["hp_replay_dropout"].item())
    keep(monkeypatch, model, z, z["kept_edges"])
    model.new_epoch()
    expected = np.zeros((70, 70))
    expected[z["train_adj_row"], z["train_adj_col"]] = z["train_adj_val"]
    assert golden.error(dense(model.graph.pruned), expected[:30, 30:]) < 1e-6
    masks = [z[f"replay_keep_{side}_{view}"] for side in ("user", "item") for view in (1, 2)]
    model.dropout = Recorded(z["hp_replay_dropout"].item(), *masks)
    check_replay("PGL", model, z, "replay")


def test_pgl_on_the_global_subgraph() -> None:
    z = golden.load("pgl")
    model = build("PGL", z | {"edges": z["global_edges"]}, mode="global")
    expected = np.zeros((70, 70))
    expected[z["global_adj_row"], z["global_adj_col"]] = z["global_adj_val"]
    assert golden.error(dense(model.graph.pruned), expected[:30, 30:]) < 1e-6
    model.new_epoch()  # draws nothing
    check_replay("PGL", model, z, "global")
    assert golden.error(scores(model), z["global_scores"]) < 1e-5


@pytest.mark.parametrize(
    ("name", "terms"),
    [
        (
            "MVGAE",
            {
                "reconstruction": {f"loss_recon_{which}": 1.0 for which in ("joint", "visual", "text", "id")},
                "kl": {f"loss_kl_{which}": 0.3 for which in ("joint", "visual", "text", "id")},
            },
        ),
        ("PGL", {"bpr": {"loss_bpr": 1.0}, "contrast": {"loss_cl_user": 0.025, "loss_cl_item": 0.025}}),
    ],
)
def test_each_term_of_the_loss(name: str, terms: dict[str, dict[str, float]]) -> None:
    """A term is the weighted sum of arrays of the file."""
    model, z = golden_model(name)
    found = model.loss(golden.batch(z))
    assert found.keys() == terms.keys()
    for ours, theirs in terms.items():
        expected = sum(weight * z[array] for array, weight in theirs.items())
        assert golden.error(found[ours], expected) < 1e-5, ours


@pytest.mark.parametrize("epoch", [0, 1, 2])
def test_layergcn_on_a_pruned_graph(monkeypatch: pytest.MonkeyPatch, epoch: int) -> None:
    z = golden.load("layergcn")
    model, _ = golden_model("LayerGCN", dropout=z["prune_hp_dropout"][epoch].item())
    keep(monkeypatch, model, z, z[f"prune{epoch}_keep_idx"])
    model.new_epoch()
    assert golden.error(dense(model.graph.pruned), z[f"prune{epoch}_adj_norm"][:30, 30:]) < 1e-6
    check_replay("LayerGCN", model, z, f"prune{epoch}")


def keep(monkeypatch: pytest.MonkeyPatch, model: Recommender, z: dict[str, Any], kept: np.ndarray) -> None:
    """Let the next pruning keep the given rows of the file's edges."""
    mask = mask_of(model, z, kept)

    def sample(n_edges: int, share: float, weights: torch.Tensor | None) -> np.ndarray:
        assert (n_edges, int(n_edges * share)) == (len(mask), mask.sum())
        return mask

    monkeypatch.setattr("recmodels.graphs.propagation.sample_edges", sample)


def mask_of(model: Recommender, z: dict[str, Any], kept: np.ndarray) -> np.ndarray:
    """The given rows of the file's edges among the model's, (E,)."""
    edges = model.graph.edges
    chosen = {tuple(pair) for pair in z["edges"][kept].tolist()}
    mask = np.array([pair in chosen for pair in zip(edges.users.tolist(), edges.items.tolist(), strict=True)])
    assert mask.sum() == len(kept)
    return mask


def dense(graph: UserItemGraph) -> torch.Tensor:
    return graph.block.matrix.rows.tensor(40).to_dense()


def test_selfcf_with_dropped_edges(monkeypatch: pytest.MonkeyPatch) -> None:
    model, z = golden_model("SelfCF", dropout=golden.load("selfcf")["drop_hp_dropout"].item())
    rate = z["drop_edge_drop_rate"].item()
    edges, kept = edges_of(golden.dataset(z)), torch.from_numpy(z["drop_adj_keep"])
    to_users, to_items = kept[:30, 30:][edges.users, edges.items], kept[30:, :30][edges.items, edges.users]
    drops = cycle([model.edges.matrix(model.weights * mask / (1 - rate)) for mask in (to_users, to_items)])
    monkeypatch.setattr(model, "_dropped", lambda _: next(drops))
    model.paper = False
    masks = [z[f"drop_target_keep_{side}"] for side in ("user", "item")]
    model.dropout = Recorded(z["drop_hp_dropout"].item(), *masks)
    check_replay("SelfCF", model, z, "drop")


def test_smore_with_dropout() -> None:
    model, z = golden_model("SMORE")
    users, items = np.unique(z["users"]), np.unique(np.concatenate([z["pos"], z["neg"]])) + 30
    streams = ("fusion", "visual", "text")
    masks = [z[f"replay_keep_{stream}"][rows] for rows in (users, items) for stream in streams]
    model.dropout = Recorded(z["hp_replay_dropout"].item(), *masks)
    check_replay("SMORE", model, z, "replay")


def test_lgmrec_with_noise_and_dropout() -> None:
    z = golden.load("lgmrec")
    model, _ = golden_model("LGMRec", keep_rate=z["hp_replay_keep_rate"].item())
    places = [(side, modality) for modality in LONG.values() for side in ("item", "user")]
    noise = cycle([torch.from_numpy(z[f"replay_gumbel_{side}_{modality}"]) for side, modality in places])
    model._noisy = lambda logits: logits + next(noise)
    model.dropout = Recorded(
        1 - z["hp_replay_keep_rate"].item(), *[z[f"replay_keep_{side}_{modality}"] for side, modality in places]
    )
    check_replay("LGMRec", model, z, "replay")


def test_lgmrec_with_the_noise_that_the_reference_draws_for_a_ranking() -> None:
    model, z = golden_model("LGMRec")
    places = [(side, modality) for modality in LONG.values() for side in ("item", "user")]
    noise = cycle([torch.from_numpy(z[f"eval_gumbel_{side}_{modality}"]) for side, modality in places])
    model._noisy = lambda logits: logits + next(noise)
    users, items, _ = model._propagate(ALL, drawing=True)
    assert golden.error(users, z["eval_user_repr"]) < 1e-5
    assert golden.error(items, z["eval_item_repr"]) < 1e-5
    assert golden.error(users @ items.T, z["eval_scores"]) < 1e-5


def test_mvgae_with_dropout_and_noise() -> None:
    z = golden.load("mvgae")
    model, _ = golden_model("MVGAE", dropout=z["hp_replay_dropout"].item())
    branches = ("visual", "text", "id")
    layers = [(branch, "conv1") for branch in branches]
    layers += [(branch, f"conv_{head}") for branch in branches for head in ("mu", "logvar")]
    model.dropout = Recorded(z["hp_replay_dropout"].item(), *(z[f"replay_keep_{b}_{layer}"] for b, layer in layers))
    nodes = np.unique(golden.batch(z))
    model.noise = RecordedNoise(0.1, *(z[f"replay_noise_{which}"][nodes] for which in ("joint", *branches)))
    check_replay("MVGAE", model, z, "replay")


class RecordedNoise(torch.nn.Module):
    """In the place of MVGAE's noise: gives one array after the other."""

    def __init__(self, scale: float, *arrays: np.ndarray):
        super().__init__()
        self.scale, self.arrays = scale, [torch.from_numpy(array) for array in arrays]

    def forward(self, like: torch.Tensor) -> torch.Tensor:
        return self.scale * self.arrays.pop(0)


# --- graphs -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["LightGCN", "LayerGCN", "SelfCF"])
def test_adjacency(name: str) -> None:
    z = golden.load(name.lower())
    assert golden.error(dense(UserItemGraph.of(golden.dataset(z))), z["adj_norm"][:30, 30:]) < 1e-6


@pytest.mark.parametrize(
    ("name", "weights"),
    [
        ("layergcn", "edge_weight"),
        ("freedom", "edge_sampling_weight"),
        ("pgl", "edge_sampling_weight"),
        ("mmgcf", "edge_sampling_weight"),
    ],
)
def test_edge_weights(name: str, weights: str) -> None:
    z = golden.load(name)
    edges = edges_of(golden.dataset(z))
    given = {tuple(pair): weight for pair, weight in zip(z["edges"].tolist(), z[weights].tolist(), strict=True)}
    theirs = [given[pair] for pair in zip(edges.users.tolist(), edges.items.tolist(), strict=True)]
    assert golden.error(torch.from_numpy(edges.symmetric_weights()), theirs) < 1e-6


@pytest.mark.parametrize("name", ["FREEDOM", "DRAGON", "PGL"])
def test_item_graph(name: str) -> None:
    model, z = golden_model(name)
    expected = np.zeros((40, 40))
    expected[z["item_graph_row"], z["item_graph_col"]] = z["item_graph_val"]
    assert golden.error(model.item_graph.matrix.rows.tensor(40).to_dense(), expected) < 1e-6


def test_user_graph_counts() -> None:
    z = golden.load("dualgnn")
    _, counts = nearest_users(golden.dataset(z), 25)
    assert (counts == z["user_graph_top_count"]).all()
    z = golden.load("dragon")
    partners, counts = nearest_users(golden.dataset(z), 29)
    found = {
        (user, partner, count)
        for user in range(30)
        for partner, count in zip(partners[user], counts[user], strict=True)
    }
    theirs = zip(z["user_graph_row"], z["user_graph_col"], z["user_graph_count"], strict=True)
    assert {entry for entry in found if entry[1] >= 0} == {tuple(map(int, entry)) for entry in theirs}


@pytest.mark.parametrize(
    ("name", "graph", "array"),
    [
        *((name, graph, f"{LONG[graph]}_graph") for name in ("MGCN", "SMORE") for graph in LONG),
        ("SMORE", "(fused)", "fusion_graph"),
    ],
)
def test_weighted_item_graphs(name: str, graph: str, array: str) -> None:
    model, z = golden_model(name)
    expected = np.zeros((40, 40))
    expected[z[f"{array}_row"], z[f"{array}_col"]] = z[f"{array}_val"]
    assert golden.error(model.item_graphs[graph].matrix.rows.tensor(40).to_dense(), expected) < 1e-6


def test_lattices_graphs() -> None:
    model, z = golden_model("LATTICE")
    for name, long in LONG.items():
        found = model.item_graphs[name].matrix.rows.tensor(40).to_dense()
        assert golden.error(found, z[f"{long}_graph"]) < 1e-6
        unit = unit_rows(model.content[name]())
        cosines = torch.zeros(40, 40).scatter(1, nearest_rows(unit, 5), 1) * (unit @ unit.T)
        assert golden.error(cosines, z[f"learned_{long}_knn"]) < 1e-5
    walk = torch.zeros(70, 70)
    for node in range(70):
        one = torch.nn.functional.one_hot(torch.tensor(node), 70).float().unsqueeze(1)
        walk[:, node] = torch.cat(model.graph(one[:30], one[30:])).squeeze(1)
    expected = np.zeros((70, 70))
    expected[z["ui_adj_row"], z["ui_adj_col"]] = z["ui_adj_val"]
    assert golden.error(walk, expected) < 1e-6


@pytest.mark.parametrize("graph", [*LONG, "(behaviour)"])
def test_damrs_item_graphs(graph: str) -> None:
    model, z = golden_model("DAMRS")
    array, expected = f"{LONG.get(graph, 'behaviour')}_graph", np.zeros((40, 40))
    expected[z[f"{array}_row"], z[f"{array}_col"]] = z[f"{array}_val"]
    assert golden.error(model.item_graphs[graph].matrix.rows.tensor(40).to_dense(), expected) < 1e-6


# --- the papers' own forms --------------------------------------------------------------------------------------------


def test_dualgnn_with_each_view_weighed_by_its_own() -> None:
    model, z = golden_model("DualGNN", variant="paper")
    assert total(model, z).item() == pytest.approx(1.578596, abs=2e-6)


def test_mmgcn_with_trained_ids() -> None:
    model, z = golden_model("MMGCN", variant="paper")
    model.branch_weight = 0.5  # the file's run trains the ids but averages over modalities
    total(model, z).backward()
    for ours, fixed in FROZEN.items():
        theirs = z[fixed.replace("fixed", "auxgrad")]
        assert golden.error(model.get_parameter(ours).grad, theirs) < 1e-5, ours


def test_mvgae_with_the_rows_of_items() -> None:
    model, z = golden_model("MVGAE", variant="paper")
    check_replay("MVGAE", model, z, "shifted")


# --- the forms of MMGCF -----------------------------------------------------------------------------------------------

FORMS = [(weighting, fusion) for weighting in ("equal", "alpha", "normalized") for fusion in ("mean", "sum", "concat")]


def mmgcf(weighting: str, fusion: str, *features: str) -> tuple[Recommender, dict[str, Any]]:
    z = golden.load("mmgcf")
    last = "id_content_fusion" if weighting == "equal" else "all_fusion"
    z |= {f"param_fusion_{part}": z[f"param_{last}_{part}"] for part in ("weight", "bias")}
    return build("MMGCF", z, *features, weighting=weighting, fusion_mode=fusion), z | {"last": last}


@pytest.mark.parametrize(("weighting", "fusion"), FORMS)
def test_every_form_of_mmgcf(weighting: str, fusion: str) -> None:
    model, z = mmgcf(weighting, fusion)
    prefix = "" if (weighting, fusion) == ("equal", "mean") else f"{weighting}_{fusion}_"
    loss = total(model, z)
    loss.backward()
    assert golden.error(loss, z[f"{prefix}loss"]) < 1e-5
    assert golden.error(scores(model), z[f"{prefix}scores"]) < 1e-5
    names = CASES["MMGCF"].arrays() | {"gate": "modal_gate"}
    names |= {f"content_fusion.map.{part}": f"content_fusion_{part}" for part in ("weight", "bias")}
    names |= {f"fusion.map.{part}": f"{z['last']}_{part}" for part in ("weight", "bias")}
    for ours, parameter in model.named_parameters():
        if ours.endswith("map.bias") or (weighting != "normalized" and cancels("MMGCF", ours)):
            assert parameter.grad.abs().max() < 1e-6, ours
        else:
            theirs = z[f"{prefix}grad_{names[ours]}"].reshape(parameter.shape)
            assert golden.error(parameter.grad, theirs) < 1e-5, ours


@pytest.mark.parametrize(("weighting", "fusion"), [each for each in FORMS if each[1] != "concat"])
@pytest.mark.parametrize("modality", SHORT)
def test_every_form_of_mmgcf_with_one_modality(modality: str, weighting: str, fusion: str) -> None:
    model, z = mmgcf(weighting, fusion, modality)
    prefix = f"only_{LONG[modality]}_{weighting}_{fusion}"
    assert golden.error(total(model, z), z[f"{prefix}_loss"]) < 1e-5
    assert golden.error(scores(model), z[f"{prefix}_scores"]) < 1e-5
