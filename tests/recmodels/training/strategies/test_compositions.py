"""Strategies by name, and how their layers go together."""

from collections import Counter
from itertools import groupby, pairwise
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.linalg import vector_norm

from recmodels.models.popularity import Popularity
from recmodels.signatures import keywords
from recmodels.training import Strategy, make_strategy
from recmodels.training.batch_loss import BatchLoss
from recmodels.training.strategies import STRATEGIES, canonical, knobs, parts_of
from recmodels.training.strategies.averaging import EMA
from recmodels.training.strategies.base import LossTransform
from recmodels.training.strategies.mg import MirrorGradient
from recmodels.training.strategies.names import CONTROLS, PARTS
from recmodels.training.strategies.sam import SAM
from tests.recmodels.factories import checkerboard
from tests.recmodels.training.strategies.toys import (
    MF,
    ON_ANY_MODEL,
    OPTIMIZERS,
    ORACLES,
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


def test_a_name_has_its_parts_in_the_order_of_the_layers() -> None:
    assert canonical("mg+sam") == "sam+mg"
    assert canonical("ema+mg+ssam_f") == "ssam_f+mg+ema"
    assert canonical("swa+plain_repeat") == "plain_repeat+swa"
    assert canonical("plain") == canonical("plain+plain") == "plain"
    assert canonical("plain+mg") == "mg"
    assert canonical("sam_mg") == "sam_mg"
    assert canonical("ema+sam_mg") == "sam+mg+ema"
    assert list(parts_of("sam_mg")) == list(parts_of("mg+sam")) == ["sam", "mg"]
    assert list(parts_of("ema+mg").items()) == [("mg", MirrorGradient), ("ema", EMA)]
    layers = [part.layer for part in PARTS.values()]
    assert [layer for layer, _ in groupby(layers)] == ["transform", "oracle", "rule", "averaging"]
    assert {*CONTROLS} < {*STRATEGIES}
    assert all(canonical(name) == name for name in STRATEGIES)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("sham", "there is no strategy 'sham'; there are plain, "),
        ("sam+", "there is no strategy ''"),
        ("sam+asam", r"sam\+asam: sam and asam are each a whole oracle, expected at most one"),
        ("mg+plain_lr", r"mg\+plain_lr: mg and plain_lr are each a whole rule"),
        ("sam_mg+gnp", r"sam_mg\+gnp: sam and gnp are each a whole oracle"),
        ("mg+mg", r"mg\+mg: mg and mg are each a whole rule"),
        ("ema+swa", "ema and swa are each a whole averaging"),
    ],
)
def test_refuses_what_is_no_strategy(name: str, message: str) -> None:
    for ask in (canonical, knobs, lambda each: make_strategy(each, Quadratic())):
        with pytest.raises(ValueError, match=message):
            ask(name)


def test_knobs_are_the_constructors_keywords() -> None:
    assert knobs("plain") == []
    assert knobs("ema") == ["decay"]
    assert knobs("mg") == ["alpha", "beta", "interval", "compose", "phase", "clip_first", "sync_rng"]
    assert knobs("sam_mg") == knobs("mg+sam") == [*knobs("sam"), *knobs("mg")]


def test_parts_of_different_layers_share_no_knob() -> None:
    """So that a composition's knobs need no prefix."""
    owners = Counter(knob for _, knob in {(part.layer, knob) for part in PARTS.values() for knob in keywords(part)})
    assert [knob for knob, count in owners.items() if count > 1] == []


def test_values_reach_their_part_and_the_others_keep_their_defaults() -> None:
    strategy = make_strategy("sam+mg+ema", Quadratic(), {"rho": 0.7, "beta": 0.4, "decay": 0.5}, clip_norm=2.0)
    oracle, rule = strategy.oracle, strategy.rule
    assert isinstance(oracle, SAM)
    assert isinstance(rule, MirrorGradient)
    assert (oracle.rho, oracle.every, rule.alpha, rule.beta, rule.interval) == (0.7, 1, 1.0, 0.4, 3)
    assert (strategy.averaging.decay, strategy.clip_norm) == (0.5, 2.0)


@pytest.mark.parametrize("name", ON_ANY_MODEL)
def test_a_model_without_parameters_can_have_any_strategy(name: str) -> None:
    assert make_strategy(name, Popularity(checkerboard())).weights() == {}


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize(
    ("composed", "off", "alone"),
    [
        ("sam+mg", {"rho": 0.0}, "mg"),
        ("sam+mg", {"beta": 0.0}, "sam"),
        ("ssam_d+mg", {"sparsity": 1.0}, "mg"),
        ("ssam_d+mg", {"beta": 0.0}, "ssam_d"),
        ("ssam_f+mg", {"beta": 0.0, "n_fisher": 1}, "ssam_f"),
        ("sam+ema", {"rho": 0.0}, "ema"),
        ("bsam_plus+mg+swa", {"lam": 0.0, "swa_start": 9}, "mg"),
        ("asam+plain_lr", {"lr_scale": 1.0}, "asam"),
    ],
)
def test_a_layer_that_is_off_leaves_the_others_results(
    composed: str, off: dict[str, Any], alone: str, kind: str
) -> None:
    """rho = 0 is Mirror Gradient, alpha = 1 with beta = 0 is SAM; bit for bit."""
    ends = []
    for name in (composed, alone):
        torch.manual_seed(0)
        model = MF(dropout=0.3)
        strategy = make_strategy(name, model, {knob: off[knob] for knob in knobs(name) if knob in off}, clip_norm=0.5)
        run(strategy, optimizer_of(kind, model, decay=0.01), triples(4), epochs=2)
        ends.append(torch.cat([each.flatten() for each in strategy.weights().values()]))
    assert torch.equal(*ends)


class Doubled(LossTransform):
    """Trains twice the loss; as identity, the loss itself."""

    def __init__(self, factor: float = 2.0) -> None:
        self.factor = factor

    def __call__(self, loss: BatchLoss, *, replay: bool) -> Tensor:
        return loss.accumulate(lambda terms: self.factor * torch.stack(list(terms.values())).sum(), replay=replay)


@pytest.mark.parametrize("name", [*ORACLES, "ssam_d+mg", "ema"])
def test_a_transform_changes_nothing_of_what_the_others_draw(name: str) -> None:
    """T = identity leaves the masks, and all results, bit for bit."""
    ends = []
    for transform in (None, Doubled(1.0)):
        torch.manual_seed(0)
        model = Noisy()
        parts = {part.layer: part() for part in parts_of(name).values()}
        run(Strategy(model, transform=transform, **parts, seed=3), optimizer_of("adam", model), [ROWS] * 4)
        ends.append(flat(model))
    assert torch.equal(*ends)


@pytest.mark.parametrize("name", [*ORACLES, "mg", "sam_mg", "plain_repeat"])
def test_every_pass_is_over_the_transformed_loss(name: str) -> None:
    """T -> G -> R: training 2 L with half the rate and radius-free oracles is training L; the loss shown is L."""
    own = {part.layer: part() for part in parts_of(name).values()}
    ends, values = [], []
    for transform, rate in ((None, 0.1), (Doubled(), 0.05)):
        model = Quadratic()
        (loss, *_) = run(Strategy(model, transform=transform, **own), optimizer_of("sgd", model, lr=rate))
        ends.append(flat(model))
        values.append(loss.value)
    torch.testing.assert_close(*ends, rtol=1e-10, atol=1e-12)
    assert values[0] == values[1]


def test_sam_under_mirror_gradient_on_a_quadratic() -> None:
    """h(x) = A (x + rho A x / ||A x||), x' = x - alpha eta h(x), x+ = x' + beta eta h(x')."""
    alpha, beta, eta, rho = 0.9, 0.4, 0.1, 0.3
    model = Quadratic()
    x, a = flat(model), model.matrix

    def h(point: Tensor) -> Tensor:
        return a @ (point + rho * a @ point / vector_norm(a @ point))

    between = x - alpha * eta * h(x)
    expected = between + beta * eta * h(between)
    values = {"alpha": alpha, "beta": beta, "rho": rho}
    for name in ("sam_mg", "mg+sam"):
        torch.testing.assert_close(stepped(Quadratic(), name, values, lr=eta), expected, rtol=1e-11, atol=1e-13)


def test_sam_in_mirrored_batches_only() -> None:
    """Of 7 batches 3 are mirrored: 1 + 3/k passes a batch where `every` is the interval."""
    model = MF()
    strategy = make_strategy("sam_mg", model, {"every": 3, "interval": 3})
    run(strategy, optimizer_of("sgd", model), triples(7))
    assert strategy.counts.forward == 4 * 3 + 4


@pytest.mark.parametrize("compose", ["two_step", "combined"])
@pytest.mark.parametrize("name", ORACLES)
def test_mirror_gradient_mirrors_the_oracles_direction(name: str, compose: str) -> None:
    """theta - eta (alpha d(theta) - beta d(theta')), where d is the oracle's direction, under gradient descent."""
    alpha, beta, eta = 0.9, 0.4, 0.1
    own = {"sparsity": 0.0} if "ssam" in name else {}  # else the two masks would have to be the same

    def direction(point: Tensor) -> Tensor:
        model = Smooth()
        torch.nn.utils.vector_to_parameters(point.clone(), model.parameters())
        return point - stepped(model, name, own, lr=1.0)

    x = flat(Smooth())
    first = direction(x)
    second = direction(x - alpha * eta * first)
    values = {"alpha": alpha, "beta": beta, "compose": compose} | own
    end = stepped(Smooth(), f"{name}+mg", values, lr=eta)
    torch.testing.assert_close(end, x - eta * (alpha * first - beta * second), rtol=1e-8, atol=1e-10)


def test_clipping_comes_between_oracle_and_optimiser() -> None:
    """G -> clip -> R: SAM's perturbation is not clipped, each of the mirrored steps is."""
    model = Quadratic()
    points = [flat(model)]
    optimizer = optimizer_of("sgd", model, lr=1.0)
    optimizer.register_step_post_hook(lambda *_: points.append(flat(model)))
    seen = watched(model)
    run(make_strategy("sam_mg", model, {"rho": 0.3}, clip_norm=1e-2), optimizer)
    for start, (here, there) in zip(points, (seen[0:2], seen[2:4]), strict=False):
        assert torch.equal(here[1], start)
        assert vector_norm(there[1] - here[1]).item() == pytest.approx(0.3, rel=1e-6)
    steps = [vector_norm(after - before).item() for before, after in pairwise(points)]
    assert steps == pytest.approx([1e-2, 1e-2], rel=1e-3)


def test_the_average_is_of_batches_not_of_steps() -> None:
    """R -> W: one term a batch, though a mirrored batch has two steps."""
    model = MF()
    strategy = make_strategy("mg+ema", model, {"interval": 1, "decay": 0.5})
    run(strategy, optimizer_of("adam", model), triples(5))
    assert strategy.averaging.terms == 5
    assert strategy.counts.steps == 10
