"""Tables say whose rows they hold, whatever happens to the model."""

import copy
import io
from collections.abc import Callable

import pytest
import torch
from torch import nn

from recmodels.models import MODELS, Recommender
from recmodels.testing import small_data

EXPECTED = {
    "ids": "nodes",
    "confidence": "nodes",
    "content.image.preference": "users",
    "content.text.preference": "users",
}


def pickled(model: Recommender) -> Recommender:
    file = io.BytesIO()
    torch.save(model, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


def loaded(model: Recommender) -> Recommender:
    model.load_state_dict(copy.deepcopy(model.state_dict()))
    return model


@pytest.mark.parametrize(
    "change",
    [lambda model: model, copy.deepcopy, pickled, loaded, nn.Module.double, lambda model: model.to(torch.bfloat16)],
    ids=["as made", "copied", "pickled", "loaded", "double", "to"],
)
def test_tables_outlast_what_happens_to_a_model(change: Callable[[Recommender], Recommender]) -> None:
    model = change(MODELS["GRCN"](small_data("image", "text")))
    assert model.id_tables() == EXPECTED
    assert all(type(each.detach()) is torch.Tensor for each in model.parameters())


def test_a_frozen_table_is_left_out() -> None:
    model = MODELS["GRCN"](small_data("image", "text"))
    model.ids.requires_grad_(False)
    assert model.id_tables().keys() == EXPECTED.keys() - {"ids"}


NO_BIAS = ("BPR", "DAMRS", "EASE", "ItemKNN", "ItemKNNCBF", "LGMRec", "LayerGCN", "LightGCN", "Popularity")
PERCEPTRONS = {f"views.perceptrons.{name}.{layer}.bias" for name in ("image", "text") for layer in (0, 2)}
PROJECTIONS = {f"content.{name}.projection.bias" for name in ("image", "text")}
HEADS = ("mean", "log_variance")
BIASES: dict[str, set[str]] = {name: set() for name in NO_BIAS} | {
    "BM3": {"predictor.bias", *PROJECTIONS},
    "DRAGON": PERCEPTRONS,
    "DualGNN": PERCEPTRONS,
    "FREEDOM": PROJECTIONS,
    "GRCN": {"content.image.bias", "content.text.bias"},
    "LATTICE": PROJECTIONS,
    "MGCN": {
        *PROJECTIONS,
        *(f"{part}.{name}.bias" for part in ("gates", "preferences") for name in ("image", "text")),
        "query.0.bias",
    },
    "MMGCN": {
        "branches.image.projection.bias",
        *(
            f"branches.{name}.{layer}.{part}.bias"
            for name in ("image", "text")
            for layer in ("first", "second", "last")
            for part in ("own", "fuse")
        ),
    },
    "MMGCF": PROJECTIONS,
    "MVGAE": {
        f"{branch}.{layer}.bias"
        for branch in ("content.image", "content.text", "collaborative")
        for layer in ("mlp", "conv", "mix", *(f"{h}.{part}" for h in HEADS for part in ("conv", "own", "mix")))
    },
    "PGL": PROJECTIONS,
    "SelfCF": {"predictor.bias"},
    "SLMRec": {
        *PROJECTIONS,
        *(f"{side}_fusion.bias" for side in ("user", "item")),
        *(f"alignment.{part}.bias" for part in ("ids", "first", "maps.0", "narrow", "last")),
    },
    "SMORE": {
        *PROJECTIONS,
        *(f"{part}.{name}.bias" for part in ("gates", "preferences") for name in ("image", "text", "(fused)")),
        *(f"queries.{name}.0.bias" for name in ("image", "text")),
    },
    "VBPR": {"bias"},
}
VARIANTS: dict[tuple[str, str], set[str]] = {
    ("VBPR", "paper"): {"item_bias", "visual_bias"},
    ("VBPR", "amr"): set(),
}


@pytest.mark.parametrize("name", MODELS)
def test_every_models_biases(name: str) -> None:
    """All else is multiplied with something. VBPR's forms have different ones, of two dimensions in the paper's."""
    data = small_data("image", "text")
    assert MODELS[name](data).biases() == BIASES[name]
    for (model, variant), biases in VARIANTS.items():
        if model == name:
            assert MODELS[name](data, variant=variant).biases() == biases
