"""Every fast operation against its plain twin: value, gradient, and the twin's second gradient."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from scipy import sparse
from torch import Tensor
from torch.autograd import gradcheck, gradgradcheck

from recmodels import ops
from recmodels.data import Interactions, RecDataset
from recmodels.graphs import Nodes, UserItemEdges, largest_of_confident, shares_by_agreement

U, I, D = 7, 5, 3  # noqa: E741 - numbers of users, items and columns


def pattern() -> np.ndarray:
    """A random graph (U, I) with an isolated user and an isolated item."""
    has = np.random.default_rng(0).random((U, I)) < 0.5
    has[2], has[:, 4] = False, False
    return has


def edges() -> UserItemEdges:
    pairs = Interactions.from_pairs(*np.nonzero(pattern()), U)
    return UserItemEdges(RecDataset("pattern", U, I, pairs, pairs, pairs, {}, "pattern"))


def matrix(seed: int = 0) -> ops.Sparse:
    weights = np.random.default_rng(seed).random((U, I))
    rows, columns = ops.Sparse.from_scipy(sparse.csr_array(weights * pattern()))
    return ops.Sparse(*(csr._replace(values=csr.values.double()) for csr in (rows, columns)))


@dataclass(frozen=True)
class Case:
    """`run` takes dense inputs of `shapes` in double precision."""

    operation: str
    run: Callable[..., Any]
    shapes: tuple[tuple[int, ...], ...]

    def inputs(self) -> list[Tensor]:
        generator = torch.Generator().manual_seed(1)
        shaped = [torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in self.shapes]
        return [each.requires_grad_() for each in shaped]


E = int(pattern().sum())
SOME = torch.tensor([1, 2, 5]), torch.tensor([0, 3, 4])  # an isolated user and an isolated item among them
SHARES = torch.tensor([0.5, 0.2, 0.0, 0.3], dtype=torch.float64)
OWN, REPEATS = torch.tensor([0, 3, 3, 1, 0, 2, 4]), torch.tensor([1.0, 3.0, 1.0, 2.0, 1.0], dtype=torch.float64)
CASES = {
    "unit_rows": Case("unit_rows", ops.unit_rows, ((U, D),)),
    "cosine": Case("cosine", ops.cosine, ((U, D), (U, D))),
    "frobenius": Case("frobenius", ops.frobenius, ((U, D),)),
    "product": Case("__matmul__", lambda items: matrix() @ items, ((I, D),)),
    "transposed product": Case("__matmul__", lambda users: matrix().t() @ users, ((U, D),)),
    **{
        f"sum of {n} hops": Case(
            "_hops_everywhere",
            lambda users, items, n=n: ops.sum_of_hops(matrix(), matrix(1).t(), users, items, n, 0.5),
            ((U, D), (I, D)),
        )
        for n in (0, 1, 2, 3)
    },
    **{
        f"sum of {n} refined hops": Case(
            "sum_of_refined_hops",
            lambda users, items, n=n: torch.cat(ops.sum_of_refined_hops(matrix(), matrix(1).t(), users, items, n)),
            ((U, D), (I, D)),
        )
        for n in (1, 2, 3)
    },
    **{
        f"sum of {n} hops at some {side}": Case(
            "_hops_at",
            lambda users, items, n=n, nodes=nodes: ops.sum_of_hops(
                matrix(), matrix(1).t(), users, items, n, 0.5, nodes
            ),
            ((U, D), (I, D)),
        )
        for side, nodes in {"nodes": SOME, "users": (SOME[0], None), "items": (None, SOME[1])}.items()
        for n in (1, 2, 3)
    },
    **{
        f"sum of {n} refined hops at some {side}": Case(
            "sum_of_refined_hops",
            lambda users, items, n=n, nodes=nodes: ops.sum_of_refined_hops(
                matrix(), matrix(1).t(), users, items, n, nodes
            ),
            ((U, D), (I, D)),
        )
        for side, nodes in {"nodes": SOME, "users": (SOME[0], None), "items": (None, SOME[1])}.items()
        for n in (1, 2, 3)
    },
    "product at some rows": Case("__matmul__", lambda items: matrix().at(SOME[0]) @ items, ((I, D),)),
    "sum to some users": Case(
        "_sum_at", lambda values, items: edges().at(Nodes(*SOME)).sum_to_users(values, items), ((E,), (I, D))
    ),
    "sum to some items": Case(
        "_sum_at", lambda values, users: edges().at(Nodes(*SOME)).sum_to_items(values, users), ((E,), (U, D))
    ),
    "dot at edges": Case("dot", lambda users, items: edges().dot(users, items), ((U, D), (I, D))),
    "sum to users": Case("_sum", lambda values, items: edges().sum_to_users(values, items), ((E,), (I, D))),
    "sum to items": Case(
        "_sum",
        lambda values, users: edges().sum_to_items(values, users),
        ((E,), (U, D)),
    ),
    "shares by agreement": Case(
        "shares_by_agreement", lambda users, items: shares_by_agreement(edges(), users, items), ((U, D), (I, D))
    ),
    **{
        f"largest of {n} weights": Case(
            "_largest",
            lambda confidence, *weights: largest_of_confident(edges().items, confidence, weights),
            ((I, n), *[(E,)] * n),
        )
        for n in (1, 2, 3)
    },
    **{
        f"neighbours in {n} views": Case(
            "neighbour_losses",
            lambda *views: ops.neighbour_losses(torch.tensor([0, 2, 3, 6]), SHARES, 2, *map(ops.unit_rows, views)),
            ((U, D),) * n,
        )
        for n in (2, 3)
    },
    "cross entropies": Case(
        "summed_cross_entropy",
        lambda queries, keys: ops.summed_cross_entropy(queries, keys, OWN, torch.arange(U).double(), None),
        ((U, D), (I, D)),
    ),
    "cross entropies with repeats": Case(
        "summed_cross_entropy",
        lambda queries, keys: ops.summed_cross_entropy(queries, keys, OWN, torch.arange(U).double(), REPEATS),
        ((U, D), (I, D)),
    ),
    "cross entropy": Case("cross_entropy_of_own_key", ops.cross_entropy_of_own_key, ((U, D), (U, D))),
}


def test_no_operation_is_left_out() -> None:
    made = {
        each.__name__ for each in torch.autograd.Function.__subclasses__() if each.__module__ == ops.fast.__module__
    }
    assert {case.operation for case in CASES.values()} == made


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest) -> Case:
    return CASES[request.param]


def outputs(made: Tensor | tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    return (made,) if isinstance(made, Tensor) else made


def test_values_and_gradients_agree(case: Case) -> None:
    inputs = case.inputs()
    fast = outputs(case.run(*inputs))
    with ops.plain():
        plain = outputs(case.run(*inputs))
    torch.testing.assert_close(fast, plain)
    weights = [torch.randn_like(each) for each in fast]
    gradients = [torch.autograd.grad(made, inputs, weights) for made in (fast, plain)]
    torch.testing.assert_close(*gradients)


def test_gradients_are_slopes(case: Case) -> None:
    assert gradcheck(case.run, case.inputs())


def test_the_twin_can_be_differentiated_twice(case: Case) -> None:
    with ops.plain():
        assert gradgradcheck(case.run, case.inputs())


def test_a_fast_operation_refuses_a_second_gradient(case: Case) -> None:
    """It gives none instead of a wrong one."""
    inputs = case.inputs()
    made = sum(each.sum() for each in outputs(case.run(*inputs)))
    with pytest.raises(RuntimeError, match=r"compute the loss inside `with ops.plain\(\):`"):
        torch.autograd.grad(made, inputs, create_graph=True)


@pytest.mark.parametrize("name", ["unit_rows", "frobenius", "cosine", "sum of 2 refined hops"])
def test_second_gradients_at_zero_are_finite(name: str) -> None:
    inputs = CASES[name].inputs()
    inputs[0].data[1:3] = 0
    if name == "frobenius":
        inputs[0].data.zero_()
    with ops.plain():
        plain = CASES[name].run(*inputs)
    fast = CASES[name].run(*inputs)
    torch.testing.assert_close(fast, plain)
    of_fast = torch.autograd.grad(fast.sum(), inputs)
    of_plain = torch.autograd.grad(plain.sum(), inputs, create_graph=True)
    torch.testing.assert_close(of_fast, of_plain)
    for second in torch.autograd.grad(sum(each.sum() for each in of_plain), inputs, allow_unused=True):
        assert second is None or second.isfinite().all()


@pytest.mark.parametrize("name", ["unit_rows", "cosine"])
@pytest.mark.parametrize("length", [1e-15, 1e-9])
def test_a_row_shorter_than_the_least_length_has_a_constant_one(name: str, length: float) -> None:
    inputs = CASES[name].inputs()
    inputs[0].data[1] *= length / inputs[0].data[1].norm()
    with ops.plain():
        plain = CASES[name].run(*inputs)
    fast, weights = CASES[name].run(*inputs), torch.randn_like(plain)
    gradients = [torch.autograd.grad(made, inputs, weights) for made in (fast, plain)]
    torch.testing.assert_close(*gradients)


@pytest.mark.parametrize("scales", [(1.0, 1e-10), (1e-10, 1.0), (1e-14, 1e-10)])
def test_refined_hops_of_short_rows_have_constant_lengths(scales: tuple[float, float]) -> None:
    """Lengths below 1e-8 of a hop, and below 1e-12 of the rows it starts from."""
    case = CASES["sum of 3 refined hops"]
    inputs = case.inputs()
    for each, scale in zip(inputs, scales, strict=True):
        each.data *= scale
    with ops.plain():
        plain = case.run(*inputs)
    weights = torch.randn_like(plain)
    fast, slow = (torch.autograd.grad(made, inputs, weights) for made in (case.run(*inputs), plain))
    for one, other in zip(fast, slow, strict=True):
        assert (one - other).norm() < 1e-9 * other.norm()


def test_equal_weights_share_the_gradient_and_negative_ones_have_none() -> None:
    nodes, confidence = torch.tensor([0, 0, 1]), torch.tensor([[1.0, 2.0], [1.0, -1.0]])
    weights = [torch.tensor([2.0, -1.0, 0.0], requires_grad=True), torch.tensor([1.0, -1.0, 3.0], requires_grad=True)]
    made = largest_of_confident(nodes, confidence, weights)
    with ops.plain():
        twin = largest_of_confident(nodes, confidence, weights)
    assert made.tolist() == twin.tolist() == [2, 0, 0]
    of_weights = [torch.autograd.grad(each.sum(), weights) for each in (made, twin)]
    assert [each.tolist() for each in of_weights[0]] == [[0.5, 0, 0], [1, 0, 0]]
    torch.testing.assert_close(*of_weights)


def test_the_switch_holds_inside_alone() -> None:
    def is_plain() -> bool:
        return "unit_rows" not in ops.unit_rows(torch.ones(1, 1, requires_grad=True)).grad_fn.name()

    assert not is_plain()
    with ops.plain():
        assert is_plain()
        with ops.plain():
            assert is_plain()
        assert is_plain()
    assert not is_plain()
    with pytest.raises(KeyError), ops.plain():
        raise KeyError
    assert not is_plain()


def test_inputs_may_be_named_in_any_order() -> None:
    one, other = inputs = CASES["cross entropy"].inputs()
    made = ops.cross_entropy_of_own_key(keys=other, queries=one), ops.cross_entropy_of_own_key(one, other)
    torch.testing.assert_close(*(torch.autograd.grad(each.sum(), inputs) for each in made))
