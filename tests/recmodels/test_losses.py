"""The shared losses against their definitions."""

import pytest
import torch
import torch.nn.functional as F

from recmodels import losses, ops
from recmodels.ops import softmax
from tests.recmodels import reference as golden


def leaves(*shapes: tuple[int, ...]) -> list[torch.Tensor]:
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True) for shape in shapes]


@pytest.mark.parametrize("rows", [1, 3, 256])
def test_in_batch_softmax_is_the_cross_entropy_of_the_own_key(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    monkeypatch.setattr(softmax, "ROWS", rows)
    queries, keys = leaves((7, 4), (7, 4))
    ours = 3 * losses.in_batch_softmax(queries, keys, 0.2)
    theirs = 3 * F.cross_entropy(queries @ keys.T / 0.2, torch.arange(7))
    torch.testing.assert_close(ours, theirs)
    for one, other in zip(
        torch.autograd.grad(ours, [queries, keys]), torch.autograd.grad(theirs, [queries, keys]), strict=True
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize("rows", [1, 3, 256])
def test_the_softmax_of_distinct_rows_is_that_of_the_batch(monkeypatch: pytest.MonkeyPatch, rows: int) -> None:
    """A row that never occurs, as a GPU has them, is no key."""
    monkeypatch.setattr(softmax, "ROWS", rows)
    queries, keys = leaves((5, 4), (5, 4))
    counts = torch.tensor([2.0, 1.0, 0.0, 3.0, 1.0])
    places = torch.arange(5).repeat_interleave(counts.long())
    ours = losses.counted_softmax(queries, keys, counts, 0.2)
    theirs = losses.in_batch_softmax(queries[places], keys[places], 0.2)
    torch.testing.assert_close(ours, theirs)
    for one, other in zip(
        torch.autograd.grad(ours, [queries, keys]), torch.autograd.grad(theirs, [queries, keys]), strict=True
    ):
        torch.testing.assert_close(one, other)


def test_in_batch_softmax_of_large_logits_is_finite() -> None:
    queries = torch.full((3, 2), 1e4, requires_grad=True)
    loss = losses.in_batch_softmax(queries, torch.eye(3, 2), 0.1)
    loss.backward()
    assert loss.isfinite()
    assert queries.grad.isfinite().all()


def test_margins() -> None:
    users, items = leaves((3, 2), (4, 2))
    batch = torch.tensor([[0, 2], [1, 3], [2, 0]])
    scores = users @ items.T
    torch.testing.assert_close(losses.margins(users, items, batch), scores[[0, 2], [1, 3]] - scores[[0, 2], [2, 0]])


def test_penalties() -> None:
    one, other = leaves((2, 3), (2, 3))
    torch.testing.assert_close(losses.batch_norms(one, other), (one.norm() + other.norm()) / 2)
    torch.testing.assert_close(losses.batch_squares(one, other), ((one**2).sum() + (other**2).sum()) / 4)


def test_bpr_has_a_floor() -> None:
    margin = torch.tensor([-1000.0, 0.0, 1000.0])
    assert losses.bpr(margin[:1], floor=1e-10).item() == pytest.approx(23.0259, abs=1e-3)
    assert losses.bpr(margin).item() == pytest.approx((1000 + 0.6931) / 3, rel=1e-4)
    assert losses.summed_bpr(margin).item() == pytest.approx(1000.6931, rel=1e-4)


def test_cosine_with_a_zero_row_is_zero() -> None:
    one, other = torch.tensor([[3.0, 4.0], [0.0, 0.0]]), torch.tensor([[4.0, 3.0], [1.0, 0.0]])
    torch.testing.assert_close(ops.cosine(one, other), torch.tensor([0.96, 0.0]))


def test_floored_bpr_fades_out_as_the_references() -> None:
    z = golden.load("bpr")
    margin = torch.from_numpy(z["guard_x"]).double().requires_grad_()
    each = torch.stack([losses.bpr(one, floor=1e-10) for one in margin.split(1)])
    each.sum().backward()
    assert golden.error(each, z["guard_loss"]) < 1e-6
    assert golden.error(margin.grad, z["guard_grad"]) < 1e-6
