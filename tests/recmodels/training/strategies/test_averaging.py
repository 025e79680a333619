"""Averages of the weights: what they are, where they rank, and that training does not notice them."""

from contextlib import suppress
from typing import Any

import pytest
import torch
from torch import Tensor

from recmodels.training import Strategy, make_strategy
from tests.recmodels.training.strategies.toys import MF, OPTIMIZERS, ROWS, Quadratic, flat, optimizer_of, run, triples


def averaged(strategy: Strategy) -> Tensor:
    with strategy.evaluation_weights():
        return flat(strategy.model)


def trajectory(strategy: Strategy, kind: str, epochs: int, batches: list[Tensor]) -> list[Tensor]:
    """The weights after each batch."""
    points, step = [], strategy.step

    def noted(*given: Any) -> None:
        step(*given)
        points.append(flat(strategy.model))

    strategy.step = noted  # type: ignore[method-assign]
    run(strategy, optimizer_of(kind, strategy.model), batches, epochs)
    return points


@pytest.mark.parametrize("name", ["ema", "mg+ema", "sam+ema"])
@pytest.mark.parametrize("decay", [0.3, 0.999])
def test_ema_is_the_weighted_mean_of_all_batches(name: str, decay: float) -> None:
    """sum_i decay^(t-i) theta_i / sum_i decay^(t-i), one term for each batch, mirrored or not."""
    strategy = make_strategy(name, MF(), {"decay": decay})
    points = trajectory(strategy, "adam", 2, triples(7))
    weights = decay ** torch.arange(len(points) - 1, -1, -1, dtype=torch.float64)
    expected = (weights[:, None] * torch.stack(points)).sum(0) / weights.sum()
    torch.testing.assert_close(averaged(strategy), expected, rtol=1e-12, atol=1e-14)


@pytest.mark.parametrize(("swa_start", "idle"), [(1, False), (3, False), (4, True), (5, True), (99, True)])
def test_swa_says_that_it_averaged_nothing(swa_start: int, idle: bool) -> None:
    """In four epochs; the mean of one epoch is plain training's end."""
    strategy = make_strategy("mg+swa", MF(), {"swa_start": swa_start})
    run(strategy, optimizer_of("sgd", strategy.model), triples(2), epochs=4)
    assert strategy.idle() == ([f"no two epochs were averaged (swa_start={swa_start})"] if idle else [])
    assert torch.equal(averaged(strategy), flat(strategy.model)) is idle


@pytest.mark.parametrize("name", ["ema", "swa"])
def test_an_average_begins_again_where_training_does(name: str) -> None:
    """Training goes on from other weights when the model has converged: the ones before are left out."""
    strategy = make_strategy(name, MF(), {"swa_start": 1} if name == "swa" else {})
    run(strategy, optimizer_of("sgd", strategy.model), triples(2), epochs=2)
    strategy.averaging.restart()
    run(strategy, optimizer_of("sgd", strategy.model), triples(1), epochs=1)
    assert torch.equal(averaged(strategy), flat(strategy.model))


@pytest.mark.parametrize(("swa_start", "epochs", "ends"), [(1, 4, [0, 1, 2, 3]), (3, 5, [2, 3, 4]), (4, 3, [2])])
def test_swa_is_the_mean_of_the_epochs_ends(swa_start: int, epochs: int, ends: list[int]) -> None:
    """From `swa_start` on; before it, the last weights."""
    strategy = make_strategy("swa", MF(), {"swa_start": swa_start})
    points = trajectory(strategy, "adam", epochs, triples(3))
    expected = torch.stack([points[3 * end + 2] for end in ends]).mean(0)
    torch.testing.assert_close(averaged(strategy), expected, rtol=1e-13, atol=1e-15)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize(("name", "knobs"), [("ema", {"decay": 0.9}), ("swa", {"swa_start": 1})])
def test_training_does_not_notice(name: str, knobs: dict[str, Any], kind: str) -> None:
    ends = []
    for each, own in (("plain", {}), (name, knobs)):
        strategy = make_strategy(each, MF(), own)
        run(strategy, optimizer_of(kind, strategy.model), triples(3), epochs=2)
        ends.append(flat(strategy.model))
        if own:
            assert not torch.equal(averaged(strategy), ends[0])
    assert torch.equal(*ends)


@pytest.mark.parametrize(("name", "knobs"), [("ema", {"decay": 0.9}), ("swa", {"swa_start": 1})])
def test_evaluation_leaves_the_weights_as_they_are(name: str, knobs: dict[str, Any]) -> None:
    """In place and bit for bit, whatever happens in between."""
    model = MF()
    strategy = make_strategy(name, model, knobs)
    run(strategy, optimizer_of("adam", model), triples(3), epochs=2)
    before, places = flat(model), [each.data_ptr() for each in model.parameters()]
    assert not torch.equal(averaged(strategy), before)
    with suppress(ZeroDivisionError), strategy.evaluation_weights():
        raise ZeroDivisionError
    assert torch.equal(flat(model), before)
    assert [each.data_ptr() for each in model.parameters()] == places


def test_the_weights_that_rank_are_a_copy_with_the_buffers() -> None:
    """`weights` has what `evaluated` shows, and the model's buffers; later training does not reach it."""
    model = MF(normalise=True)
    strategy = make_strategy("ema", model, {"decay": 0.9})
    optimizer = optimizer_of("adam", model)
    run(strategy, optimizer, triples(3))
    with strategy.evaluation_weights():
        expected = {name: each.clone() for name, each in model.state_dict().items()}
    weights = strategy.weights()
    run(strategy, optimizer, triples(3))
    assert weights.keys() == expected.keys() >= {"normalise.running_mean"}
    assert all(torch.equal(weights[name], each) for name, each in expected.items())


@pytest.mark.parametrize(("name", "knobs"), [("ema", {"decay": 0.0}), ("swa", {"swa_start": 3})])
def test_what_is_off_keeps_no_copy(name: str, knobs: dict[str, Any]) -> None:
    strategy = make_strategy(name, MF(), knobs)
    run(strategy, optimizer_of("sgd", strategy.model), triples(3), epochs=2)
    assert strategy.averaging.weights() == {}


def test_frozen_weights_are_left_out() -> None:
    model = Quadratic()
    model.bias.requires_grad_(False)
    strategy = make_strategy("ema", model, {"decay": 0.9})
    run(strategy, optimizer_of("sgd", model), [ROWS] * 3)
    assert strategy.averaging.weights().keys() == {"user_emb", "item_emb"}


@pytest.mark.parametrize(("name", "knobs"), [("ema", {"decay": 0.9}), ("swa", {"swa_start": 2})])
def test_a_state_in_memory_is_taken_as_it_was(name: str, knobs: dict[str, Any]) -> None:
    """A copied run goes on as the first would; neither changes what the other goes on from."""
    first = make_strategy(name, MF(), knobs)
    run(first, optimizer_of("sgd", first.model), triples(3), epochs=3)
    second = make_strategy(name, MF(), knobs)
    second.model.load_state_dict(first.model.state_dict())
    second.load_state_dict(first.state_dict())
    ends = []
    for strategy in (first, second):
        run(strategy, optimizer_of("sgd", strategy.model), triples(4))
        ends.append(averaged(strategy))
    assert torch.equal(*ends)
