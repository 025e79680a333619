"""AMR: what it computes, on every model that reads features; what it composes with; its reference's recipe."""

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from recmodels.data.dataset import Interactions, RecDataset
from recmodels.evaluation import Evaluator
from recmodels.models import MODELS, Recommender
from recmodels.models.parts.item_features import feature_tables, shifted
from recmodels.signatures import keywords
from recmodels.training import Strategy, TrainingState, make_optimizer, make_strategy, train
from recmodels.training.batch_loss import BatchLoss, total
from recmodels.training.checkpoint import load_state, save_state
from tests.recmodels.models.test_contract import BATCH, MULTIMODAL, batch_of, made, make

ON_EVERY_MODEL = [
    (name, modalities) for name in MULTIMODAL for modalities in (("image",), ("text",), ("image", "text", "audio"))
]


@pytest.fixture(autouse=True)
def _double_precision() -> Iterator[None]:
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def double(*modalities: str) -> RecDataset:
    data = made(*modalities)
    features = {name: matrix.astype(np.float64) for name, matrix in data.features.items()}
    return replace(data, features=features, fingerprint=f"{data.fingerprint}-double")


def model_of(name: str, *modalities: str, **changes: Any) -> Recommender:
    model = make(name, double(*(modalities or ("image", "text"))), **changes).double()
    torch.manual_seed(2)
    model.new_epoch()
    return model


def vbpr(**changes: Any) -> Recommender:
    """As in AMR's reference code, without a penalty and with weights that are not tiny."""
    model = model_of("VBPR", **{"variant": "amr", "reg_weight": 0.0} | changes)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(30)
    return model


def joined(model: Recommender) -> Tensor:
    """The features of all modalities side by side."""
    return torch.cat([table.table for table in feature_tables(model)], dim=1)


def gaussians(model: Recommender, n_items: int) -> list[Tensor]:
    return [torch.randn(n_items, table.table.shape[1]) for table in feature_tables(model)]


def looked_at(strategy: Strategy, rows: Tensor) -> tuple[BatchLoss, dict[str, Tensor]]:
    """A batch's loss after a call, and the terms that the adversary leads to."""
    loss = strategy.loss(rows)
    loss()
    with shifted(strategy.transform.tables, rows[1:].unique(), strategy.transform.deltas):
        return loss, strategy.model.loss(rows)


def gradients(model: Recommender) -> dict[str, Tensor]:
    return {name: each.grad.clone() for name, each in model.named_parameters() if each.grad is not None}


def lengths(strategy: Strategy) -> Tensor:
    """The length of each item's shift, over all modalities."""
    return torch.cat(strategy.transform.deltas, dim=1).norm(dim=1)


def flat(model: Recommender) -> Tensor:
    return torch.cat([each.detach().flatten() for each in model.parameters()])


# --- shifted features -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "modalities"), ON_EVERY_MODEL)
def test_a_shift_is_a_model_on_other_features(name: str, modalities: tuple[str, ...]) -> None:
    """The item graph is an exception: it stays."""
    data, model = double(*modalities), model_of(name, *modalities)
    rows = batch_of(model)
    items = rows[1:].unique()
    moved = {key: matrix.copy() for key, matrix in data.features.items()}
    of = {key: torch.randn(len(items), matrix.shape[1]) for key, matrix in moved.items()}
    for key, delta in of.items():
        moved[key][items] += delta.numpy()
    other = make(name, replace(data, features=moved, fingerprint=f"{name}-{modalities}-moved")).double()
    kept = {key: value for key, value in model.state_dict().items() if not key.endswith("table")}
    other.load_state_dict(other.state_dict() | kept)
    for graph in {"item_graph", "item_graphs", "user_graph", "graph"} & vars(model)["_modules"].keys():
        setattr(other, graph, getattr(model, graph))
    names = sorted(of, key=lambda key: (key != ("text" if name == "VBPR" else "image"), key))
    deltas = [of[key] for key in names]
    plain = total(model.loss(rows))
    with shifted(feature_tables(model), items, deltas):
        torch.testing.assert_close(total(model.loss(rows)), total(other.loss(rows)), rtol=1e-12, atol=1e-12)
    assert abs(total(other.loss(rows)) - plain) > 1e-7
    assert torch.equal(total(model.loss(rows)), plain)


@pytest.fixture
def _nothing_is_detached(monkeypatch: pytest.MonkeyPatch) -> None:
    """BM3's targets carry no gradient by design; with theirs its gradient is the slope of its loss."""
    monkeypatch.setattr(Tensor, "detach", lambda tensor: tensor)


@pytest.mark.usefixtures("_nothing_is_detached")
@pytest.mark.parametrize(("name", "modalities"), ON_EVERY_MODEL)
def test_the_gradient_of_the_features(name: str, modalities: tuple[str, ...]) -> None:
    model = model_of(name, *modalities)
    rows = batch_of(model)
    items = rows[1:].unique()
    tables, directions, h = feature_tables(model), gaussians(model, len(items)), 1e-5
    leaves = [torch.zeros_like(direction, requires_grad=True) for direction in directions]
    ends = []
    for shift in (leaves, [h * each for each in directions], [-h * each for each in directions]):
        with shifted(tables, items, shift):
            ends.append(total(model.loss(rows)))
    ends[0].backward()
    slope = sum((leaf.grad * direction).sum() for leaf, direction in zip(leaves, directions, strict=True))
    torch.testing.assert_close(slope, (ends[1] - ends[2]) / (2 * h), rtol=1e-6, atol=1e-9)
    torch.testing.assert_close(ends[0], total(model.loss(rows)))
    assert slope != 0


# --- the adversary against the penalty -------------------------------------------------------------------------------


def test_the_adversary_raises_the_ranking_loss_whatever_the_penalty() -> None:
    """By hand, for one user and two items, with a penalty that outweighs the ranking loss by far."""
    pair = Interactions.from_pairs(np.array([0]), np.array([0]), 1)
    data = RecDataset("two", 1, 2, pair, pair, pair, {"image": np.array([[1.0, 1.0], [0.0, 1.0]])}, "two")
    model = MODELS["VBPR"](data, variant="amr", embedding_size=2, reg_weight=100.0)
    with torch.no_grad():
        model.user_emb.copy_(torch.tensor([[1.0, 0.0]]))
        model.item_emb.zero_()
        model.weight.copy_(torch.eye(2))
    strategy = make_strategy("amr", model, {"adv_eps": 0.1, "adv_weight": 1.0})
    loss, adversarial = looked_at(strategy, torch.tensor([[0], [0], [1]]))
    torch.testing.assert_close(strategy.transform.deltas, [torch.tensor([[-0.1, 0.0], [0.1, 0.0]])])
    assert loss.terms["bpr"].item() == pytest.approx(0.313262, abs=1e-6)
    assert adversarial["bpr"].item() == pytest.approx(0.371101, abs=1e-6)
    expected = {
        "user_emb": [[199.483038, 0.0]],
        "item_emb": [[1.421033, 2.0], [0.578967, 2.0]],
        "weight": [[1.483038, 2.0], [2.0, 4.0]],
    }
    wanted = {name: torch.tensor(rows) for name, rows in expected.items()}
    torch.testing.assert_close(gradients(model), wanted, rtol=0, atol=1e-6)


@pytest.mark.parametrize("kind", ["grad", "sign"])
@pytest.mark.parametrize("variant", ["benchmark", "paper", "amr"])
def test_the_adversary_does_not_depend_on_the_penaltys_weight(variant: str, kind: str) -> None:
    """Bit for bit, in a further gradient on the batch too."""
    found = []
    for reg_weight in (0.0, 1e-5, 0.1, 100.0):
        model = model_of("VBPR", variant=variant, reg_weight=reg_weight)
        strategy = make_strategy("amr", model, {"adv_type": kind})
        loss = strategy.loss(BATCH)
        for replay in (False, True):
            loss(replay=replay)
            found.append(torch.cat(strategy.transform.deltas, dim=1))
        assert all(leaf.any(dim=1).all() for leaf in found[-2:])
    assert all(torch.equal(each, found[0]) for each in found)


PENALISED = [name for name in MULTIMODAL if "reg_weight" in keywords(MODELS[name]) and name != "PGL"]
"""PGL calls the weight of its contrast so, which is no penalty of the weights."""


@pytest.mark.parametrize("name", PENALISED)
def test_no_models_adversary_depends_on_its_penalty(name: str) -> None:
    """FREEDOM calls the weight of its features' loss so: it scales all of what the adversary sees."""
    found = []
    for reg_weight in (0.01, 3.0):
        model = model_of(name, reg_weight=reg_weight, **({"dropout": 0.0} if name == "BM3" else {}))
        strategy = make_strategy("amr", model)
        strategy.loss(batch_of(model))()
        found.append(strategy.transform.deltas)
    torch.testing.assert_close(*found, rtol=1e-9, atol=1e-12)


def test_a_model_that_reads_features_in_first_batches_alone_is_not_idle() -> None:
    model = model_of("LATTICE")
    strategy = make_strategy("amr", model)
    strategy.new_epoch(0, lambda rng: iter(()))
    for index in range(2):
        strategy.loss(batch_of(model), batch_index=index)()
        assert not strategy.idle()
    assert not any(delta.any() for delta in strategy.transform.deltas)


# --- the loss ---------------------------------------------------------------------------------------------------------


@pytest.mark.usefixtures("_nothing_is_detached")
@pytest.mark.parametrize("name", MULTIMODAL)
@pytest.mark.parametrize("kind", ["grad", "sign", "rand"])
def test_its_gradient_is_that_of_both_losses_with_the_adversary_held_fixed(name: str, kind: str) -> None:
    """Along a random direction in the space of the weights."""
    model = model_of(name)
    rows = batch_of(model)
    # With this seed no kink of GRCN's (its best modality of an edge) lies between the two points.
    strategy = make_strategy("amr", model, {"adv_weight": 0.7, "adv_type": kind, "adv_eps": 0.5}, seed=1)
    strategy.loss(rows)()
    parameters = [each for each in model.parameters() if each.requires_grad]
    directions = [torch.randn_like(each) for each in parameters]
    slope = sum((each.grad * v).sum() for each, v in zip(parameters, directions, strict=True))
    ends, h = [], 1e-6
    for sign in (1, -1):
        with torch.no_grad():
            torch._foreach_add_(parameters, directions, alpha=sign * h)
        with shifted(strategy.transform.tables, rows[1:].unique(), strategy.transform.deltas):
            adversarial = model.loss(rows)
        ends.append(total(model.loss(rows)) + 0.7 * sum(term for key, term in adversarial.items() if key != "reg"))
        with torch.no_grad():
            torch._foreach_add_(parameters, directions, alpha=-sign * h)
    torch.testing.assert_close(slope, (ends[0] - ends[1]) / (2 * h), rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("name", ["VBPR", "BM3"])
def test_an_adversary_that_moves_nothing_counts_the_ranking_twice_and_the_penalty_once(name: str) -> None:
    """BM3 drops out, so that its passes agree only if they see the same draws."""
    model = model_of(name, **({"dropout": 0.5} if name == "BM3" else {}))
    rows, lam = batch_of(model), 0.3
    torch.manual_seed(3)
    terms = model.loss(rows)
    (total(terms) + lam * total({key: term for key, term in terms.items() if key != "reg"})).backward()
    expected = gradients(model)
    torch.manual_seed(3)
    loss = make_strategy("amr", model, {"adv_eps": 0.0, "adv_weight": lam}).loss(rows)
    assert loss() == total(terms).item() == loss.value
    assert loss.terms.keys() == terms.keys()
    torch.testing.assert_close(gradients(model), expected)


def test_the_margin_of_one_triple() -> None:
    """It shrinks by 2 eps |E p_u|, as the positive and the negative each move by eps against it."""
    model, rows, eps = vbpr(), torch.tensor([[1], [4], [8]]), 0.1
    clean = total(model.loss(rows))
    _, terms = looked_at(make_strategy("amr", model, {"adv_eps": eps}), rows)
    margin = -torch.log(torch.expm1(clean))
    slope = (model.user_emb[1] @ model.weight).norm()
    torch.testing.assert_close(terms["bpr"], F.softplus(2 * eps * slope - margin), rtol=1e-14, atol=0)


@pytest.mark.parametrize("scale", [1.0, 1e-4, 1e-8])
def test_every_item_with_a_gradient_is_moved_by_eps(scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Item 5 is a positive and its own negative, which cancels; the scale of the loss does not matter."""
    model, rows = vbpr(), torch.tensor([[0, 1, 2], [3, 5, 4], [4, 5, 8]])
    loss = model.loss
    monkeypatch.setattr(model, "loss", lambda batch: {key: scale * term for key, term in loss(batch).items()})
    strategy = make_strategy("amr", model)
    strategy.loss(rows)()
    torch.testing.assert_close(lengths(strategy), torch.tensor([0.1, 0.1, 0.0, 0.1]))


def test_an_items_modalities_share_one_length() -> None:
    strategy = make_strategy("amr", model_of("DualGNN"), {"adv_eps": 0.2})
    strategy.loss(BATCH)()
    items = len(BATCH[1:].unique())
    assert [delta.shape for delta in strategy.transform.deltas] == [(items, 10), (items, 8)]
    torch.testing.assert_close(lengths(strategy), torch.full((items,), 0.2))
    assert all((delta.norm(dim=1) < 0.2).all() for delta in strategy.transform.deltas)


def test_random_and_sign_adversaries() -> None:
    strategy = make_strategy("amr", model_of("DualGNN"), {"adv_type": "rand"}, seed=4)
    drawn, loss = [], strategy.loss(BATCH)
    for replay in (False, True, False):
        loss(replay=replay)
        drawn.append(torch.cat(strategy.transform.deltas, dim=1))
        torch.testing.assert_close(lengths(strategy), torch.full((len(drawn[-1]),), 0.1))
    assert torch.equal(drawn[0], drawn[1])
    assert not torch.isclose(drawn[0], drawn[2]).any()
    again = make_strategy("amr", model_of("DualGNN"), {"adv_type": "rand"}, seed=4)
    again.loss(BATCH)()
    assert torch.equal(torch.cat(again.transform.deltas, dim=1), drawn[0])
    signs = make_strategy("amr", model_of("DualGNN"), {"adv_type": "sign"})
    signs.loss(BATCH)()
    assert set(torch.cat(signs.transform.deltas, dim=1).abs().unique().tolist()) == {0.1}


@pytest.mark.parametrize("name", ["VBPR", "BM3"])
def test_a_relative_eps_is_a_share_of_the_features_median_length(name: str) -> None:
    model = model_of(name)
    whole = np.concatenate([*double("image", "text").features.values()], axis=1)
    strategy = make_strategy("amr", model, {"adv_eps": 0.05, "adv_eps_mode": "relative"})
    strategy.loss(batch_of(model))()
    assert lengths(strategy).max().item() == pytest.approx(0.05 * np.median(np.linalg.norm(whole, axis=1)))


# --- in a strategy ----------------------------------------------------------------------------------------------------


def trained(
    name: str, strategy: str, knobs: dict[str, Any], optimizer: str = "adam", epochs: int = 2
) -> tuple[Tensor, Strategy]:
    """The weights after some steps, with a decay and random draws."""
    model = model_of(name, **({"dropout": 0.3} if name == "BM3" else {}))
    made_strategy = make_strategy(strategy, model, knobs)
    base = make_optimizer(optimizer, model.parameters(), learning_rate=0.02, weight_decay=0.01)
    torch.manual_seed(5)
    for epoch in range(epochs):
        made_strategy.new_epoch(epoch, lambda rng: iter(()))
        for index in range(4):
            made_strategy.step(made_strategy.loss(batch_of(model), epoch=epoch, batch_index=index), base)
    return flat(model), made_strategy


@pytest.mark.parametrize("name", ["VBPR", "BM3", "SLMRec"])
@pytest.mark.parametrize("other", ["plain", "mg", "sam", "ssam_d", "ema"])
@pytest.mark.parametrize("off", [{"adv_weight": 0.0}, {"adv_warmup": 2}, {"adv_warmup": "converged"}])
def test_switched_off_it_is_not_there(name: str, other: str, off: dict[str, Any]) -> None:
    """Bit for bit and without a further pass."""
    without, alone = trained(name, other, {})
    weights, strategy = trained(name, "amr" if other == "plain" else f"amr+{other}", off)
    assert torch.equal(weights, without)
    assert strategy.counts == alone.counts


def test_it_begins_after_the_warm_up() -> None:
    """Three batches' worth of plain epochs, then two passes a batch."""
    _, strategy = trained("VBPR", "amr", {"adv_warmup": 1}, epochs=3)
    assert (strategy.counts.forward, strategy.counts.backward, strategy.counts.steps) == (4 + 2 * 8, 4 + 2 * 8, 12)


def two_batches(strategy: Strategy) -> int:
    """The passes of a fourth epoch of two batches."""
    before = strategy.counts.backward
    optimizer = make_optimizer("sgd", strategy.model.parameters(), learning_rate=0.01)
    strategy.new_epoch(3, lambda rng: iter(()))
    for index in range(2):
        strategy.step(strategy.loss(BATCH, epoch=3, batch_index=index), optimizer)
    return strategy.counts.backward - before


def test_it_begins_when_the_model_has_converged() -> None:
    """Once and for good; a restored run knows."""
    strategy, other = (
        make_strategy("amr+ema", model_of("VBPR"), {"adv_warmup": "converged"}, seed=seed) for seed in (0, 3)
    )
    assert two_batches(strategy) == 2
    assert strategy.idle() == ["the adversary never began (adv_warmup=converged)"]
    assert strategy.restart()
    assert two_batches(strategy) == 4
    assert strategy.idle() == []
    other.load_state_dict(strategy.state_dict())
    assert two_batches(other) == 4
    assert not strategy.restart()
    assert not other.restart()


@pytest.mark.parametrize(
    ("knobs", "idle"),
    [
        ({"adv_warmup": 3}, False),
        ({"adv_warmup": 4}, True),
        ({"adv_warmup": "converged", "adv_weight": 0.0}, False),
        ({"adv_warmup": 9, "adv_weight": 0.0}, False),
    ],
)
def test_says_that_the_adversary_never_began(knobs: dict[str, Any], idle: bool) -> None:
    """Unless it was switched off; then it waits for nothing either."""
    strategy = make_strategy("amr", model_of("VBPR"), knobs)
    two_batches(strategy)
    assert bool(strategy.idle()) is idle
    assert not strategy.restart()


def test_says_that_there_was_nothing_to_move() -> None:
    """FREEDOM reads features in a loss whose weight may be zero."""
    for reg_weight, idle in ((0.0, True), (0.1, False)):
        model = model_of("FREEDOM", reg_weight=reg_weight)
        strategy = make_strategy("amr", model)
        strategy.loss(BATCH)()
        assert bool(strategy.idle()) is idle


@pytest.mark.parametrize(
    ("strategy", "knobs", "passes"),
    [("amr", {}, 8), ("amr+mg", {"interval": 2}, 12), ("amr+sam", {}, 16), ("amr+sam+mg", {"interval": 1}, 32)],
)
@pytest.mark.parametrize("name", ["VBPR", "BM3", "MMGCN"])
def test_what_compositions_cost(name: str, strategy: str, knobs: dict[str, Any], passes: int) -> None:
    weights, made_strategy = trained(name, strategy, knobs, epochs=1)
    assert (made_strategy.counts.forward, made_strategy.counts.backward) == (passes, passes)
    assert weights.isfinite().all()
    assert not torch.equal(weights, trained(name, strategy, knobs | {"adv_weight": 0.0}, epochs=1)[0])


def reference(
    weights: list[Tensor], features: Tensor, rows: Tensor, delta: Tensor | None = None
) -> tuple[list[Tensor], Tensor]:
    """AMR's gradient on the reference's VBPR (eps 0.1, weight 1, no penalty) and its adversary, written out."""

    def loss(p: Tensor, q: Tensor, e: Tensor, c: Tensor) -> Tensor:
        users, positives, negatives = rows
        x = q + c @ e.T
        return F.softplus((p[users] * (x[negatives] - x[positives])).sum(1)).sum()

    p, q, e = (each.detach().clone().requires_grad_() for each in weights)
    c = features.clone().requires_grad_()
    if delta is None:
        (gamma,) = torch.autograd.grad(loss(p, q, e, c), c)
        delta = 0.1 * gamma / gamma.norm(dim=1, keepdim=True).clamp(min=1e-12)
    both = loss(p, q, e, features) + loss(p, q, e, features + delta)
    return list(torch.autograd.grad(both, [p, q, e])), delta


def plus(weights: list[Tensor], directions: list[Tensor], scale: float) -> list[Tensor]:
    return [weight + scale * direction for weight, direction in zip(weights, directions, strict=True)]


@pytest.mark.parametrize("freeze", [False, True])
def test_mirror_gradients_second_adversary_is_made_at_the_new_point(freeze: bool) -> None:
    """Or is the first one's, with adv_freeze."""
    model, lr, alpha, beta = vbpr(), 0.05, 1.2, 0.4
    start, features = [each.detach().clone() for each in model.parameters()], joined(model)
    first, delta = reference(start, features, BATCH)
    there = plus(start, first, -alpha * lr)
    expected = plus(there, reference(there, features, BATCH, delta if freeze else None)[0], beta * lr)
    other = plus(there, reference(there, features, BATCH, None if freeze else delta)[0], beta * lr)
    strategy = make_strategy("amr+mg", model, {"alpha": alpha, "beta": beta, "adv_freeze": freeze})
    strategy.step(strategy.loss(BATCH), make_optimizer("sgd", model.parameters(), learning_rate=lr))
    torch.testing.assert_close(list(model.parameters()), expected, rtol=1e-12, atol=1e-12)
    assert max((a - b).abs().max() for a, b in zip(expected, other, strict=True)) > 1e-6


def test_sams_second_gradient_has_an_adversary_of_its_own() -> None:
    model, lr, rho = vbpr(), 0.05, 0.5
    start, features = [each.detach().clone() for each in model.parameters()], joined(model)
    first, _ = reference(start, features, BATCH)
    length = torch.cat([each.flatten() for each in first]).norm()
    second, _ = reference(plus(start, first, rho / length), features, BATCH)
    strategy = make_strategy("amr+sam", model, {"rho": rho})
    strategy.step(strategy.loss(BATCH), make_optimizer("sgd", model.parameters(), learning_rate=lr))
    torch.testing.assert_close(list(model.parameters()), plus(start, second, -lr), rtol=1e-9, atol=1e-12)


def state_of(name: str) -> TrainingState:
    model = model_of(name, **({"dropout": 0.3} if name == "BM3" else {}))
    strategy = make_strategy("amr+mg", model, {"adv_type": "rand", "adv_warmup": 1, "adv_eps": 0.5})
    optimizer = make_optimizer("adam", model.parameters(), learning_rate=0.02)
    return TrainingState(model, optimizer, strategy, np.random.default_rng(3))


@pytest.mark.parametrize("name", ["VBPR", "BM3"])
def test_a_restored_run_goes_on_as_if_never_interrupted(name: str, tmp_path: Path) -> None:
    data = double("image", "text")
    how = {"batch_size": 40, "max_epochs": 4, "evaluator": Evaluator(data, "valid", (5,))}
    torch.manual_seed(9)
    whole, part = state_of(name), state_of(name)
    torch.manual_seed(9)
    list(train(whole, data, **how))
    torch.manual_seed(9)
    reports = train(part, data, **how)
    for _ in range(3):
        next(reports)
    save_state(tmp_path / "last.pt", part.state_dict())
    restored = state_of(name)
    restored.load_state_dict(load_state(tmp_path / "last.pt", torch.device("cpu")))
    list(train(restored, data, **how))
    assert torch.equal(flat(restored.model), flat(whole.model))


@pytest.mark.parametrize("name", ["LightGCN", "BPR", "Popularity"])
def test_a_model_without_features_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match=f"^amr moves item features, but the loss of {name} reads none$"):
        make_strategy("amr+mg", make(name, made("image")))


# --- the reference's recipe -------------------------------------------------------------------------------------------


def test_the_references_loss() -> None:
    """With users 1 and 2 for two pairs, and items that are 3 and 4 of id and feature together."""
    model = model_of("VBPR", "image", variant="amr", reg_weight=0.1, embedding_size=1)
    with torch.no_grad():
        model.user_emb.zero_()[:2] = torch.tensor([[1.0], [2.0]])
        feature_tables(model)[0].table.zero_()[:2, 0] = torch.tensor([1.0, 3.0])
        model.weight.zero_()[0, 0] = 0.5
        model.item_emb.zero_()[:2] = torch.tensor([[2.5], [2.5]])
    terms = model.loss(torch.tensor([[0, 1], [0, 1], [1, 0]]))
    assert terms["bpr"].item() == pytest.approx(math.log1p(math.exp(1)) + math.log1p(math.exp(-2)))
    assert terms["reg"].item() == pytest.approx(0.1 * (1 + 4) + 1e-3 * 2 * (9 + 16))
    users, items = model.embed()
    assert (users[:2] @ items[:2].T).tolist() == [[3.0, 4.0], [6.0, 8.0]]


def test_the_references_start_and_first_step() -> None:
    """Adagrad with sums of squares that start at 0.1, at three learning rates: lr g / sqrt(0.1 + g^2)."""
    model = model_of("VBPR", variant="amr", embedding_size=50)
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    assert before.keys() == {"user_emb", "item_emb", "weight"}
    for weights in before.values():
        assert weights.abs().max() <= 0.02
        assert 0.0075 < weights.std() < 0.0095  # 0.0088: a Gaussian's 0.01, cut off
    rates, settings = model.rate_factors(), {"learning_rate": 0.01, "initial_accumulator": 0.1}
    optimizer = make_optimizer("adagrad", model.parameters(), rate_factors=rates, **settings)
    strategy = make_strategy("plain", model)
    strategy.step(strategy.loss(BATCH), optimizer)
    for name, rate in (("user_emb", 1e-2), ("item_emb", 1e-4), ("weight", 1e-3)):
        gradient = model.get_parameter(name).grad
        assert gradient.abs().max() > 1e-3
        expected = before[name] - rate * gradient / (0.1 + gradient.square()).sqrt()
        torch.testing.assert_close(model.get_parameter(name).detach(), expected, rtol=1e-8, atol=1e-13)


def test_other_models_learn_at_one_rate() -> None:
    model = make("VBPR", made("image"))
    assert model.rate_factors() == {}
    (group,) = make_optimizer("adam", model.parameters(), learning_rate=0.1, rate_factors={}).param_groups
    assert group["lr"] == 0.1
    assert [id(each) for each in group["params"]] == [id(each) for each in model.parameters()]


def test_only_adagrad_has_an_accumulator() -> None:
    with pytest.raises(ValueError, match=r"^initial_accumulator is for adagrad alone, but the optimizer is adam$"):
        make_optimizer("adam", vbpr().parameters(), learning_rate=0.1, initial_accumulator=0.1)
