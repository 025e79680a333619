"""The reconstructed BSAM and BSAM+: whose rows move, and what is mixed."""

import pytest
import torch
from torch import Tensor
from torch.linalg import vector_norm

from recmodels.models import MODELS
from recmodels.training import make_strategy
from recmodels.training.strategies import STRATEGIES, is_reconstruction
from tests.recmodels.factories import checkerboard
from tests.recmodels.training.strategies.toys import (
    MF,
    OPTIMIZERS,
    ROWS,
    Noisy,
    Quadratic,
    Smooth,
    flat,
    optimizer_of,
    run,
    stepped,
    triples,
    watched,
)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_with_all_rows_it_is_sam_bit_for_bit(kind: str) -> None:
    ends = []
    for name, knobs in (("sam", {}), ("bsam", {"bsam_scope": "all"})):
        torch.manual_seed(0)
        model = Noisy()
        run(make_strategy(name, model, {"rho": 0.2} | knobs), optimizer_of(kind, model), [ROWS[:, :1]] * 20)
        ends.append(flat(model))
    assert torch.equal(*ends)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_where_gradients_are_the_batchs_it_is_sam_bit_for_bit(kind: str) -> None:
    """Matrix factorisation whose penalty is on the batch's rows."""
    ends = []
    for name in ("sam", "bsam"):
        model = MF()
        run(make_strategy(name, model, {"rho": 0.2}), optimizer_of(kind, model), triples(20))
        ends.append(flat(model))
    assert torch.equal(*ends)


@pytest.mark.parametrize("model", ["LightGCN", "GRCN"])
def test_rows_outside_the_batch_stay_in_place(model: str) -> None:
    """In a graph model all rows have a gradient; GRCN's tables have a row per user or item, or per node."""
    torch.manual_seed(0)
    made = MODELS[model](checkerboard(20), embedding_size=4)
    batch = torch.tensor([[3, 3, 7], [1, 5, 9], [2, 8, 2]])
    users, items = [3, 7], [1, 2, 5, 8, 9]
    rows = {"users": users, "items": items, "nodes": [*users, *(20 + item for item in items)]}
    strategy = make_strategy("bsam", made, {"rho": 0.5})
    before = {name: each.detach().clone() for name, each in made.named_parameters()}
    seen = watched(made)
    run(strategy, optimizer_of("sgd", made), [batch])
    tables = made.id_tables()
    assert len(tables) >= 2
    sizes = [each.numel() for each in made.parameters()]
    for (name, weight), there in zip(before.items(), seen[1][1].split(sizes), strict=True):
        moved = (there.view_as(weight) != weight).flatten(1).any(1) if weight.dim() > 1 else there != weight
        if name in tables:
            assert moved.nonzero().flatten().tolist() == rows[tables[name]], name
        else:
            assert moved.any(), name
    assert vector_norm(seen[1][1] - seen[0][1]).item() == pytest.approx(0.5, rel=1e-4)


def projection() -> Tensor:
    """(13,): 1 for the rows of user 1, items 0 and 2 and for the biases, which belong to no id here."""
    return torch.tensor([0, 0, 1, 1, 1, 1, 0, 0, 1, 1, 1, 1, 1], dtype=torch.float64)


def test_closed_form_on_a_quadratic() -> None:
    """theta -> theta - eta A (theta + rho P A theta / ||P A theta||)."""
    model = Quadratic()
    x, a = flat(model), model.matrix
    g = projection() * (a @ x)
    expected = x - 0.1 * a @ (x + 0.3 * g / vector_norm(g))
    run(make_strategy("bsam", model, {"rho": 0.3}), optimizer_of("sgd", model), [torch.tensor([[1], [0], [2]])])
    torch.testing.assert_close(flat(model), expected, rtol=1e-11, atol=1e-13)


def test_the_mix_holds_the_perturbation_fixed() -> None:
    """BSAM+: (1 - lam) g1 + lam g2 with BSAM's own perturbation; `mix="sum"`: g1 + g2."""
    batch = [torch.tensor([[1], [0], [2]])]
    directions = []
    for knobs in ({"lam": 0.3}, {"mix": "sum", "lam": 0.3}):
        model = Smooth()
        start = flat(model)
        run(make_strategy("bsam_plus", model, {"rho": 0.5} | knobs), optimizer_of("sgd", model, lr=1.0), batch)
        directions.append(start - flat(model))
    first = model.gradient(start)
    masked = projection() * first
    second = model.gradient(start + 0.5 * masked / vector_norm(masked))
    torch.testing.assert_close(directions[0], 0.7 * first + 0.3 * second, rtol=1e-9, atol=1e-11)
    torch.testing.assert_close(directions[1], first + second, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("kind", OPTIMIZERS)
def test_the_mix_ends_in_bsam(kind: str) -> None:
    """lam = 1 is BSAM; lam = 0 is among the neutral settings."""
    ends = []
    for name, knobs in (("bsam", {}), ("bsam_plus", {"lam": 1.0})):
        torch.manual_seed(0)
        model = Noisy()
        run(make_strategy(name, model, {"rho": 0.2} | knobs), optimizer_of(kind, model), [ROWS[:, :1]] * 20)
        ends.append(flat(model))
    assert torch.equal(*ends)


def test_batches_without_negatives() -> None:
    model = Smooth()
    seen = watched(model)
    run(make_strategy("bsam", model), optimizer_of("sgd", model), [torch.tensor([[1], [0]])])
    moved = seen[1][1] != seen[0][1]
    assert moved.nonzero().flatten().tolist() == [2, 3, 4, 5, 10, 11, 12]


def test_the_batch_matters_for_a_graph_model() -> None:
    assert not torch.equal(stepped(Smooth(), "bsam"), stepped(Smooth(), "sam"))


def test_is_a_reconstruction_and_says_so() -> None:
    """So is the mirrored SAM, of which only the abstract could be read."""
    named = {name for name in STRATEGIES if is_reconstruction(name)}
    assert named == {"bsam", "bsam_plus", "sam_mg"}
    for name in ("bsam+mg", "bsam_plus+ema", "mg+sam", "sam+mg+ema"):
        assert is_reconstruction(name), name
    for name in ("mg", "sam+ema", "asam+mg", "ssam_f+mg"):
        assert not is_reconstruction(name), name
