"""Attacks against a closed form, a random change and the radius they may use. RB-n: the tests of the measures'
specification."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recmodels.analysis.adversarial import ranking_loss, triples_of
from recmodels.analysis.measures import measure
from recmodels.analysis.perturbed import in_place_of
from recmodels.data.corruptions import Draw
from recmodels.data.dataset import Interactions, RecDataset
from recmodels.models import MODELS, Recommender
from tests.recmodels.factories import held_out

DATA = held_out()
EPS = 0.1


def made(name: str, data: RecDataset = DATA) -> Recommender:
    torch.manual_seed(0)
    return MODELS[name](data).eval()


def loss_under(model: Recommender, name: str, data: RecDataset = DATA, level: float = EPS) -> float:
    """The adversary's own loss, on the triples that it had."""
    what = f"adversarial {name.partition('-')[0]}"
    chosen = measure(name)
    assert chosen.kind == what
    perturbed = chosen.perturb(model, data, level, 5, 0, "test")
    triples = triples_of(data, "test", captured(chosen, model, data))
    with torch.no_grad(), in_place_of(model, data, perturbed):
        return float(ranking_loss(model, triples))


def captured(chosen: object, model: Recommender, data: RecDataset) -> Draw:
    """The draw that a measure gives its perturbation."""
    found: list[Draw] = []

    def keep(model: object, data: object, level: object, draw: Draw, split: object) -> None:
        found.append(draw)

    replace(chosen, perturb_by=keep).perturb(model, data, 0.0, 5, 0)  # type: ignore[type-var]
    return found[0]


@pytest.mark.parametrize(
    ("model", "what"),
    [(name, "feature") for name in ("VBPR", "GRCN", "MMGCN", "DualGNN", "SLMRec")]
    + [(name, "embedding") for name in ("BPR", "BM3", "FREEDOM", "GRCN")],
)
def test_rb_16_ten_steps_hurt_at_least_as_much_as_one_and_one_more_than_chance(model: str, what: str) -> None:
    tested = made(model)
    none = loss_under(tested, f"{what}-fgsm", level=0.0)
    chance, one, ten = (loss_under(tested, f"{what}-{attack}") for attack in ("random", "fgsm", "pgd"))
    assert chance < one
    assert none < one <= ten * (1 + 1e-6)


@torch.no_grad()
def test_rb_17_the_margin_of_a_single_triple_of_vbpr_falls_by_twice_the_radius_times_the_slope() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((3, 6)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)  # rows of length 1: both radii are EPS
    pair = Interactions.from_pairs(np.array([0]), np.array([1]), 1)
    train = Interactions.from_pairs(np.array([0]), np.array([0]), 1)
    data = RecDataset("one", 1, 3, train, pair, pair, {"image": features}, "one")
    tested = made("VBPR", data)
    chosen = measure("feature-fgsm")
    perturbed = chosen.perturb(tested, data, EPS, 5, 0, "test")

    def margin() -> float:
        users, items = tested.embed()
        return float(users[0] @ (items[1] - items[2]))  # item 2 is all that the user does not know

    before = margin()
    with in_place_of(tested, data, perturbed):
        after = margin()
    half = tested.get_parameter("weight").shape[0]
    slope = tested.get_parameter("weight").T @ tested.get_parameter("user_emb")[0, half:]
    assert before - after == pytest.approx(2 * EPS * float(slope.norm()), rel=1e-5)
    assert perturbed.altered.tolist() == [1, 2]  # the gradient of item 0 is 0


@pytest.mark.parametrize("attack", ["random", "fgsm", "pgd"])
@torch.no_grad()
def test_no_row_moves_farther_than_its_radius(attack: str) -> None:
    tested = made("GRCN")
    features = measure(f"feature-{attack}").perturb(tested, DATA, EPS, 5, 0).features
    for name, matrix in DATA.features.items():
        moved = np.linalg.norm(features[name] - matrix, axis=1) / np.linalg.norm(matrix, axis=1)
        assert moved.max() == pytest.approx(EPS, rel=1e-4)
    tables = measure(f"embedding-{attack}").perturb(tested, DATA, EPS, 5, 0).tables
    for name, table in tables.items():
        own = tested.get_parameter(name)
        lengths = (table - own).norm(dim=1) / own.norm(dim=1)
        assert float(lengths.max()) == pytest.approx(EPS, rel=1e-4)
        assert not (table - own)[: DATA.n_users].any()


def test_the_adversary_knows_the_positives_of_its_split_and_none_that_are_known_as_negatives() -> None:
    users, positives, negatives = triples_of(DATA, "test", Draw(1, "x")).numpy()
    assert np.array_equal(users, DATA.test.users)
    assert np.array_equal(positives, DATA.test.items)
    known = {*zip(DATA.train.users, DATA.train.items, strict=True), *zip(users, positives, strict=True)}
    assert not known & {*zip(users, negatives, strict=True)}
    tested = made("BPR")
    chosen = measure("embedding-fgsm")
    tables = [chosen.perturb(tested, DATA, EPS, 5, 0, split).tables["item_emb"] for split in ("valid", "test")]
    assert not torch.equal(*tables)
