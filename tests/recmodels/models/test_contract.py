"""The contract of every model, any set of modalities, random structure, the papers' own forms."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from recmodels.data.dataset import RecDataset
from recmodels.errors import DataError
from recmodels.models import MODELS, Recommender
from recmodels.signatures import choices, keywords
from recmodels.testing import check_model
from recmodels.testing import small_data as made

U, I, D = 13, 29, 6  # noqa: E741 - three sizes that tell users, items and columns apart
TRAINED = sorted(name for name, model in MODELS.items() if model.trains)
MULTIMODAL = sorted(name for name, model in MODELS.items() if model.reads_features)
NEEDY = [*MULTIMODAL, "DAMRS"]
"""The models that cannot be made without features; DA-MRS makes graphs of them, but its loss reads none."""
SMALL: dict[str, dict[str, Any]] = {
    "DAMRS": {"knn_k": 3, "behaviour_k": 28},  # all partners: a cut among equals goes by number
    "DRAGON": {"knn_k": 3, "user_graph_k": 20},
    "DualGNN": {"user_graph_k": 20},
    "FREEDOM": {"knn_k": 3},
    "ItemKNN": {"knn_k": 29},  # equally similar items are many, and which of them is left out depends on their ids
    "MMGCN": {"latent_size": 7, "reg_weight": 0.1},
    "PGL": {"knn_k": 3, "reg_weight": 0.1},
}
QUIET: dict[str, dict[str, Any]] = {
    "BM3": {"dropout": 0.0},
    "LGMRec": {"keep_rate": 1.0},
    "MMGCF": {"dropout": 0.0},
    "MVGAE": {"dropout": 0.0, "noise_scale": 0.0},
    "PGL": {"dropout": 0.0},
    "SelfCF": {"dropout": 0.0, "variant": "paper"},
}
"""Settings without a random draw in the loss."""
BATCH = torch.tensor([[0, 1, 1, 5, 12], [3, 4, 7, 0, 28], [9, 8, 8, 11, 2]])


def hyper(name: str) -> dict[str, Any]:
    sizes = {"embedding_size": D} if MODELS[name].trains else {}
    return sizes | SMALL.get(name, {}) | QUIET.get(name, {})


def make(name: str, data: RecDataset, **changes: Any) -> Recommender:
    """A model whose loss draws nothing, if the changes do not make it draw."""
    torch.manual_seed(1)
    model = MODELS[name](data, **hyper(name) | changes)
    if name == "LGMRec":  # its noise has no setting
        model._noisy = lambda logits: logits
    return model


def scores(model: Recommender) -> torch.Tensor:
    with torch.no_grad():
        users, items = model.embed()
    return users @ items.T


def batch_of(model: Recommender, batch: torch.Tensor = BATCH) -> torch.Tensor:
    return batch if model.needs_negatives else batch[:2]


def loss(model: Recommender, batch: torch.Tensor = BATCH) -> torch.Tensor:
    return torch.stack(list(model.loss(batch_of(model, batch)).values())).sum()


@pytest.mark.parametrize(
    "modalities", [("image", "text"), ("image",), ("audio",), ("image", "audio"), ("image", "text", "audio")]
)
@pytest.mark.parametrize("name", MODELS)
def test_keeps_the_contract(name: str, modalities: tuple[str, ...]) -> None:
    check_model(MODELS[name], made(*modalities), **hyper(name))


@pytest.mark.parametrize("variant", ["paper", "amr"])
@pytest.mark.parametrize("name", [name for name in TRAINED if "variant" in keywords(MODELS[name])])
def test_the_other_forms_keep_the_contract(name: str, variant: str) -> None:
    if variant in choices(keywords(MODELS[name])["variant"]):
        check_model(MODELS[name], **hyper(name) | {"variant": variant})


@pytest.mark.parametrize("name", NEEDY)
def test_the_order_of_the_modalities_does_not_matter(name: str) -> None:
    one, other = make(name, made("image", "text", "audio")), make(name, made("audio", "text", "image"))
    assert torch.equal(scores(one), scores(other))
    assert torch.equal(loss(one), loss(other))


@pytest.mark.parametrize("name", NEEDY)
def test_a_modality_of_zeros_breaks_nothing(name: str) -> None:
    data = made("image", "text")
    data = replace(data, features=data.features | {"text": np.zeros((I, 8), dtype=np.float32)}, fingerprint="zeros")
    model = make(name, data)
    loss(model).backward()
    assert all(p.grad.isfinite().all() for p in model.parameters() if p.grad is not None)
    assert scores(model).isfinite().all()


def test_features_do_not_reach_bm3s_embeddings() -> None:
    with_features, with_others = make("BM3", made("image")), make("BM3", made("text"))
    shared = {key: value for key, value in with_features.state_dict().items() if not key.startswith("content")}
    with_others.load_state_dict(with_others.state_dict() | shared)
    for model in (with_features, with_others):
        loss(model).backward()
    assert torch.equal(scores(with_features), scores(with_others))
    torch.testing.assert_close(with_features.user_emb.grad, with_others.user_emb.grad)


@pytest.mark.parametrize("name", [*NEEDY, "ItemKNNCBF"])
def test_says_that_it_needs_features(name: str) -> None:
    with pytest.raises(DataError, match=f"{name} needs item features"):
        make(name, made())


@pytest.mark.parametrize("name", ["FREEDOM", "LayerGCN", "DRAGON", "DualGNN", "MMGCF", "PGL"])
def test_redraws_its_structure_in_each_epoch(name: str) -> None:
    pruned = name in ("FREEDOM", "LayerGCN", "MMGCF")
    model = make(name, made("image", "text"), **({"dropout": 0.5} if pruned else {}))
    losses = set()
    for _ in range(4):
        model.new_epoch()
        losses.add(loss(model).item())
        assert loss(model).item() in losses  # the same within an epoch
    assert len(losses) == 4


@pytest.mark.parametrize(("variant", "uniform"), [("benchmark", [False, True, False]), ("paper", [False] * 3)])
def test_layergcn_prunes_by_degree_and_uniformly(monkeypatch: pytest.MonkeyPatch, variant: str, uniform: list) -> None:
    model, seen = make("LayerGCN", made(), dropout=0.5, variant=variant), []
    monkeypatch.setattr(model.graph, "prune", lambda dropped, by_degree: seen.append(not by_degree))
    for _ in range(3):
        model.new_epoch()
    assert seen == uniform


def test_lgmrecs_noise_is_gumbels() -> None:
    torch.manual_seed(0)
    noise = MODELS["LGMRec"](made("image"))._noisy(torch.full((1000, 100), 3.0)) - 3
    assert noise.mean().item() == pytest.approx(0.5772, abs=0.02)
    assert noise.var().item() == pytest.approx(torch.pi**2 / 6, abs=0.05)


@pytest.mark.parametrize(
    ("name", "changes"),
    [
        *((name, {"dropout": 0.5, "variant": "benchmark"}) for name in ("BM3", "MVGAE", "SelfCF")),
        ("MVGAE", {"noise_scale": 0.1}),
        ("LGMRec", {"keep_rate": 0.5}),
        ("PGL", {"dropout": 0.5}),
    ],
)
def test_draws_anew_in_every_loss(name: str, changes: dict[str, Any]) -> None:
    model = make(name, made("image"), **changes)
    assert loss(model) != loss(model)


@pytest.mark.parametrize("mode", ["mean", "sum", "concat"])
@pytest.mark.parametrize("weighting", ["equal", "alpha", "normalized"])
def test_every_form_of_mmgcf_keeps_the_contract(weighting: str, mode: str) -> None:
    for data in (made("image", "text", "audio"), made("audio")):
        check_model(MODELS["MMGCF"], data, **hyper("MMGCF") | {"weighting": weighting, "fusion_mode": mode})


def test_mmgcfs_gate_is_no_bias() -> None:
    assert "gate" not in make("MMGCF", made("image"), weighting="alpha").biases()


@pytest.mark.parametrize("name", ["draws", "features"])
def test_what_mvgae_never_trains_is_saved_with_it(name: str) -> None:
    model = make("MVGAE", made("image"))
    names = {"draws": "collaborative.features.table", "features": "content.image.features.table"}
    assert (names[name] in model.state_dict()) == (name == "draws")
    assert "content.image.users" in model.state_dict()
    assert model.id_tables() == {}


@pytest.mark.parametrize("size", [1, 6, 40])
def test_pgls_global_subgraph_keeps_the_contract_and_is_never_redrawn(size: int) -> None:
    check_model(MODELS["PGL"], **hyper("PGL") | {"mode": "global", "embedding_size": size})
    model = make("PGL", made("image"), mode="global")
    before = loss(model)
    model.new_epoch()
    assert torch.equal(loss(model), before)


def test_layergcn_without_hops_of_an_isolated_user() -> None:
    model = make("LayerGCN", made())
    assert (scores(model)[6] == 0).all()


# --- variants ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["BPR", "LightGCN", "VBPR"])
def test_the_papers_penalty_squares(name: str) -> None:
    one, twice = (make(name, made("image"), variant="paper", reg_weight=weight) for weight in (1.0, 2.0))
    gathered = [one.user_emb[BATCH[0]], one.item_emb[BATCH[1]], one.item_emb[BATCH[2]]]
    expected = sum((rows**2).sum() for rows in gathered) / 2 / BATCH.shape[1]
    reg = one.loss(BATCH)["reg"]
    if name == "VBPR":  # also penalises the projected features
        assert reg > expected
    else:
        torch.testing.assert_close(reg, expected)
    torch.testing.assert_close(twice.loss(BATCH)["reg"], 2 * reg)


def test_vbpr_as_in_the_paper_ranks_by_its_biases_too() -> None:
    model = make("VBPR", made("image"), variant="paper")
    before = scores(model)
    with torch.no_grad():
        model.item_bias.add_(torch.arange(I).unsqueeze(1).float())
    torch.testing.assert_close(scores(model) - before, torch.arange(I).float().expand(U, I))
    above = model.loss(BATCH)["bpr"]
    margin = torch.tensor([scores(model)[u, p] - scores(model)[u, n] for u, p, n in BATCH.T])
    torch.testing.assert_close(above, -torch.log(torch.sigmoid(margin) + 1e-10).mean())


@pytest.mark.parametrize("name", ["BM3", "FREEDOM"])
def test_the_papers_features_do_not_train(name: str) -> None:
    model = make(name, made("image", "text"), variant="paper")
    assert not any("table" in key for key, _ in model.named_parameters())
    assert not any("table" in key for key in model.state_dict())
    benchmark = make(name, made("image", "text"), variant="benchmark")
    assert sum("table" in key for key, _ in benchmark.named_parameters()) == 2


def test_grcn_routes_users_towards_their_items() -> None:
    inert, none, once = (
        make("GRCN", made("image"), **changes)
        for changes in ({}, {"variant": "paper", "n_layers": 0}, {"variant": "paper", "n_layers": 1})
    )
    assert torch.equal(scores(inert), scores(none))
    assert not torch.allclose(scores(inert), scores(once), atol=1e-3)


def test_mmgcns_penalty_trains_nothing_in_the_benchmarks_form() -> None:
    grads = []
    for weight in (0.0, 1.0):
        model = make("MMGCN", made("image"), reg_weight=weight)
        loss(model).backward()
        grads.append([p.grad for p in model.parameters() if p.requires_grad])
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


@pytest.mark.parametrize("task", ["fac", "fd", "fm", "fd+fm"])
@pytest.mark.parametrize("modalities", [("image",), ("image", "text", "audio")])
def test_slmrecs_tasks(task: str, modalities: tuple[str, ...]) -> None:
    model = make("SLMRec", made(*modalities), ssl_task=task)
    terms = model.loss(BATCH[:2])
    assert set(terms) == {"main", *task.split("+")}
    off = make("SLMRec", made(*modalities), ssl_task=task, ssl_alpha=0.0)
    assert all(off.loss(BATCH[:2])[name] == 0 for name in task.split("+"))


@pytest.mark.parametrize(("name", "fault"), [("GRCN", "variant"), ("BPR", "variant"), ("SLMRec", "ssl_task")])
def test_unknown_forms_are_refused(name: str, fault: str) -> None:
    with pytest.raises(ValueError, match=f"{fault} must be"):
        make(name, made("image"), **{fault: "papr"})
