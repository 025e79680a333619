"""Rules that every strategy keeps, of whatever parts."""

import copy
import inspect
import math
from functools import cache
from itertools import pairwise
from typing import Any

import pytest
import torch
from torch import Tensor

from recmodels.errors import TrainingDiverged
from recmodels.models import MODELS
from recmodels.testing import check_strategy
from recmodels.training import Strategy, make_strategy
from recmodels.training.batch_loss import BadStep, Counts
from recmodels.training.strategies import STRATEGIES, knobs
from recmodels.training.strategies.base import Update
from tests.recmodels.factories import odd_sizes
from tests.recmodels.training.strategies.toys import (
    MF,
    ON_ANY_MODEL,
    OPTIMIZERS,
    ORACLES,
    ROWS,
    Failing,
    Noisy,
    Quadratic,
    flat,
    optimizer_of,
    run,
    triples,
    watched,
)

FEW: dict[str, dict[str, Any]] = {"ssam_f": {"n_fisher": 2}}
COMPOSED = (*ON_ANY_MODEL, "ssam_f+mg", "gsam+mg", "asam+plain_repeat+ema", "bsam_plus+mg+swa")
NEUTRAL: list[tuple[str, dict[str, Any]]] = [
    ("mg", {"alpha": 1.0, "beta": 0.0, "interval": 2}),
    ("mg", {"alpha": 1.0, "beta": 0.0, "interval": 2, "compose": "combined"}),
    *((name, {"rho": 0.0}) for name in ORACLES if name != "gnp"),
    ("gnp", {"r": 0.0}),
    ("gnp", {"c": 0.0}),
    ("ssam_f", {"sparsity": 1.0}),
    ("ssam_d", {"sparsity": 1.0}),
    ("bsam_plus", {"lam": 0.0}),
    ("bsam_plus", {"rho": 0.0, "mix": "sum"}),
    ("plain_lr", {"lr_scale": 1.0}),
    ("ema", {"decay": 0.0}),
    ("swa", {"swa_start": 3}),
    ("sam_mg", {"rho": 0.0, "beta": 0.0}),
    ("ssam_d+mg+ema", {"sparsity": 1.0, "beta": 0.0, "decay": 0.0}),
]


@pytest.mark.parametrize("name", [*STRATEGIES, *COMPOSED[-4:], "amr+ssam_d+mg+ema"])
def test_keeps_the_contract_that_others_can_test(name: str) -> None:
    """On a model with every kind of parameter; see `recmodels.testing`."""
    fitting = {"phase": "global", "n_fisher": 2, "swa_start": 2, "adv_type": "rand"}
    check_strategy(name, **{knob: value for knob, value in fitting.items() if knob in knobs(name)})


def of(name: str, model: Any, **changes: Any) -> Strategy:
    """The strategy with few passes for the Fisher information."""
    few = FEW["ssam_f"] if "ssam_f" in name else {}
    return make_strategy(name, model, few, **changes)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize(("name", "knobs"), NEUTRAL)
def test_off_means_plain_training_bit_for_bit(name: str, knobs: dict[str, Any], kind: str) -> None:
    """With weight decay, clipping and random draws, at plain training's cost."""
    expected, _ = fifty_two_steps("plain", (), kind)
    found, counts = fifty_two_steps(name, tuple(knobs.items()), kind)
    assert same(found, expected)
    assert counts == Counts(forward=52, backward=52, steps=52)


@cache
def fifty_two_steps(name: str, knobs: tuple[tuple[str, Any], ...], kind: str) -> tuple[list[Tensor], Counts]:
    """The end of training: the weights and the evaluation weights."""
    torch.manual_seed(0)
    model = Noisy()
    strategy = make_strategy(name, model, dict(knobs), clip_norm=0.2)
    run(strategy, optimizer_of(kind, model, lr=0.05, decay=0.01), [ROWS] * 26, epochs=2)
    return [flat(model), *strategy.weights().values()], strategy.counts


def same(one: Any, other: Any) -> bool:
    """True if nested containers hold equal tensors and values."""
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    return torch.equal(one, other) if isinstance(one, Tensor) else one == other


@pytest.mark.parametrize("name", [*ORACLES, "mg"])
def test_the_way_back_is_exact_and_in_place(name: str) -> None:
    """An optimiser that does nothing leaves weights whose moves were so large that taking them back by a
    subtraction would round."""
    torch.manual_seed(0)
    model = MODELS["LightGCN"](odd_sizes(), embedding_size=4)  # in float32
    far = {"gnp": {"r": 1e3}, "mg": {"compose": "combined"}}.get(name, {"rho": 1e3})
    strategy = make_strategy(name, model, far | FEW.get(name, {}))
    optimizer = optimizer_of("sgd", model, lr=1e5)
    optimizer.step = lambda: None
    before, places = flat(model), [each.data_ptr() for each in model.parameters()]
    seen = watched(model)
    run(strategy, optimizer, [torch.tensor([[0, 5], [1, 2], [3, 4]])])
    assert (seen[-1][1] - before).abs().max() > 10
    assert torch.equal(flat(model), before)
    assert [each.data_ptr() for each in model.parameters()] == places


@pytest.mark.parametrize("fault", ["nan", "inf", "gradient"])
@pytest.mark.parametrize("name", ["plain", *ORACLES, "plain_lr"])
def test_a_batch_that_is_not_finite_is_skipped(name: str, fault: str) -> None:
    """In the first pass or in the one at the perturbed weights. The weights are as before, so is the optimiser."""
    for call in range(2 if name in ORACLES else 1):
        model = Failing({})
        strategy, optimizer = of(name, model), optimizer_of("adam", model)
        run(strategy, optimizer)
        before, state = flat(model), copy.deepcopy(optimizer.state_dict())
        model.faults = {model.calls + 1 + call: fault}
        loss = strategy.loss(ROWS)
        strategy.step(loss, optimizer)
        assert torch.equal(flat(model), before)
        assert same(optimizer.state_dict(), state)
        assert all(each.grad is None for each in model.parameters())
        assert (strategy.counts.skipped, strategy.counts.steps) == (1, 1)
        assert (loss.value is None) == (call == 0)  # the loss before the step, if it was finite
        strategy.step(strategy.loss(ROWS), optimizer)
        assert not torch.equal(flat(model), before)


@pytest.mark.parametrize("fault", ["nan", "inf", "gradient"])
@pytest.mark.parametrize(("name", "call"), [("mg", 1), ("sam_mg", 2), ("sam_mg", 3), ("plain_repeat", 1)])
def test_a_bad_second_step_keeps_the_first(name: str, call: int, fault: str) -> None:
    """The plain step to theta' is valid; so it is for an oracle's second gradient there."""
    model = Failing({call: fault})
    strategy = make_strategy(name, model)
    run(strategy, optimizer_of("sgd", model))
    first = Quadratic()
    run(make_strategy("sam" if "sam" in name else "plain", first), optimizer_of("sgd", first))
    assert torch.equal(flat(model), flat(first))
    assert (strategy.counts.skipped, strategy.counts.steps) == (1, 1)


@pytest.mark.parametrize("call", [0, 1])
def test_a_bad_pass_of_the_combined_step_skips_the_batch(call: int) -> None:
    model = Failing({call: "inf"})
    before = flat(model)
    strategy = make_strategy("mg", model, {"compose": "combined"})
    run(strategy, optimizer_of("sgd", model))
    assert torch.equal(flat(model), before)
    assert (strategy.counts.skipped, strategy.counts.steps) == (1, 0)


@pytest.mark.parametrize("name", ["plain", "sam", "mg"])
def test_three_bad_batches_in_a_row_end_training(name: str) -> None:
    """Two in a row do not, however often."""
    model = Failing({})
    strategy, optimizer = make_strategy(name, model), optimizer_of("sgd", model, lr=0.01)
    for index, fault in enumerate(["nan", "inf", "", "gradient", "nan", "", "nan", "gradient"], start=1):
        model.faults = {model.calls + 1: fault}
        strategy.step(strategy.loss(ROWS, batch_index=index), optimizer)
    assert strategy.counts.skipped == 6
    model.faults = {model.calls + 1: "inf"}
    message = "the loss became inf in batch 10 of epoch 1, the last of 3 such batches in a row"
    with pytest.raises(TrainingDiverged, match=message):
        strategy.step(strategy.loss(ROWS, batch_index=9), optimizer)


def test_a_gradient_that_is_not_finite_is_named() -> None:
    strategy = make_strategy("plain", Failing({0: "gradient"}))
    with pytest.raises(BadStep, match="the gradient became nan in batch 3 of epoch 2"):
        strategy.loss(ROWS, epoch=1, batch_index=2)()


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("name", ORACLES)
def test_a_zero_gradient_leads_to_no_perturbation(name: str, kind: str) -> None:
    """The steps are plain training's, which decay the weights."""
    ends = []
    for each in ("plain", name):
        model = Quadratic()
        start, model.matrix = flat(model), model.matrix * 0
        strategy = of(each, model)
        run(strategy, optimizer_of(kind, model, decay=0.1), [ROWS] * 3)
        ends.append(flat(model))
        assert strategy.counts.forward == 3 + (2 if each == "ssam_f" else 0)
        assert strategy.counts.skipped == 0
    assert torch.equal(*ends)
    assert (ends[0] != start).all()


@pytest.mark.parametrize("name", COMPOSED)
def test_sparse_gradients_are_as_good_as_dense_ones(name: str) -> None:
    """With users and items that occur several times in a batch."""
    ends = []
    for sparse in (False, True):
        model = MF(sparse=sparse)
        strategy = of(name, model, clip_norm=0.5)
        run(strategy, optimizer_of("adam", model), triples(4, size=20), epochs=2)
        ends.append(flat(model))
        assert strategy.counts.skipped == 0
    torch.testing.assert_close(ends[0], ends[1], rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize("name", ORACLES)
def test_the_second_pass_sees_the_draws_of_the_first(name: str) -> None:
    """The next batch goes on from where the first pass left the stream."""
    torch.manual_seed(0)
    expected = [torch.randn(13, dtype=torch.float64).tolist() for _ in range(5)]
    model = Noisy()
    strategy = of(name, model)
    torch.manual_seed(0)
    run(strategy, optimizer_of("sgd", model), [ROWS] * 5)
    draws = [draw.tolist() for draw in model.draws[-10:]]
    assert draws == [draw for draw in expected for _ in range(2)]


def test_the_stream_goes_on_from_the_first_pass_even_if_the_second_draws_more() -> None:
    class Greedy(Noisy):
        def loss(self, batch: Tensor) -> dict[str, Tensor]:
            terms = super().loss(batch)
            torch.randn(len(self.draws))
            return terms

    torch.manual_seed(0)
    _, _, expected = torch.randn(13, dtype=torch.float64), torch.randn(1), torch.randn(13, dtype=torch.float64)
    model = Greedy()
    torch.manual_seed(0)
    run(make_strategy("sam", model), optimizer_of("sgd", model), [ROWS] * 2)
    assert torch.equal(model.draws[2], expected)


@pytest.mark.parametrize(("sync_rng", "order"), [(False, [0, 0, 1, 1, 2, 2]), (True, [0, 0, 0, 0, 1, 1])])
def test_draws_where_rule_and_oracle_both_pass_twice(sync_rng: bool, order: list[int]) -> None:
    torch.manual_seed(0)
    expected = [torch.randn(13, dtype=torch.float64).tolist() for _ in range(3)]
    model = Noisy()
    torch.manual_seed(0)
    strategy = make_strategy("sam_mg", model, {"sync_rng": sync_rng})
    run(strategy, optimizer_of("sgd", model), [ROWS] * 2)  # a mirrored batch and another
    assert [draw.tolist() for draw in model.draws] == [expected[place] for place in order]


@pytest.mark.parametrize("name", [*ON_ANY_MODEL, "ssam_f+mg"])
def test_running_statistics_follow_the_first_pass(name: str) -> None:
    """As many batches as passes over them would make them, and of the same numbers, as in plain training."""
    statistics = []
    for each in ("plain", name):
        model = MF(normalise=True)
        run(of(each, model), optimizer_of("sgd", model), triples(1))
        statistics.append({key: value.clone() for key, value in model.normalise.named_buffers()})
        assert model.normalise.track_running_stats
        assert model.normalise.num_batches_tracked == 1
    assert all(torch.equal(statistics[0][key], value) for key, value in statistics[1].items())


@pytest.mark.parametrize("name", ["plain", *ORACLES])
def test_clipping_holds_for_the_final_direction(name: str) -> None:
    """The step has the clipped length, the perturbation its own."""
    ends = []
    for clip_norm in (None, 1e-3):
        model = Quadratic()
        start = flat(model)
        seen = watched(model)
        run(of(name, model, clip_norm=clip_norm), optimizer_of("sgd", model))
        ends.append((flat(model) - start, [point for _, point in seen]))
    (whole, points), (clipped, same_points) = ends
    assert all(map(torch.equal, points, same_points))
    torch.testing.assert_close(clipped.norm(), torch.tensor(1e-4).double(), rtol=1e-2, atol=0)
    torch.testing.assert_close(clipped / clipped.norm(), whole / whole.norm(), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("knobs", "lengths"),
    [({}, (1e-4, 1e-4)), ({"clip_first": False}, (None, 1e-4)), ({"compose": "combined"}, (1e-4,))],
)
def test_clipping_holds_for_each_of_mirror_gradients_steps(knobs: dict[str, Any], lengths: tuple[float, ...]) -> None:
    """For the scaled gradient; `clip_first=False` leaves the first step alone."""
    model = Quadratic()
    points = [flat(model)]
    optimizer = optimizer_of("sgd", model)
    optimizer.register_step_post_hook(lambda *_: points.append(flat(model)))
    run(make_strategy("mg", model, {"alpha": 0.9, "beta": 0.4} | knobs, clip_norm=1e-3), optimizer)
    steps = [(after - before).norm().item() for before, after in pairwise(points)]
    whole = 0.1 * 0.9 * (model.matrix @ points[0]).norm().item()
    assert steps == pytest.approx([length or whole for length in lengths], rel=1e-2)


def test_weight_decay_is_neither_scaled_nor_mirrored_nor_clipped() -> None:
    """It is the optimiser's, in each of the two steps. The clipped gradients are negligible."""
    model = Quadratic()
    start = flat(model)
    run(make_strategy("mg", model, clip_norm=1e-12), optimizer_of("sgd", model, decay=0.5))
    torch.testing.assert_close(flat(model), start * 0.95 * 0.95, rtol=1e-9, atol=1e-12)


def test_weight_decay_in_a_mirrored_batch() -> None:
    alpha, beta, eta, decay = 0.9, 0.4, 0.1, 0.3
    model = Quadratic()
    x, a = flat(model), model.matrix
    knobs = {"alpha": alpha, "beta": beta}
    run(make_strategy("mg", model, knobs), optimizer_of("sgd", model, lr=eta, decay=decay))
    between = x - eta * (alpha * a @ x + decay * x)
    expected = between - eta * (-beta * a @ between + decay * between)
    torch.testing.assert_close(flat(model), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", COMPOSED)
def test_the_loss_reported_is_the_one_before_the_step(name: str) -> None:
    """So are its terms."""
    model = Quadratic()
    x = flat(model)
    (loss,) = run(of(name, model), optimizer_of("sgd", model))
    energy = (x @ model.matrix @ x).item()
    assert loss.value == pytest.approx(energy / 2, rel=1e-12)
    assert {key: term.item() for key, term in loss.terms.items()} == pytest.approx(
        {"first": 0.3 * energy, "second": 0.2 * energy}
    )


@pytest.mark.parametrize("name", COMPOSED)
def test_counts_are_of_what_was_done(name: str) -> None:
    """7 batches, of which 3 are mirrored or repeated; an oracle doubles the passes; 2 for the Fisher masks."""
    model = MF()
    strategy, optimizer = of(name, model), optimizer_of("sgd", model)
    steps: list[None] = []
    optimizer.register_step_post_hook(lambda *_: steps.append(None))
    seen = watched(model)
    run(strategy, optimizer, triples(7))
    rounds = 10 if {"mg", "sam_mg", "plain_repeat"} & set(name.split("+")) else 7
    oracle = {*ORACLES, "sam_mg"} & set(name.split("+"))
    passes = rounds * (2 if oracle else 1) + (2 if "ssam_f" in name else 0)
    counts = strategy.counts
    assert (counts.forward, counts.backward, len(seen)) == (passes,) * 3
    assert counts.steps == len(steps) == rounds
    assert counts.skipped == 0


TRAINED = sorted(name for name, model in MODELS.items() if model.trains)
PAPERS = [name for name in TRAINED if "variant" in inspect.signature(MODELS[name]).parameters]


@pytest.mark.parametrize(
    ("name", "hyper"), [(name, {}) for name in TRAINED] + [(name, {"variant": "paper"}) for name in PAPERS]
)
def test_every_table_of_users_or_items_is_known(name: str, hyper: dict[str, str]) -> None:
    """37 users and 53 items, sizes that no other parameter has by chance."""
    model = MODELS[name](odd_sizes(), embedding_size=6, **hyper)
    kinds = {37: "users", 53: "items", 90: "nodes"}
    trained = {key: each for key, each in model.named_parameters() if each.requires_grad}
    assert model.id_tables() == {key: kinds[len(each)] for key, each in trained.items() if len(each) in kinds}
    if name != "MVGAE" and (hyper or name != "MMGCN"):  # whose tables are random and never train, in the benchmark
        assert model.id_tables()


@pytest.mark.parametrize("size", [37, 53])
@pytest.mark.parametrize("name", TRAINED)
def test_no_other_parameter_is_taken_for_a_table(name: str, size: int) -> None:
    """An embedding as wide as there are users, or items."""
    wide, narrow = (MODELS[name](odd_sizes(), embedding_size=each) for each in (size, 6))
    assert wide.id_tables() == narrow.id_tables()


def test_a_group_of_parameters_learns_at_a_rate_of_its_own() -> None:
    """`combined` descends at each group's rate; a group may be empty, or have no gradients."""
    model = Quadratic()
    x = flat(model)
    groups = [
        {"params": [], "lr": 9.0},
        {"params": [model.user_emb], "lr": 0.1},
        {"params": [model.item_emb, model.bias], "lr": 0.02},
    ]
    rates = torch.tensor([0.1] * 4 + [0.02] * 9, dtype=torch.float64)
    strategy = make_strategy("mg", model, {"alpha": 0.9, "beta": 0.4, "compose": "combined"})
    run(strategy, torch.optim.SGD(groups, lr=9.0))
    a = model.matrix
    between = x - 0.9 * rates * (a @ x)
    expected = x - rates * (0.9 * a @ x - 0.4 * a @ between)
    torch.testing.assert_close(flat(model), expected, rtol=1e-12, atol=1e-15)


def test_the_parameters_without_a_gradient_stay() -> None:
    """These are the frozen ones, and the ones that a loss leaves out."""
    model = Quadratic()
    model.bias.requires_grad_(False)
    before = model.bias.clone()
    for name in ON_ANY_MODEL:
        run(of(name, model), optimizer_of("adam", model), [ROWS] * 2)
    assert torch.equal(model.bias, before)


def test_update_scales_then_clips() -> None:
    model = Quadratic()
    start = flat(model)
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, 3.0)
    update = Update(optimizer_of("sgd", model, lr=1.0), clip_norm=math.sqrt(13))
    update(0.5)
    torch.testing.assert_close(start - flat(model), torch.ones(13).double(), rtol=1e-6, atol=0)
