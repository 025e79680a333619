"""Each model against the reference's numbers: loss, every gradient, representations, scores."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
import torch

from recmodels.data.dataset import RecDataset
from recmodels.errors import DataError
from recmodels.models import MODELS, Recommender
from tests.recmodels import golden


@dataclass
class Case:
    """How a golden file maps to a model: its features, its hyper-parameters, parameter -> array name."""

    features: Callable[[dict[str, Any]], dict[str, np.ndarray]]
    hyper: tuple[str, ...]
    parameters: dict[str, str]
    loose: dict[str, float] = field(default_factory=dict)


def both(z: dict[str, Any]) -> dict[str, np.ndarray]:
    return {"image": z["v_feat"], "text": z["t_feat"]}


CASES = {
    "VBPR": Case(
        both,
        ("embedding_size", "reg_weight"),
        {
            "user_emb": "user_embedding",
            "item_emb": "item_embedding",
            "weight": "item_projection_weight",
            "bias": "item_projection_bias",
        },
        loose={"bias": 1e-4},  # a sum that cancels to rounding noise in float32
    ),
    "LightGCN": Case(
        lambda z: {},
        ("embedding_size", "n_layers", "reg_weight"),
        {"user_emb": "user_emb", "item_emb": "item_emb"},
    ),
    "GRCN": Case(
        both,
        ("embedding_size", "latent_embedding", "reg_weight"),
        {"ids": "id_embedding", "confidence": "confidence"}
        | {
            f"content.{name}.{ours}": f"{letter}_{theirs}"
            for name, letter in (("image", "v"), ("text", "t"))
            for ours, theirs in (("preference", "preference"), ("weight", "mlp_weight"), ("bias", "mlp_bias"))
        },
    ),
}


def build(name: str, z: dict[str, Any], data: RecDataset) -> Recommender:
    hyper = {key: z[f"hp_{key}"].item() for key in CASES[name].hyper}
    return MODELS[name](data, **hyper)


def with_weights(model: Recommender, z: dict[str, Any], parameters: dict[str, str]) -> Recommender:
    named = dict(model.named_parameters())
    assert set(named) == set(parameters)
    with torch.no_grad():
        for ours, theirs in parameters.items():
            named[ours].copy_(torch.from_numpy(z[f"param_{theirs}"]))
    return model


def golden_model(name: str) -> tuple[Recommender, dict[str, Any]]:
    z, case = golden.load(name.lower()), CASES[name]
    return with_weights(build(name, z, golden.dataset(z, **case.features(z))), z, case.parameters), z


def total(model: Recommender, z: dict[str, Any]) -> torch.Tensor:
    return torch.stack(list(model.loss(golden.batch(z)).values())).sum()


@pytest.mark.parametrize("name", CASES)
def test_reproduces_the_reference(name: str) -> None:
    model, z = golden_model(name)
    loss = total(model, z)
    loss.backward()
    users, items = model.embed()
    assert golden.error(loss, z["loss"]) < 1e-5
    assert golden.error(users, z["user_repr"]) < 1e-5
    assert golden.error(items, z["item_repr"]) < 1e-5
    assert golden.error(users @ items.T, z["scores"]) < 1e-5
    for ours, parameter in model.named_parameters():
        theirs = z[f"grad_{CASES[name].parameters[ours]}"]
        assert golden.error(parameter.grad, theirs) < CASES[name].loose.get(ours, 1e-5), ours


@pytest.mark.parametrize("name", ["VBPR", "GRCN"])
def test_reproduces_the_reference_in_double_precision(name: str) -> None:
    model, z = golden_model(name)
    model.double()
    loss = total(model, z)
    loss.backward()
    users, items = model.embed()
    assert golden.error(loss, z["loss_f64"]) < 1e-9
    assert golden.error(users @ items.T, z["scores_f64"]) < 1e-9
    for ours, parameter in model.named_parameters():
        assert golden.error(parameter.grad, z[f"grad64_{CASES[name].parameters[ours]}"]) < 1e-9, ours


def test_lightgcn_adjacency_and_loss_terms() -> None:
    model, z = golden_model("LightGCN")
    terms = model.loss(golden.batch(z))
    assert golden.error(model.graph.matrix().to_dense(), z["adj_norm"]) < 1e-6
    assert golden.error(terms["bpr"], z["loss_bpr"]) < 1e-6
    assert golden.error(terms["reg"], z["loss_reg"] * z["hp_reg_weight"]) < 1e-6


@pytest.mark.parametrize(("suffix", "name", "columns"), [("v", "image", slice(12, 28)), ("t", "text", slice(0, 12))])
def test_vbpr_with_one_modality(suffix: str, name: str, columns: slice) -> None:
    z = golden.load("vbpr")
    z["param_item_projection_weight"] = z["param_item_projection_weight"][:, columns]
    data = golden.dataset(z, **{name: z[f"{suffix}_feat"]})
    model = with_weights(build("VBPR", z, data), z, CASES["VBPR"].parameters)
    users, items = model.embed()
    assert golden.error(total(model, z), z[f"loss_{suffix}_only"]) < 1e-5
    assert golden.error(users @ items.T, z[f"scores_{suffix}_only"]) < 1e-5


def test_grcn_with_images_alone() -> None:
    z = golden.load("grcn")
    z["param_confidence"] = z["param_confidence"][:, :1]
    parameters = {ours: theirs for ours, theirs in CASES["GRCN"].parameters.items() if "text" not in ours}
    model = with_weights(build("GRCN", z, golden.dataset(z, image=z["v_feat"])), z, parameters)
    users, items = model.embed()
    assert golden.error(total(model, z), z["loss_v_only"]) < 1e-5
    assert golden.error(users @ items.T, z["scores_v_only"]) < 1e-5


@pytest.mark.parametrize("name", ["VBPR", "GRCN"])
def test_says_that_it_needs_features(name: str) -> None:
    z = golden.load(name.lower())
    with pytest.raises(DataError, match=f"golden: {name} needs item features"):
        build(name, z, golden.dataset(z))
