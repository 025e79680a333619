"""SAM, ASAM, GSAM and the gradient-norm penalty against closed forms; what any perturbation keeps to."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.linalg import vector_norm

from recmodels.data.dataset import Interactions, RecDataset
from recmodels.models import MODELS
from recmodels.training import make_strategy
from tests.recmodels.training.strategies.toys import (
    OPTIMIZERS,
    ORACLES,
    ROWS,
    Noisy,
    Quadratic,
    Smooth,
    Toy,
    flat,
    optimizer_of,
    run,
    stepped,
    watched,
)


def probed(model: Toy, name: str, knobs: dict[str, Any] | None = None) -> Tensor:
    """The perturbation (N,) of one step."""
    seen = watched(model)
    stepped(model, name, knobs)
    (_, here), (_, there) = seen
    return there - here


def in_matrices(model: Toy) -> Tensor:
    """Which weights are of tensors of two dimensions."""
    return torch.cat([torch.full((each.numel(),), each.dim() > 1) for each in model.parameters()])


def test_closed_form_on_a_quadratic() -> None:
    """theta -> (I - eta A) theta - eta rho A^2 theta / ||A theta||."""
    model = Quadratic()
    x, a = flat(model), model.matrix
    expected = x - 0.1 * a @ x - 0.1 * 0.3 * a @ a @ x / vector_norm(a @ x)
    torch.testing.assert_close(stepped(model, "sam", {"rho": 0.3}), expected, rtol=1e-11, atol=1e-13)


def test_ends_in_a_cycle_of_two_points() -> None:
    """On a x^2 / 2 they have the amplitude eta a rho / (2 - eta a)."""
    a, eta, rho = 2.0, 0.3, 0.4
    model = Quadratic()
    model.matrix = torch.diag(torch.tensor([a] + [0.0] * 12, dtype=torch.float64))
    run(make_strategy("sam", model, {"rho": rho}), optimizer_of("sgd", model, lr=eta), [ROWS] * 100)
    point = abs(flat(model)[0].item())
    assert point == pytest.approx(eta * a * rho / (2 - eta * a), abs=1e-9)


def test_first_order_in_the_radius() -> None:
    """||g2 - (g + rho H g / ||g||)|| falls with slope 2."""
    radii = 2.0 ** -torch.arange(4, 11, dtype=torch.float64)
    distances = []
    for rho in radii.tolist():
        model = Smooth()
        x = flat(model)
        g = model.gradient(x)
        second = x - stepped(model, "sam", {"rho": rho}, lr=1.0)
        distances.append(vector_norm(second - (g + rho * model.hessian(x) @ g / vector_norm(g))))
    logs = torch.stack(distances).log2()
    assert ((logs[0] - logs[-1]) / 6).item() == pytest.approx(2.0, abs=0.1)


def test_only_the_second_gradient_enters_adams_moments() -> None:
    """The first step is -eta g2 / (|g2| + 1e-8)."""
    model = Smooth()
    x = flat(model)
    g = model.gradient(x)
    second = model.gradient(x + 0.05 * g / vector_norm(g))
    expected = x - 0.01 * second / (second.abs() + 1e-8)
    torch.testing.assert_close(stepped(model, "sam", {}, "adam", lr=0.01), expected, rtol=1e-9, atol=0)


@pytest.mark.parametrize("rho", [1e-3, 0.05, 3.0])
@pytest.mark.parametrize("name", ["sam", "gsam", "gnp", "bsam", "bsam_plus"])
def test_the_perturbation_has_length_rho_along_the_gradient(name: str, rho: float) -> None:
    """The batch names all users and items of the model, so that BSAM moves everything."""
    model = Smooth()
    g = model.gradient(flat(model))
    eps = probed(model, name, {"r" if name == "gnp" else "rho": rho} | all_rows(name))
    torch.testing.assert_close(eps, rho * g / vector_norm(g), rtol=1e-6, atol=1e-9)


def all_rows(name: str) -> dict[str, str]:
    return {"bsam_scope": "all"} if name.startswith("bsam") else {}


def test_relative_radius_is_a_share_of_the_weights() -> None:
    model = Smooth()
    expected = 0.02 * vector_norm(flat(model)[4:])
    eps = probed(model, "sam", {"rho": 0.02, "rho_mode": "relative", "exclude": "user_emb"})
    torch.testing.assert_close(vector_norm(eps), expected, rtol=1e-9, atol=0)


def test_asam_on_a_quadratic() -> None:
    """theta -> theta - eta A (theta + rho T^2 A theta / ||T A theta||), T = 1 for the biases."""
    model = Quadratic()
    x, a, rho, xi = flat(model), model.matrix, 0.7, 0.05
    t = torch.where(in_matrices(model), x.abs() + xi, 1.0)
    assert 0 < in_matrices(model).sum() < 13
    expected = x - 0.1 * a @ (x + rho * t.square() * (a @ x) / vector_norm(t * (a @ x)))
    torch.testing.assert_close(stepped(model, "asam", {"rho": rho, "xi": xi}), expected, rtol=1e-11, atol=1e-13)


def test_asam_scales_no_bias_whatever_its_shape() -> None:
    """By hand on VBPR with a bias of each item and one of each feature column, (2, 1) and (1, 2)."""
    pair = Interactions.from_pairs(np.array([0]), np.array([0]), 1)
    data = RecDataset("two", 1, 2, pair, pair, pair, {"image": np.eye(2, dtype=np.float32)}, "two")
    model = MODELS["VBPR"](data, variant="paper", embedding_size=1, reg_weight=0.0).double()
    start = {"user_emb": [[1.0, 1.0]], "item_emb": [[0.5], [0.0]], "weight": [[0.5, 0.0]]}
    with torch.no_grad():
        for name, each in model.named_parameters():
            each.copy_(torch.tensor(start.get(name, 0.0)))
    before = {name: each.detach().clone() for name, each in model.named_parameters()}
    moved = []
    loss = model.loss

    def noted(batch: Tensor) -> dict[str, Tensor]:
        moved.append({name: each.detach() - before[name] for name, each in model.named_parameters()})
        return loss(batch)

    model.loss = noted
    strategy = make_strategy("asam", model, {"rho": 0.5, "xi": 0.01})
    strategy.oracle.gradient(strategy.loss(torch.tensor([[0], [0], [1]])))
    expected = {
        "user_emb": [[-0.113705, -0.113705]],
        "item_emb": [[-0.057984], [2.2e-5]],
        "weight": [[-0.057984, 2.2e-5]],
        "item_bias": [[-0.222929], [0.222929]],
        "visual_bias": [[-0.222929, 0.222929]],
    }
    wanted = {name: torch.tensor(rows, dtype=torch.float64) for name, rows in expected.items()}
    torch.testing.assert_close(moved[1], wanted, rtol=0, atol=1e-6)


def test_asam_moves_with_a_rescaling_of_the_weights() -> None:
    """For L'(v) = L(v / c) the perturbation of c theta is c times that of theta, if xi = 0."""
    model, scaled = Quadratic(), Quadratic()
    c = torch.where(in_matrices(model), torch.linspace(0.1, 5.0, 13, dtype=torch.float64), 1.0)
    scaled.matrix = model.matrix / torch.outer(c, c)
    with torch.no_grad():
        for parameter, factor in zip(
            scaled.parameters(), c.split([each.numel() for each in scaled.parameters()]), strict=True
        ):
            parameter.mul_(factor.view_as(parameter))
    knobs = {"rho": 0.5, "xi": 0.0}
    torch.testing.assert_close(probed(scaled, "asam", knobs), c * probed(model, "asam", knobs), rtol=1e-12, atol=1e-14)


def test_asam_of_biases_alone_is_sam() -> None:
    """T = 1 for all of them."""
    vectors = {"scope": "dense", "rho": 0.5}  # the biases
    torch.testing.assert_close(
        probed(Smooth(), "asam", vectors), probed(Smooth(), "sam", vectors), rtol=1e-14, atol=1e-16
    )


def gsam_direction(model: Smooth, decompose: float) -> tuple[Tensor, Tensor, Tensor]:
    """The plain gradient, SAM's and the direction of a step."""
    x = flat(model)
    first = model.gradient(x)
    second = model.gradient(x + 0.5 * first / vector_norm(first))
    return first, second, x - stepped(model, "gsam", {"rho": 0.5, "decompose": decompose}, lr=1.0)


def test_gsam_descends_along_what_is_orthogonal() -> None:
    """g2 - a (g1 - <g1, g2> / ||g2||^2 g2); a = 0 is SAM bit for bit."""
    first, second, direction = gsam_direction(Smooth(), 0.7)
    orthogonal = (second - direction) / 0.7
    torch.testing.assert_close(orthogonal, first - (first @ second) / (second @ second) * second, rtol=1e-9, atol=1e-11)
    assert abs(orthogonal @ second) < 1e-9 * vector_norm(orthogonal) * vector_norm(second)
    assert vector_norm(orthogonal) > 0.01
    assert torch.equal(
        stepped(Smooth(), "gsam", {"rho": 0.3, "decompose": 0.0}), stepped(Smooth(), "sam", {"rho": 0.3})
    )


@pytest.mark.parametrize("name", ["gnp", "bsam_plus"])
def test_mixes_are_affine_and_end_in_sam_and_plain_training(name: str) -> None:
    """(1 - c) g1 + c g2."""
    radius, weight = ("r", "c") if name == "gnp" else ("rho", "lam")
    shares = (0.0, 0.25, 0.5, 1.0)
    plain, *between, sam = [stepped(Smooth(), name, {radius: 0.5, weight: c} | all_rows(name)) for c in shares]
    assert torch.equal(plain, stepped(Smooth(), "plain"))
    assert torch.equal(sam, stepped(Smooth(), "sam", {"rho": 0.5}))
    assert vector_norm(sam - plain) > 0.01
    for share, end in zip(shares[1:3], between, strict=True):
        torch.testing.assert_close(end, (1 - share) * plain + share * sam, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_gnp_with_c_one_is_sam_bit_for_bit(kind: str) -> None:
    ends = []
    for name, knobs in (("sam", {"rho": 0.2}), ("gnp", {"r": 0.2, "c": 1.0})):
        model = Noisy()
        torch.manual_seed(0)
        run(make_strategy(name, model, knobs), optimizer_of(kind, model), [ROWS] * 20)
        ends.append(flat(model))
    assert torch.equal(*ends)


@pytest.mark.parametrize("name", ORACLES)
def test_every_k_th_batch_is_perturbed_the_others_are_plain(name: str) -> None:
    """From each epoch's first batch; 7 batches, k = 3."""
    model = Quadratic()
    seen = watched(model)
    strategy = make_strategy(name, model, {"every": 3} | ({"n_fisher": 2} if name == "ssam_f" else {}))
    losses = run(strategy, optimizer_of("sgd", model), [ROWS] * 7, epochs=2)
    fisher = 2 * 2 if name == "ssam_f" else 0
    assert len(losses) == 14
    assert len(seen) == strategy.counts.forward == strategy.counts.backward == 2 * (7 + 3) + fisher
    assert strategy.counts.steps == 14


@pytest.mark.parametrize(
    ("knobs", "moved"),
    [
        ({}, {"user_emb", "item_emb", "bias"}),
        ({"scope": "embeddings"}, {"user_emb", "item_emb"}),
        ({"scope": "dense"}, {"bias"}),
        ({"exclude": "item, bias"}, {"user_emb"}),
        ({"scope": "embeddings", "exclude": "user_emb"}, {"item_emb"}),
        ({"exclude": "user,item,bias"}, set()),
    ],
)
@pytest.mark.parametrize("name", ["sam", "asam", "gsam", "gnp", "ssam_f", "ssam_d"])
def test_scope_and_exclude(name: str, knobs: dict[str, str], moved: set[str]) -> None:
    """The perturbation keeps its length, which is of the weights that it moves; nothing to move is plain."""
    model = Smooth()
    strategy = make_strategy(name, model, knobs | ({"sparsity": 0.0} if "ssam" in name else {}))
    seen = watched(model)
    run(strategy, optimizer_of("sgd", model))
    if not moved:
        assert len(seen) == 1
        assert strategy.idle() == ["nothing was perturbed (no weight is in the scope)"]
        return
    assert strategy.idle() == []
    eps = torch.split(seen[-1][1] - seen[-2][1], [4, 6, 3])
    names = [name for name, _ in model.named_parameters()]
    assert {name for name, each in zip(names, eps, strict=True) if each.any()} == moved
    if name != "asam":
        expected = {"gnp": 0.1, "gsam": 0.04}.get(name, 0.05)
        assert vector_norm(torch.cat(eps)).item() == pytest.approx(expected, rel=1e-6)
    report = strategy.report()
    sizes = dict(zip(names, (4, 6, 3), strict=True))
    assert report["perturbed_weights"] == sum(sizes[name] for name in moved)
    shares = {key.removeprefix("eps_share/"): value for key, value in report.items() if "eps_share" in key}
    assert shares.keys() == moved
    squares = dict(zip(names, (each.square().sum().item() for each in eps), strict=True))
    for each in moved:
        assert shares[each] == pytest.approx(squares[each] / sum(squares.values()), rel=1e-6)


def test_refuses_to_exclude_what_is_not_there() -> None:
    message = "exclude: no parameter begins with 'head'; there are user_emb, item_emb, bias"
    with pytest.raises(ValueError, match=message):
        make_strategy("sam", Quadratic(), {"exclude": "bias,head"})
