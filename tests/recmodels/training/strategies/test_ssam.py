"""Sparse SAM: how the masks come about, and what they leave in place."""

import math
from itertools import cycle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.linalg import vector_norm

from recmodels.models import Recommender
from recmodels.training import Strategy, make_strategy
from recmodels.training.batch_loss import BatchLoss
from recmodels.training.strategies.base import LossTransform
from recmodels.training.strategies.ssam import FisherSAM
from tests.recmodels.training.strategies.toys import (
    MF,
    OPTIMIZERS,
    ROWS,
    Noisy,
    Quadratic,
    Smooth,
    Toy,
    flat,
    optimizer_of,
    run,
    stepped,
    triples,
    watched,
)

NAMES = ("ssam_f", "ssam_d")
SPARSITIES = (0.2, 0.5, 0.8, 0.95)


def mask(strategy: Strategy) -> Tensor:
    """(N,) bool: which weights are perturbed."""
    return strategy.oracle.mask.clone()


def n_perturbed(sparsity: float, n: int = 13) -> int:
    return n - math.ceil(sparsity * n)


@pytest.mark.parametrize("kind", OPTIMIZERS)
@pytest.mark.parametrize("name", NAMES)
def test_without_sparsity_it_is_sam_bit_for_bit(name: str, kind: str) -> None:
    """It is SAM from the first step on."""
    ends = []
    for each, knobs in (("sam", {}), (name, {"sparsity": 0.0})):
        torch.manual_seed(0)
        model = Noisy()
        strategy = make_strategy(each, model, {"rho": 0.2} | knobs)
        run(strategy, optimizer_of(kind, model), [ROWS] * 5, epochs=3)
        ends.append(flat(model))
        assert strategy.counts.forward == 30
    assert torch.equal(*ends)


@pytest.mark.parametrize("renorm", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_closed_form_with_a_fixed_mask(name: str, renorm: bool) -> None:
    """theta -> theta - eta A (theta + rho m A theta / ||A theta||); `renorm`: / ||m A theta||."""
    model = Quadratic()
    x, a = flat(model), model.matrix
    strategy = make_strategy(name, model, {"rho": 0.3, "renorm": renorm} | ({"d0": 0.0} if name == "ssam_d" else {}))
    run(strategy, optimizer_of("sgd", model))
    m = mask(strategy).double()
    assert m.sum() == n_perturbed(0.5) == 6
    length = vector_norm(m * (a @ x)) if renorm else vector_norm(a @ x)
    expected = x - 0.1 * a @ (x + 0.3 * m * (a @ x) / length)
    torch.testing.assert_close(flat(model), expected, rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("sparsity", SPARSITIES)
@pytest.mark.parametrize("name", NAMES)
def test_the_mask_keeps_its_size(name: str, sparsity: float) -> None:
    """In epochs of one batch each; d0 = 0.9 would shrink the reference's mask."""
    model = MF()
    strategy = make_strategy(name, model, {"sparsity": sparsity} | ({"d0": 0.9} if name == "ssam_d" else {}))
    optimizer, sizes, masks = optimizer_of("adam", model), [], []
    for epoch in range(5):
        _epoch(strategy, optimizer, epoch, triples(3))
        masks.append(mask(strategy))
        sizes.append(int(masks[-1].sum()))
    assert sizes == [n_perturbed(sparsity, 80)] * 5
    assert any(not torch.equal(masks[0], each) for each in masks)


def _epoch(strategy: Strategy, optimizer: torch.optim.Optimizer, epoch: int, batches: list[Tensor]) -> None:
    strategy.new_epoch(epoch, lambda rng: map(strategy.loss, cycle(batches)))
    for index, rows in enumerate(batches):
        strategy.step(strategy.loss(rows, epoch=epoch, batch_index=index), optimizer)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_masked_out_stays_in_place(name: str) -> None:
    """The perturbation has the length rho ||m g|| / ||g||."""
    model = Smooth()
    strategy = make_strategy(name, model, {"rho": 2.0, "sparsity": 0.8})
    seen = watched(model)
    run(strategy, optimizer_of("sgd", model))
    (_, here), (_, there) = seen[-2:]
    m, g = mask(strategy), model.gradient(here)
    assert torch.equal(here[~m], there[~m])
    assert (here[m] != there[m]).all()
    expected = 2.0 * vector_norm(g * m) / vector_norm(g)
    torch.testing.assert_close(vector_norm(there - here), expected, rtol=1e-9, atol=0)


class Samples(Toy):
    """A sample is a triple; its gradient is slope[user] at the user's weights, 2 slope[item] at the positive's."""

    slope = torch.tensor([[3.0, -0.1], [7.0, 0.5]], dtype=torch.float64)
    item_slope = torch.tensor([[0.2, 0.1], [-4.0, 4.5], [0.2, 0.3]], dtype=torch.float64)

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        users = (self.slope * self.user_emb)[batch[0]].sum(1)
        items = (self.item_slope * self.item_emb)[batch[1]].sum(1)
        return {"loss": (users + 2 * items).mean()}


PAIRS = torch.tensor([[0, 0, 0, 1], [0, 1, 1, 1], [2, 2, 2, 2]])  # item 2 has no sample, nor do the biases


def information(batch: int) -> Tensor:
    """The sum of squared gradients over the samples in batches of this size, (13,)."""
    squares = torch.zeros(13, dtype=torch.float64)
    for rows in PAIRS.split(batch, dim=1):
        gradient = torch.zeros(13, dtype=torch.float64)
        for user, item, _ in rows.T.tolist():
            gradient[2 * user : 2 * user + 2] += Samples.slope[user] / rows.shape[1]
            gradient[4 + 2 * item : 6 + 2 * item] += 2 * Samples.item_slope[item] / rows.shape[1]
        squares += gradient.square()
    return squares


@pytest.mark.parametrize("fisher_batch", [0, 1, 2, 3])
def test_fisher_information_chooses_the_mask(fisher_batch: int) -> None:
    """Squared gradients of samples of `fisher_batch` triples, or of whole batches, the largest over all tables
    together."""
    model = Samples()
    passes = math.ceil(4 / (fisher_batch or 4))
    strategy = make_strategy("ssam_f", model, {"sparsity": 0.7, "n_fisher": passes, "fisher_batch": fisher_batch})
    strategy.new_epoch(0, lambda rng: map(strategy.loss, cycle([PAIRS])))
    expected = information(fisher_batch or 4)
    assert expected.count_nonzero() == 8
    assert mask(strategy).nonzero().flatten().tolist() == sorted(expected.topk(3).indices.tolist())
    assert strategy.counts.forward == passes
    assert strategy.report()["fisher_untouched"] == pytest.approx(5 / 13)


def test_the_size_of_a_sample_matters_here() -> None:
    assert set(information(1).topk(3).indices.tolist()) != set(information(4).topk(3).indices.tolist())


def test_ties_at_zero_are_broken_at_random() -> None:
    """SSAM-F with more to perturb than the samples touched: all of those, and others by the seed."""
    masks = []
    for seed in range(8):
        model = Samples()
        strategy = make_strategy("ssam_f", model, {"sparsity": 0.2, "n_fisher": 1}, seed=seed)
        strategy.new_epoch(0, lambda rng, strategy=strategy: map(strategy.loss, cycle([PAIRS])))
        masks.append(mask(strategy))
        assert masks[-1][information(4) > 0].all()
        assert masks[-1].sum() == 10
    assert len({tuple(each.tolist()) for each in masks}) > 1


class OneOf(Recommender):
    """A loss that is one of n weights of value 0: all others have the gradient 0."""

    def __init__(self, n: int, place: int) -> None:
        super().__init__(SimpleNamespace(n_users=1, n_items=2))
        self.weights, self.place = nn.Parameter(torch.zeros(n, dtype=torch.float64)), place

    def embed(self) -> tuple[Tensor, Tensor]:
        raise NotImplementedError

    def loss(self, batch: Tensor) -> dict[str, Tensor]:
        return {"loss": self.weights[self.place]}


def test_every_tied_weight_is_as_likely_to_be_dropped_and_to_be_grown() -> None:
    """Three of six are dropped and three of the others grown, in 200 runs: 100 times each, with a deviation of 7.

    By any score: all gradients but the last are 0, and so are all weights.
    """
    for drop, grow in (("gradient", "random"), ("gradient", "weight"), ("weight", "gradient")):
        dropped = torch.zeros(12)
        for seed in range(200):
            model = OneOf(12, 11 if grow != "gradient" else 0)
            strategy = make_strategy("ssam_d", model, {"d0": 0.5, "drop": drop, "grow": grow}, seed=seed)
            strategy.oracle.mask = torch.arange(12) < 6
            _epoch(strategy, torch.optim.SGD(model.parameters(), lr=0.0), 0, [ROWS])
            assert mask(strategy).sum() == 6
            dropped += ~mask(strategy)
        assert dropped[:6].sum() == dropped[6:].sum() == 600
        assert (dropped - 100).abs().max() < 30


def test_no_weight_is_perturbed_more_often_for_its_place_in_memory() -> None:
    """The mean of three runs, of which one deviates by .013."""
    perturbed = torch.zeros(1000)
    for seed in range(3):
        model = OneOf(1000, 500)
        strategy = make_strategy("ssam_d", model, {"sparsity": 0.5, "d0": 0.5}, seed=seed)
        frozen = torch.optim.SGD(model.parameters(), lr=0.0)
        for epoch in range(200):
            _epoch(strategy, frozen, epoch, [ROWS])
            if epoch >= 50:
                perturbed += mask(strategy)
    assert ((perturbed / 450).view(10, 100).mean(1) - 0.5).abs().max() < 0.02


def test_equal_fisher_information_is_a_tie_too() -> None:
    """All gradients are 1: 6 of 13 weights in 200 runs, 92 times each, with a deviation of 7."""
    chosen = torch.zeros(13)
    for seed in range(200):
        model = Quadratic()
        model.loss = lambda batch, model=model: {"loss": model.point.sum()}
        strategy = make_strategy("ssam_f", model, {"n_fisher": 1}, seed=seed)
        strategy.new_epoch(0, lambda rng, strategy=strategy: map(strategy.loss, cycle([ROWS])))
        chosen += mask(strategy)
    assert (chosen - 200 * 6 / 13).abs().max() < 30


def test_a_run_that_breaks_ties_goes_on_from_its_saved_state() -> None:
    """Bit for bit: the generator that draws is saved."""
    masks = []
    for restored in (False, True):
        model = OneOf(40, 7)
        strategy = make_strategy("ssam_d", model, {"d0": 0.5})
        optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
        for epoch in range(6):
            if restored and epoch == 3:
                state = strategy.state_dict()
                strategy = make_strategy("ssam_d", model, {"d0": 0.5}, seed=9)
                strategy.load_state_dict(state)
            _epoch(strategy, optimizer, epoch, [ROWS])
        masks.append(mask(strategy))
    assert torch.equal(*masks)


def test_fisher_passes_leave_no_trace() -> None:
    """Neither weights nor the random draws of the training change, but the passes are counted."""
    model = Noisy()
    strategy = make_strategy("ssam_f", model, {"n_fisher": 5})
    start = flat(model)
    torch.manual_seed(3)
    strategy.new_epoch(0, lambda rng: map(strategy.loss, cycle([ROWS])))
    drawn = torch.randn(2)
    torch.manual_seed(3)
    assert torch.equal(drawn, torch.randn(2))
    assert torch.equal(flat(model), start)
    assert len(model.draws) == 5
    assert strategy.counts.forward == 5


class Nothing(LossTransform):
    """Trains zero times the loss."""

    def __call__(self, loss: BatchLoss, *, replay: bool) -> Tensor:
        return loss.accumulate(lambda terms: terms["loss"] * 0, replay=replay)


def test_fisher_samples_are_of_the_loss_that_is_trained() -> None:
    """A loss transform holds for whole batches and for single samples."""

    for fisher_batch in (0, 1):
        model = Samples()
        strategy = Strategy(model, transform=Nothing(), oracle=FisherSAM(n_fisher=2, fisher_batch=fisher_batch))
        strategy.new_epoch(0, lambda rng, strategy=strategy: map(strategy.loss, cycle([PAIRS])))
        assert strategy.report()["fisher_untouched"] == 1.0


def test_a_sample_that_is_not_finite_counts_as_none() -> None:
    model = Samples()
    strategy = make_strategy("ssam_f", model, {"sparsity": 0.7, "n_fisher": 2})
    model.faults = iter([float("nan"), 1.0])
    loss = model.loss
    model.loss = lambda batch: {"loss": loss(batch)["loss"] * next(model.faults)}
    strategy.new_epoch(0, lambda rng: map(strategy.loss, cycle([PAIRS])))
    assert mask(strategy).nonzero().flatten().tolist() == sorted(information(4).topk(3).indices.tolist())


@pytest.mark.parametrize("epoch", [0, 50, 150, 300])
@pytest.mark.parametrize("sparsity", [0.2, 0.5, 0.8])
def test_a_renewal_drops_the_flattest(sparsity: float, epoch: int) -> None:
    """The n perturbed weights of the least |g1|, n = floor(min(d K, N - K)), d a cosine from 0.9 to 0."""
    model = Smooth()
    strategy = make_strategy("ssam_d", model, {"sparsity": sparsity, "d0": 0.9, "horizon": 200})
    before, gradient = mask(strategy), model.gradient(flat(model)).abs()
    chosen = n_perturbed(sparsity)
    _epoch(strategy, optimizer_of("sgd", model), epoch, [ROWS])
    after = mask(strategy)
    share = 0.9 * (1 + math.cos(math.pi * min(epoch / 200, 1))) / 2
    n = math.floor(min(share * chosen, 13 - chosen))
    assert (n == 0) == (epoch == 300 or share * chosen < 1)
    active = before.nonzero().flatten()
    dropped = active[gradient[active].argsort()[:n]]
    assert sorted((before & ~after).nonzero().flatten().tolist()) == sorted(dropped.tolist())
    assert (after & ~before).sum() == n


@pytest.mark.parametrize(("drop", "grow"), [("weight", "gradient"), ("gradient", "weight")])
def test_a_renewal_by_gradient_or_weight(drop: str, grow: str) -> None:
    """The least score of `drop` go, the largest of `grow` come."""
    model = Smooth()
    strategy = make_strategy("ssam_d", model, {"drop": drop, "grow": grow, "d0": 0.5})
    before, weights = mask(strategy), flat(model)
    scores = {"gradient": model.gradient(weights).abs(), "weight": weights.abs()}
    _epoch(strategy, optimizer_of("sgd", model), 0, [ROWS])
    after = mask(strategy)
    active, others = before.nonzero().flatten(), (~before).nonzero().flatten()
    dropped = active[scores[drop][active].argsort()[:3]]
    grown = others[scores[grow][others].argsort(descending=True)[:3]]
    assert set((before & ~after).nonzero().flatten().tolist()) == set(dropped.tolist())
    assert set((after & ~before).nonzero().flatten().tolist()) == set(grown.tolist())


def test_a_mask_without_a_gradient_moves_nothing() -> None:
    """One weight is perturbed, one that no sample touches: SAM's second pass at the same weights, and no 0 / 0."""
    for seed in range(20):
        model = Samples()
        strategy = make_strategy("ssam_d", model, {"sparsity": 0.9, "d0": 0.0}, seed=seed)
        if information(4)[mask(strategy)] > 0:
            continue
        seen = watched(model)
        run(strategy, optimizer_of("sgd", model), [PAIRS])
        assert torch.equal(seen[0][1], seen[1][1])
        assert all(math.isfinite(value) for value in strategy.report().values())
        return
    pytest.fail("no seed masks all samples out")


def test_random_masks_follow_the_seed() -> None:
    """The start is uniform: over many seeds each weight is in half of the masks."""
    masks = torch.stack([mask(make_strategy("ssam_d", Smooth(), {}, seed=seed)) for seed in range(200)]).double()
    assert torch.equal(masks[3], mask(make_strategy("ssam_d", Smooth(), {}, seed=3)).double())
    assert (masks.mean(0) - 6 / 13).abs().max() < 0.15  # four deviations of 0.035


@pytest.mark.parametrize(("mask_every", "renewals"), [(1, [0, 1, 2, 3, 4, 5]), (3, [0, 3]), (10, [0])])
@pytest.mark.parametrize("name", NAMES)
def test_masks_are_renewed_every_few_epochs_once(name: str, mask_every: int, renewals: list[int]) -> None:
    """In the epoch's first batch, not in the second of a mirrored batch's gradients."""
    model = MF()
    own = {"d0": 0.9} if name == "ssam_d" else {"n_fisher": 1}
    strategy = make_strategy(f"{name}+mg", model, {"mask_every": mask_every, "interval": 1} | own)
    optimizer, batches = optimizer_of("sgd", model), triples(6)
    masks, renewed, loss = [strategy.oracle.mask], [], model.loss

    def noted(batch: Tensor) -> dict[str, Tensor]:
        """A mask is renewed before or after some pass; `masks` has all, so that none can have another's identity."""
        if strategy.oracle.mask is not masks[-1]:
            masks.append(strategy.oracle.mask)
            renewed.append(epoch)
        return loss(batch)

    model.loss = noted
    for epoch in range(6):
        _epoch(strategy, optimizer, epoch, [batches[epoch], batches[epoch - 1]])
    assert renewed == renewals


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_of_the_masks_is_their_own(name: str) -> None:
    """They draw from the seed that they were given, whatever torch's or numpy's global generators are at."""
    ends = []
    for junk in (0, 1):
        torch.manual_seed(junk)
        np.random.seed(junk)
        model = MF()
        run(make_strategy(name, model, {}, seed=4), optimizer_of("adam", model), triples(2), epochs=3)
        ends.append(flat(model))
    assert torch.equal(*ends)


def test_one_step_differs_from_sam_and_plain() -> None:
    """The masks do something."""
    for name in NAMES:
        ends = [stepped(Smooth(), each, {"rho": 0.5} if each != "plain" else {}) for each in (name, "sam", "plain")]
        assert not torch.equal(ends[0], ends[1])
        assert not torch.equal(ends[0], ends[2])


def test_nothing_to_choose_takes_no_fisher_passes() -> None:
    for knobs in ({"sparsity": 0.0}, {"sparsity": 1.0}, {"rho": 0.0}):
        strategy = make_strategy("ssam_f", Quadratic(), knobs)
        strategy.new_epoch(0, lambda rng: pytest.fail("no batch is needed"))
        assert strategy.counts.forward == 0
