"""Perturbations against what they are made of: the data edited before the model is made, closed forms, and the bits of
the weights before and after. RB-n: the tests of the measures' specification."""

from dataclasses import replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from recmodels.analysis import measures as named
from recmodels.analysis.measures import DEFAULT, NAMES, measure
from recmodels.analysis.perturbed import Perturbed, embedded, has_item_graph, id_rows
from recmodels.data.dataset import RecDataset
from recmodels.data.load import load_dataset
from recmodels.errors import UserError
from recmodels.evaluation import Evaluator
from recmodels.models import MODELS, Recommender
from recmodels.models.parts.item_features import feature_tables
from recmodels.testing.models import small_data

DATA = small_data("image", "text")
READ_FEATURES = ("VBPR", "GRCN", "MMGCF", "MMGCN", "MVGAE", "DualGNN", "DRAGON", "LGMRec", "SLMRec")
"""The models whose scores depend on features beside an item graph."""
EVERY = (*NAMES, "mix.image", "noise+rebuilt", "missing.text+rebuilt")


def made(name: str, data: RecDataset = DATA, seed: int = 0, **hyper: Any) -> Recommender:
    torch.manual_seed(seed)
    return MODELS[name](data, **hyper).eval()


def under(model: Recommender, name: str, level: float, data: RecDataset = DATA, repeat: int = 0) -> Tensor:
    """The scores (U, I) under a measure."""
    users, items = embedded(model, data, measure(name).perturb(model, data, level, seed=5, repeat=repeat))
    return users @ items.T


@pytest.mark.parametrize("model", MODELS)
def test_rb_1_and_rb_8_level_0_is_the_clean_model_exactly(model: str) -> None:
    subject = made(model)
    with torch.no_grad():
        users, items = subject.embed()
    for name in EVERY:
        assert torch.equal(under(subject, name, 0.0), users @ items.T)


@pytest.mark.parametrize("model", MODELS)
def test_rb_2_the_checkpoint_is_bit_identical_afterwards(model: str) -> None:
    subject = made(model)
    before = {name: each.clone() for name, each in [*subject.named_parameters(), *subject.named_buffers()]}
    owned = {name: each.data_ptr() for name, each in subject.named_parameters()}
    features = {name: matrix.copy() for name, matrix in DATA.features.items()}
    for name in EVERY:
        under(subject, name, 0.5)
    after = dict([*subject.named_parameters(), *subject.named_buffers()])
    assert all(torch.equal(after[name], value) for name, value in before.items())
    assert owned == {name: each.data_ptr() for name, each in subject.named_parameters()}
    assert all(np.array_equal(DATA.features[name], matrix) for name, matrix in features.items())
    assert all(table.shift is None for table in feature_tables(subject))


def test_rb_2_the_checkpoint_is_restored_when_a_model_fails() -> None:
    subject = made("BPR")
    before = subject.item_emb.detach().clone()  # type: ignore[union-attr]
    subject.embed = lambda: 1 / 0  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(ZeroDivisionError):
        under(subject, "embedding", 1.0)
    assert torch.equal(subject.get_parameter("item_emb"), before)


@torch.no_grad()
def test_rb_4_relative_noise_ranks_the_same_whatever_the_size_of_the_table() -> None:
    data = load_dataset("demo")
    subject, evaluator = made("BPR", data), Evaluator(data, "valid", (5, 20))
    before = evaluator(*embedded(subject, data, measure("embedding").perturb(subject, data, 0.3, 5, 0)))
    absolute = evaluator(*embedded(subject, data, measure("embedding-absolute").perturb(subject, data, 0.03, 5, 0)))
    subject.get_parameter("item_emb").mul_(7)
    again = evaluator(*embedded(subject, data, measure("embedding").perturb(subject, data, 0.3, 5, 0)))
    assert again == before
    changed = evaluator(*embedded(subject, data, measure("embedding-absolute").perturb(subject, data, 0.03, 5, 0)))
    assert changed != absolute


@pytest.mark.parametrize(("name", "expected"), [("embedding", 0.2), ("embedding-absolute", None)])
def test_rb_5_the_noise_has_the_deviation_that_the_level_says(name: str, expected: float | None) -> None:
    data = load_dataset("demo")
    subject = made("BPR", data, embedding_size=64)
    table = subject.get_parameter("item_emb").detach()
    noise = measure(name).perturb(subject, data, 0.2, 5, 0).tables["item_emb"] - table
    deviation = 0.2 if expected is None else expected * float(table.square().mean().sqrt())
    assert float(noise.std()) == pytest.approx(deviation, rel=0.01)


def test_rb_6_the_same_seed_gives_the_same_scores_and_another_repeat_others() -> None:
    subject = made("GRCN")
    for name in ("embedding", "mix", "noise"):
        assert torch.equal(under(subject, name, 0.5), under(subject, name, 0.5))
        assert not torch.equal(under(subject, name, 0.5), under(subject, name, 0.5, repeat=1))


def test_rb_7_the_noise_of_a_larger_level_is_that_of_a_smaller_one_scaled() -> None:
    subject = made("BPR")
    own = subject.get_parameter("item_emb").detach()
    small, large = (measure("embedding").perturb(subject, DATA, s, 5, 0).tables["item_emb"] - own for s in (0.2, 0.6))
    torch.testing.assert_close(3 * small, large)


@pytest.mark.parametrize("name", ["mix", "adjust", "edit", "missing", "swap"])
def test_rb_9_the_altered_items_are_a_share_of_all_and_those_of_a_smaller_share_among_them(name: str) -> None:
    data = load_dataset("demo")
    subject, shares = made("BPR", data), (0.001, 0.01, 0.05, 0.2, 1.0)
    found = [set(measure(name).perturb(subject, data, p, 5, 0).altered.tolist()) for p in shares]
    assert [len(each) for each in found] == [name != "swap", 7, 35, 140, 700]  # one item alone has no other
    assert all(one <= other for one, other in pairwise(found))


@pytest.mark.parametrize("name", ["mix", "adjust.image", "edit", "missing", "noise"])
@pytest.mark.parametrize("model", READ_FEATURES)
def test_rb_10_scores_are_those_of_a_model_made_of_the_edited_data(model: str, name: str) -> None:
    """With the same weights and the item graph as it was, whatever the model keeps of its features."""
    subject = made(model)
    edited = replace(DATA, features={**DATA.features, **measure(name).perturb(subject, DATA, 0.4, 5, 0).features})
    other = made(model, replace(edited, fingerprint=""), seed=1)
    other.load_state_dict(subject.state_dict())
    if has_item_graph(subject):
        other.item_graph = subject.item_graph
    users, items = embedded(other, edited, Perturbed())
    torch.testing.assert_close(under(subject, name, 0.4), users @ items.T, rtol=1e-4, atol=1e-5)
    clean = under(subject, name, 0.0)
    assert (under(subject, name, 0.4) - clean).abs().max() > 1e-2 * clean.std()


@pytest.mark.parametrize("model", ["FREEDOM", "DRAGON", "MGCN", "SMORE", "DAMRS", "LATTICE"])
def test_a_rebuilt_item_graph_is_that_of_the_edited_data(model: str) -> None:
    subject = made(model)
    edited = replace(DATA, features={**DATA.features, **measure("mix").perturb(subject, DATA, 0.4, 5, 0).features})
    other = made(model, replace(edited, fingerprint=""), seed=1)
    other.load_state_dict(subject.state_dict())
    users, items = embedded(other, edited, Perturbed())
    torch.testing.assert_close(under(subject, "mix+rebuilt", 0.4), users @ items.T, rtol=1e-4, atol=1e-5)
    assert not torch.equal(under(subject, "mix+rebuilt", 0.4), under(subject, "mix", 0.4))


@pytest.mark.parametrize("model", ["BM3", "FREEDOM", "BPR", "LightGCN", "DAMRS"])
def test_rb_11_edited_features_leave_models_that_ignore_them_as_they_are(model: str) -> None:
    """BM3 and FREEDOM train the features, in their weights; only FREEDOM's item graph would change."""
    subject = made(model)
    for name in ("mix", "missing", "noise"):
        assert torch.equal(under(subject, name, 1.0), under(subject, name, 0.0))


def test_only_embeddings_of_the_owners_are_noisy() -> None:
    """No biases, no features that train; of a table of all nodes only the items' rows."""
    assert id_rows(made("BM3")) == {"item_emb": slice(None)}
    assert id_rows(made("VBPR", variant="paper")) == {"item_emb": slice(None)}
    assert id_rows(made("BPR"), "users+items").keys() == {"user_emb", "item_emb"}
    subject = made("GRCN")
    noise = measure("embedding").perturb(subject, DATA, 0.5, 5, 0).tables["ids"] - subject.get_parameter("ids")
    assert not noise[: DATA.n_users].any()
    assert noise[DATA.n_users :].all()


def test_texts_are_edited_alone_where_there_are_texts() -> None:
    subject = made("GRCN")
    assert measure("mix").perturb(subject, DATA, 0.5, 5, 0).features.keys() == {"text"}
    assert measure("noise").perturb(subject, DATA, 0.5, 5, 0).features.keys() == {"image", "text"}
    images = small_data("image", "audio")
    subject = made("GRCN", images)
    assert measure("mix").perturb(subject, images, 0.5, 5, 0).features.keys() == {"image", "audio"}


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("embeding", "did you mean 'embedding'"),
        ("embedding.text", "measure 'embedding.text'"),
        ("mix.", "measure 'mix.'"),
        ("fake", "expected one of"),
    ],
)
def test_an_unknown_measure_is_one_line(name: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as fault:
        measure(name)
    assert "\n" not in str(fault.value)


def test_a_modality_that_the_data_lack_is_named() -> None:
    with pytest.raises(UserError, match=r"mix\.audio: expected a modality of small-image-text, which has image, text"):
        measure("mix.audio").perturb(made("GRCN"), DATA, 0.5, 5, 0)


def test_measures_that_are_made_by_default_are_measures() -> None:
    assert [measure(name).name for name in DEFAULT] == list(DEFAULT)
    assert named.RELATIVE[0] == named.SHARES[0] == 0.0
