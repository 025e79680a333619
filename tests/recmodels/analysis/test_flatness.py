"""Measures of sharpness against closed forms on quadratics, and against the whole Hessian of a toy model."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.func import functional_call
from torch.linalg import eigvalsh, vector_norm

from recmodels.analysis.ascent import average_rise, batch_one_step, highest_rise, one_step
from recmodels.analysis.curvature import Hessian, by_differences, lanczos, largest_eigenvalue
from recmodels.analysis.fixed_loss import FixedLoss, fixed_loss
from recmodels.analysis.flatness import MEASURES, measured, noise, tasks
from recmodels.models import Recommender
from tests.recmodels.training.strategies.toys import MF, Failing, Quadratic, Smooth, Toy, gaussian, triples


@contextmanager
def at(model: Recommender, n_batches: int = 1, **options: Any) -> Iterator[FixedLoss]:
    with fixed_loss(model, triples(n_batches), **options) as loss:
        yield loss


def at_the_minimum() -> Quadratic:
    model = Quadratic()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    return model


def starts(loss: FixedLoss, n: int = 3) -> list[Tensor]:
    return list(noise(loss, n, "a test"))


class Triple(Toy):
    """One logistic triple on inner products, which U -> cU, V -> V / c leaves as it is; `scale` is c."""

    def __init__(self, scale: float) -> None:
        super().__init__()
        with torch.no_grad():
            self.user_emb *= scale
            self.item_emb /= scale
        self.bias.requires_grad_(False)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return {"bpr": F.softplus(self.user_emb[0] @ (self.item_emb[1] - self.item_emb[0]))}


@pytest.mark.parametrize("rho", [0.01, 0.5])
def test_rb_18_max_sharpness_at_the_minimum_of_a_quadratic(rho: float) -> None:
    """rho^2 / 2 lambda_max."""
    model = at_the_minimum()
    expected = rho**2 / 2 * eigvalsh(model.matrix).max().item()
    with at(model) as loss:
        assert highest_rise(loss, rho, starts(loss), steps=200) == pytest.approx(expected, rel=1e-12)
        assert 0.9 * expected < highest_rise(loss, rho, starts(loss)) <= expected * (1 + 1e-12)


def test_rb_19_one_step_on_a_quadratic() -> None:
    """rho ||Ax|| + rho^2 / 2 u'Au with u = Ax / ||Ax||."""
    model = Quadratic()
    slope = model.matrix @ model.point.detach()
    unit = slope / vector_norm(slope)
    for rho in (0.01, 0.3):
        expected = rho * vector_norm(slope) + rho**2 / 2 * (unit @ model.matrix @ unit)
        with at(model) as loss:
            assert one_step(loss, rho) == pytest.approx(expected.item(), rel=1e-10)


def test_one_step_of_each_batch_is_that_of_the_loss_of_one_batch() -> None:
    model, batches = MF(), triples(3)
    own = []
    for batch in batches:
        with fixed_loss(model, [batch]) as loss:
            own.append(one_step(loss, 0.1))
    with fixed_loss(model, batches) as loss:
        assert batch_one_step(loss, 0.1) == pytest.approx(sum(own) / 3, rel=1e-12)
        assert one_step(loss, 0.1) < batch_one_step(loss, 0.1)


def test_the_largest_rise_is_no_smaller_than_that_of_one_step_or_of_noise_of_that_length() -> None:
    model = Smooth()
    with at(model) as loss:
        for rho in (0.1, 1.0):
            found = highest_rise(loss, rho, starts(loss))
            assert found >= one_step(loss, rho)
            others = [loss(rho * each / vector_norm(each)) - loss() for each in noise(loss, 50, "others")]
            assert found > max(others)


def test_rb_20_average_rise_under_gaussian_noise() -> None:
    """sigma^2 / 2 tr(A) at the minimum, within the error that it reports; of each weight's own size x'diag(A)x."""
    model, sigma = at_the_minimum(), 0.2
    with at(model) as loss:
        found = average_rise(loss, sigma, noise(loss, 200, "noise"))
    expected = sigma**2 / 2 * model.matrix.trace().item()
    assert abs(found.value - expected) < 4 * found.error < 0.5 * expected
    model = Quadratic()
    point = model.point.detach()
    with at(model) as loss:
        found = average_rise(loss, sigma, noise(loss, 200, "noise"), scale=point.abs())
    expected = sigma**2 / 2 * (point.square() @ model.matrix.diagonal()).item()
    assert abs(found.value - expected) < 4 * found.error


@pytest.mark.parametrize("values", [(5.0, 2.0, 1.0, -1.0), (-9.0, 3.0, 1.0, 0.5), (-9.0, -2.0, -4.0, -8.0)])
def test_rb_21_power_iteration_and_lanczos_find_the_largest_eigenvalue(values: tuple[float, ...]) -> None:
    """Also where the one of largest magnitude is negative, and where all are."""
    basis, _ = torch.linalg.qr(gaussian(40, 40))
    spread = torch.cat([torch.tensor(values), torch.linspace(-0.5, min(0.5, max(values) * 0.5), 36)]).double()
    if max(values) < 0:
        spread = torch.cat([torch.tensor(values), torch.linspace(-9.0, -4.0, 36)]).double()
    matrix = basis @ spread.diag() @ basis.T
    start = gaussian(40, seed=2)
    found = largest_eigenvalue(matrix.__matmul__, start, tolerance=1e-5, most=1000)
    assert found.value == pytest.approx(max(values), rel=1e-3)
    largest, lowest = lanczos(matrix.__matmul__, start)
    assert largest[0].value == pytest.approx(max(values), rel=1e-3)
    assert lowest.value == pytest.approx(min(spread.tolist()), rel=1e-3)
    # Some eigenvalue is as near as the error says.
    assert all((spread - each.value).abs().min() <= each.error + 1e-12 for each in [found, *largest, lowest])


def test_lanczos_finds_all_eigenvalues_of_a_small_matrix_and_then_ends() -> None:
    values = torch.tensor([3.0, 1.0, 0.0, -2.0]).double()
    basis, _ = torch.linalg.qr(gaussian(4, 4))
    found, lowest = lanczos((basis @ values.diag() @ basis.T).__matmul__, gaussian(4, seed=1))
    assert [each.value for each in found] == pytest.approx(values.tolist(), abs=1e-12)
    assert lowest.value == pytest.approx(-2.0)
    assert found[0].steps == 4


def test_power_iteration_ends_at_zero_for_a_matrix_of_zeros() -> None:
    assert largest_eigenvalue(torch.zeros_like, gaussian(5)).value == 0.0


def test_rb_22_only_adaptive_sharpness_is_free_of_scale() -> None:
    adaptive, plain = [], []
    for scale in (1.0, 2.0, 4.0):
        with at(Triple(scale)) as loss:
            directions = starts(loss)
            adaptive.append(highest_rise(loss, 0.3, directions, scale=loss.point.abs()))
            plain.append(highest_rise(loss, 0.3, directions))
    assert adaptive == pytest.approx([adaptive[0]] * 3, rel=1e-10)
    assert plain[2] > 1.5 * plain[0] > 0


def test_rb_23_differences_of_gradients_agree_with_double_backward() -> None:
    for model in (Smooth(), MF(dropout=0.3)):
        with at(model) as loss:
            vector = gaussian(len(loss.point), seed=9)
            exact, near = Hessian(loss)(vector), by_differences(loss, vector)
        assert vector_norm(exact - near) < 1e-3 * vector_norm(exact)


def test_a_model_without_second_derivatives_is_measured_by_differences() -> None:

    class Once(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, x: Tensor) -> Tensor:
            return x.clone()

        @staticmethod
        def backward(ctx: Any, grad: Tensor) -> Tensor:
            if torch.is_grad_enabled():
                raise RuntimeError("derivative for aten::once_backward is not implemented")
            return grad

    class Stubborn(Smooth):
        @property
        def point(self) -> Tensor:
            return Once.apply(super().point)

    vector = gaussian(13, seed=4)
    found = []
    for model in (Stubborn(), Smooth()):
        with at(model) as loss:
            hessian = Hessian(loss)
            found.append((hessian(vector), hessian.method))
    assert [method for _, method in found] == ["differences", "double backward"]
    assert vector_norm(found[0][0] - found[1][0]) < 1e-3 * vector_norm(found[1][0])


def test_rb_24_a_radius_of_zero_gives_zero() -> None:
    with at(MF(dropout=0.5), 2) as loss:
        scale = loss.point.abs() + 1e-3
        assert one_step(loss, 0.0) == batch_one_step(loss, 0.0) == highest_rise(loss, 0.0, starts(loss)) == 0
        assert highest_rise(loss, 0.0, starts(loss), scale=scale) == 0
        assert average_rise(loss, 0.0, starts(loss)).value == 0


def test_a_flat_loss_has_no_sharpness() -> None:
    """No step leads up where there is no gradient, and none is divided by its norm."""
    with at(at_the_minimum()) as loss:
        assert one_step(loss, 0.1) == 0
        assert [each.value for each in measured(tasks(["gradient"])[0], loss)] == [0, 0]


def hessian_of(model: Recommender) -> Tensor:
    """The whole Hessian (N, N) of the mean loss over `triples(3)`, which draws nothing."""
    names = list(dict(model.named_parameters()))
    shapes = [each.shape for each in model.parameters()]

    def value(flat: Tensor) -> Tensor:
        parts = flat.split([shape.numel() for shape in shapes])
        weights = {name: part.view(shape) for name, part, shape in zip(names, parts, shapes, strict=True)}
        call = functional_call(Called(model), {f"model.{name}": part for name, part in weights.items()}, (triples(3),))
        return call / 3

    flat = torch.cat([each.detach().flatten() for each in model.parameters()])
    return torch.autograd.functional.hessian(value, flat)


class Called(torch.nn.Module):
    def __init__(self, model: Recommender) -> None:
        super().__init__()
        self.model = model

    def forward(self, batches: list[Tensor]) -> Tensor:
        return torch.stack([term for batch in batches for term in self.model.loss(batch).values()]).sum()


def test_the_hessians_numbers_are_those_of_the_whole_matrix_of_a_toy_model() -> None:
    model = MF()
    matrix = hessian_of(model)
    values = eigvalsh(matrix)
    assert values[-1] > 0
    with at(model, 3) as loss:
        vector = gaussian(80, seed=3)
        torch.testing.assert_close(Hessian(loss)(vector), matrix @ vector)
        power, spectrum, of_trace = (measured(tasks([name])[0], loss) for name in ("power", "lanczos", "trace"))
    assert power[0].value == pytest.approx(values[-1].item(), rel=0.02)
    assert spectrum[0].value == pytest.approx(values[-1].item(), rel=1e-6)
    assert spectrum[-1].value == pytest.approx(values[0].item(), rel=1e-3)
    assert spectrum[-1].measure == "lambda_min"
    value, error = of_trace[0].value, of_trace[0].error
    assert abs(value - matrix.trace().item()) < 4 * error < abs(matrix.trace().item())


def test_every_measure_is_finite_and_the_same_again_and_a_level_moves_no_other() -> None:
    wanted = tasks(list(MEASURES))
    assert len(wanted) == 1 + 6 * 3 + 3 + 2 + 3
    wanted = [task for task in wanted if task.measure != "max" or task.level == 0.1]
    with at(MF(dropout=0.3), scope="ids") as loss:
        found = {task: measured(task, loss, seed=5) for task in wanted}
        again = {task: measured(task, loss, seed=5) for task in reversed(wanted)}
    assert found == again
    assert all(reading.value is not None for readings in found.values() for reading in readings)


def test_a_loss_that_is_not_finite_gives_no_value() -> None:
    task = tasks(["one_step"])[0]
    with at(Failing({1: "nan"})) as loss:
        assert measured(task, loss)[0].value is None
    task = tasks(["max"])[0]
    with at(Failing({40: "inf"})) as loss:
        assert measured(task, loss)[0].value is None


def test_relative_levels_are_multiples_of_the_size_of_the_weights() -> None:
    """A radius of the norm; noise of the root mean square, or of each weight."""
    with at(Quadratic()) as loss:
        norm, point = vector_norm(loss.point).item(), loss.point.abs()
        draws = {name: list(noise(loss, 20, 3, name, 0.1)) for name in ("average", "average_each_weight")}
        expected = {
            "one_step": one_step(loss, 0.01 * norm),
            "average": average_rise(loss, 0.1 * norm / 13**0.5, draws["average"]).value,
            "average_each_weight": average_rise(loss, 0.1, draws["average_each_weight"], scale=point).value,
        }
        for name, value in expected.items():
            task = tasks([name])[-1]
            assert task.mode == "relative"
            assert measured(task, loss, seed=3)[0].value == pytest.approx(value, rel=1e-12)
