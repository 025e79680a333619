"""Planes and lines through the weights, against closed forms."""

import numpy as np
import pytest
import torch
from torch import Tensor

from recmodels.analysis.fixed_loss import fixed_batches, fixed_loss
from recmodels.analysis.landscape import (
    barrier,
    cosine,
    direction,
    grid_axis,
    grid_row,
    line_point,
    scalars,
)
from recmodels.models import MODELS
from recmodels.testing import small_data
from tests.recmodels.training.strategies.toys import MF, Quadratic, flat, gaussian, triples

DATA = small_data("image", "text")


def test_rb_12_a_plane_of_a_quadratic_with_raw_directions() -> None:
    """Every value is x'Ax / 2, and an axis unit is a hundredth of the weights' length."""
    model, axis = Quadratic(), grid_axis(5, 100.0)
    point, matrix = flat(model), model.matrix
    with fixed_loss(model, triples(2)) as loss:
        one, other = (direction(loss, "raw", 1, side) for side in ("first", "second"))
        rows = [grid_row(loss, one, other, m, axis) for m in axis]
    assert torch.linalg.vector_norm(one) == pytest.approx(0.01 * torch.linalg.vector_norm(point).item())
    for m, row in zip(axis, rows, strict=True):
        for n, value in zip(axis, row, strict=True):
            x = point + m * one + n * other
            assert value == pytest.approx((x @ matrix @ x / 2).item(), rel=1e-10)


def test_rb_13_rows_of_a_direction_are_as_long_as_the_weights_rows() -> None:
    model = Quadratic()
    with torch.no_grad():
        model.user_emb[0] = 0.0
    with fixed_loss(model, triples(1)) as loss:
        users, items, bias = loss.split(direction(loss, "row", 0))
        layers = loss.split(direction(loss, "layer", 0))
    assert users.norm(dim=1).tolist() == pytest.approx(model.user_emb.norm(dim=1).tolist(), rel=1e-8)
    assert items.norm(dim=1).tolist() == pytest.approx(model.item_emb.norm(dim=1).tolist(), rel=1e-8)
    assert users[0].abs().max() == 0
    assert not bias.any()  # of one dimension
    assert layers[1].norm().item() == pytest.approx(model.item_emb.norm().item(), rel=1e-8)
    assert not layers[2].any()


def test_rb_14_a_rescaled_row_has_the_same_surface() -> None:
    """An item's row is c times as large, and the loss divides it by c."""

    class Rescaled(MF):
        def __init__(self, factor: float) -> None:
            super().__init__()
            self.factors = torch.ones(12, 1, dtype=torch.float64)
            self.factors[3] = factor
            with torch.no_grad():
                self.item_emb.weight *= self.factors

        def loss(self, batch: Tensor) -> dict[str, Tensor]:
            user, items = self.user_emb.weight, self.item_emb.weight / self.factors
            margin = (user[batch[0]] * (items[batch[1]] - items[batch[2]])).sum(1)
            return {"bpr": torch.nn.functional.softplus(-margin).mean()}

    surfaces = []
    for factor in (1.0, 8.0):
        with fixed_loss(Rescaled(factor), triples(2)) as loss:
            one, other = (direction(loss, "row", 4, side) for side in (1, 2))
            surfaces.append([grid_row(loss, one, other, m, grid_axis(5, 1.0)) for m in grid_axis(5, 1.0)])
    np.testing.assert_allclose(surfaces[0], surfaces[1], rtol=1e-8)
    assert np.std(surfaces[0]) > 0


@pytest.mark.parametrize("name", ["GRCN", "BM3", "FREEDOM"])
def test_the_centre_is_exactly_the_trained_loss(name: str) -> None:
    torch.manual_seed(1)
    model = MODELS[name](DATA, embedding_size=8)
    with fixed_loss(model, fixed_batches(model, DATA, batch_size=30, n=2)) as loss:
        trained = loss()
        row = grid_row(loss, direction(loss, "row", 0, 1), direction(loss, "row", 0, 2), 0.0, grid_axis(3, 1.0))
    assert row[1] == trained
    assert row[0] != trained != row[2]


def test_directions_follow_from_the_seed_and_are_common_to_models_of_one_shape() -> None:
    drawn = []
    for seed in (0, 1):
        with fixed_loss(Quadratic(seed), triples(1)) as loss:
            drawn.append(direction(loss, "raw", 7, "first"))
            other = direction(loss, "raw", 7, "second")
    assert cosine(*drawn) == pytest.approx(1.0)
    assert abs(cosine(drawn[0], other)) < 0.9
    assert cosine(drawn[0], torch.zeros_like(other)) == 0.0


@pytest.mark.parametrize("points", [21, 20])
def test_an_odd_axis_has_the_centre(points: int) -> None:
    axis = grid_axis(points, 1.0)
    assert (axis[0], axis[-1], len(axis)) == (-1.0, 1.0, points)
    assert min(map(abs, axis)) == (0.0 if points % 2 else pytest.approx(1 / 19))


def test_numbers_of_a_bowl() -> None:
    """L = 2 + 3 m^2 + n^2: the trace is 8."""
    axis = grid_axis(21, 1.0)
    losses = [[2 + 3 * m**2 + n**2 for n in axis] for m in axis]
    found = scalars(axis, losses, 2.0)
    assert found.max_rise == pytest.approx(4.0)
    assert found.mean_rise == pytest.approx(4 * np.mean(np.square(axis)))
    assert found.curv == pytest.approx(8.0)
    assert found.min_gap == 0.0
    share = np.mean([3 * m**2 + n**2 <= 0.5 * 2 for m in axis for n in axis])
    assert found.low_area[3] == pytest.approx(share)
    assert found.not_finite == 0


def test_numbers_of_a_surface_with_holes_and_a_lower_place() -> None:
    """What is not finite is counted, and is not low."""
    found = scalars([-1.0, 0.0, 1.0], [[None, 1.0, 3.0], [2.0, 2.0, 2.0], [0.5, None, 2.0]], 2.0)
    assert found.not_finite == 2
    assert found.min_gap == 1.5
    assert found.max_rise == 1.0
    assert found.low_area[0] == pytest.approx(6 / 9)
    assert found.curv is None  # one point is near the centre
    assert scalars([-1.0, 1.0], [[None, None], [None, None]], 1.0).mean_rise is None


def test_the_line_between_two_minima() -> None:
    """Exact at both ends; the barrier of a quadratic is 0, that of a hill its height."""
    model, other = Quadratic(), gaussian(13, seed=5)
    places = [-0.5, 0.0, 0.25, 0.5, 1.0, 1.5]
    with fixed_loss(model, triples(1)) as loss:
        values = [line_point(loss, other, t) for t in places]
        assert values[1] == loss()
        assert values[4] == loss.at(other)
    for t, value in zip(places, values, strict=True):
        x = (1 - t) * flat(model) + t * other
        assert value == pytest.approx((x @ model.matrix @ x / 2).item(), rel=1e-10)
    assert barrier(places, values) == 0.0
    assert barrier([0.0, 0.5, 1.0, 1.5], [1.0, 5.0, 2.0, 99.0]) == pytest.approx(3.5)
    assert barrier([0.0, 0.5, 1.0], [1.0, None, 2.0]) is None
