"""A model under a measure, against an evaluation by hand. RB-n: the tests of the measures' specification."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from recmodels.analysis.measures import measure
from recmodels.analysis.perturbed import Perturbed, embedded
from recmodels.analysis.robustness import Probed, best_of
from recmodels.evaluation import Evaluator, evaluate
from recmodels.metric import Metric
from recmodels.models import MODELS
from tests.recmodels.factories import held_out

DATA = held_out()
METRIC = Metric("recall@5")


def probed(name: str) -> Probed:
    torch.manual_seed(0)
    return Probed(MODELS[name](DATA), DATA, "test", METRIC)


@pytest.mark.parametrize("name", ["embedding", "mix", "noise"])
def test_rb_1_rb_3_rb_8_level_0_has_the_metrics_of_the_model_exactly(name: str) -> None:
    tested = probed("GRCN")
    point = tested.at(measure(name), 0.0, seed=5, repeats=3)
    assert point.metrics == (evaluate(tested.model, DATA, "test", (5, 10, 20)),) * 3
    assert point.metrics[0] == tested.clean
    assert np.array_equal(point.users, tested.clean_users)
    assert tested.clean["recall@5"] > 0


def test_rb_7_neither_the_order_nor_the_number_of_levels_changes_a_level() -> None:
    name, levels = measure("embedding"), (0.1, 0.5, 1.0)
    up = [probed("BPR").at(name, level, 5, 2).metrics for level in levels]
    tested = probed("BPR")
    down = [tested.at(name, level, 5, 2).metrics for level in reversed(levels)]
    assert up == down[::-1]
    assert up[0] != up[2]


def test_more_repeats_begin_with_the_same_draws() -> None:
    tested = probed("BPR")
    few, many = (tested.at(measure("embedding"), 0.5, 5, repeats) for repeats in (2, 4))
    assert many.metrics[:2] == few.metrics
    assert many.metrics[2] != many.metrics[0]


def test_rb_11_a_measure_that_does_not_reach_the_model_says_so_and_drops_nothing() -> None:
    tested = probed("BM3")
    point = tested.at(measure("mix"), 0.5, 5, repeats=3)
    assert not point.applies
    assert point.metrics == (tested.clean,) * 3
    assert probed("GRCN").at(measure("mix"), 0.5, 5, 3).applies
    assert not probed("DualGNN").at(measure("embedding"), 0.5, 5, 1).applies  # items have no id embedding


def test_users_are_told_apart_by_the_edited_items_of_their_history() -> None:
    tested, name = probed("GRCN"), measure("mix")
    altered = name.perturb(tested.model, DATA, 0.02, 5, 0).altered  # 1 of 60 items
    touched = np.array(
        [np.isin(altered, DATA.train.items[slice(*DATA.train.indptr[u : u + 2])]).any() for u in range(40)]
    )
    touched = touched[tested.user_numbers]
    assert 0 < touched.sum() < len(touched)
    point = tested.at(name, 0.02, 5, repeats=1)
    assert point.altered == (1,)
    assert point.edited is not None
    assert point.edited.touched.users == touched.sum()
    assert point.edited.others.users == (~touched).sum()
    assert point.edited.touched.perturbed == pytest.approx(point.users[touched].mean())
    assert point.edited.others.clean == pytest.approx(tested.clean_users[~touched].mean())


def test_exposure_is_the_share_of_the_best_lists_before_and_after() -> None:
    tested = probed("GRCN")
    features = {"text": DATA.features["text"].copy()}
    features["text"][[3, 8]] *= -5
    perturbed = Perturbed.of_features(DATA, features)
    shares = []
    for users, items in (tested.embedded, embedded(tested.model, DATA, perturbed)):
        scores = (users @ items.T).numpy().copy()
        scores[DATA.train.users, DATA.train.items] = -np.inf
        lists = np.argsort(-scores, axis=1)[:, :5]
        assert np.array_equal(np.sort(best_of(users, items, DATA, 5)), np.sort(lists))
        shares.append(np.isin(lists, [3, 8]).mean())
    edit = tested._draw(perturbed).edit
    assert edit is not None
    assert [edit.before, edit.after] == shares
    assert shares[0] != shares[1]


def test_without_texts_in_the_scores_every_metric_is_that_of_the_evaluator() -> None:
    tested = probed("BPR")
    point = tested.at(measure("embedding"), 0.5, 5, repeats=2)
    perturbed = [measure("embedding").perturb(tested.model, DATA, 0.5, 5, repeat) for repeat in range(2)]
    by_hand = []
    for each in perturbed:
        model = MODELS["BPR"](DATA)
        model.load_state_dict({**tested.model.state_dict(), **each.tables})
        by_hand.append(Evaluator(DATA, "test", (5, 10, 20))(*model.embed()))
    assert point.metrics == tuple(by_hand)
    table = tested.model.get_parameter("item_emb").detach()
    assert point.sizes == {"item_emb": pytest.approx(float(table.square().mean().sqrt()))}
    assert float(point.users.mean()) == pytest.approx(np.mean([each["recall@5"] for each in by_hand]))


def test_another_split_is_another_value() -> None:
    model = MODELS["BPR"](DATA)
    clean = {split: Probed(model, DATA, split, METRIC).clean for split in ("valid", "test")}  # type: ignore[arg-type]
    assert clean["valid"] != clean["test"]
    swapped = replace(DATA, valid=DATA.test, fingerprint="other")
    assert Probed(model, swapped, "valid", METRIC).clean == clean["test"]
